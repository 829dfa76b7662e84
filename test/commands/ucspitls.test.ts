/** s6-ucspitlsd and s6-ucspitlsc as shipped: TLS when the program asks for it (networking.md, section 16). */

import { once } from "node:events";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { RunOptions, Scene } from "../support/scene.ts";
import { afterHandshake, DialedTls } from "../support/tls-dial.ts";
import type { DialTlsOptions } from "../support/tls-dial.ts";
import { ask, dial } from "../ucspi/dial.ts";
import type { Dialed } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

/** Speaks in clear until the client says the byte to ask for TLS with; tells stderr what it is told. */
const SERVER = `
  read -r word
  [ "$word" != clear ] || { echo "you said $word"; exit 3; }
  echo ready
  printf %s "$word" >&$SSLCTLFD
  tr '\\0' '\\n' <&$SSLCTLFD >&2
  read -r line <&$SSLREADFD || { echo "no TLS" >&2; exit 4; }
  echo "secure $line" >&$SSLWRITEFD
`;

const INFO = {
  fused: "^s6-ucspitlsd: info: pid \\d+",
  exec: "^s6-tlsd-io: info: the program",
};

/** A server of `s6-ucspitlsd WORD... sh -c SERVER`. */
function serve(
  scene: Scene,
  words: string,
  options: RunOptions = {},
  script = SERVER,
): Promise<StartedServer> {
  const program = ["s6-ucspitlsd", ...split(words), "sh", "-c", script];
  return startServer(scene, "-v", program, options);
}

function split(line: string): string[] {
  return line.split(" ").filter((word) => word !== "");
}

/** Go on in TLS. */
async function secure({ socket }: Dialed, options: DialTlsOptions = {}): Promise<DialedTls> {
  socket.removeAllListeners("data");
  const all = { socket, servername: "localhost", rejectUnauthorized: false, ...options };
  const client = new DialedTls(connect(all));
  await once(client.socket, "secureConnect");
  await afterHandshake();
  return client;
}

describe.concurrent("s6-ucspitlsd", () => {
  bothWays("the command Y starts TLS and writes the variables", async (newScene, way) => {
    await using scene = await newScene();
    const { client: theirs, serverEnvironment: env } = makeCertificates(scene.directory);
    const { port, process } = await serve(scene, "-v 2 -Y", { env });
    await using clear = await dial(port);
    clear.write("Y\n");
    expect(await clear.line()).toBe("ready");
    await using client = await secure(clear, { cert: theirs.pem, key: theirs.keyPem });
    client.end("hello\n");
    expect(await client.rest()).toBe("secure hello\n");
    await process.lines(
      /^SSL_PROTOCOL=TLSv1.3$/,
      /^SSL_CIPHER=TLS_AES_128_GCM_SHA256$/,
      /^SSL_TLS_SNI_SERVERNAME=localhost$/,
      new RegExp(`^SSL_PEER_CERT_HASH=SHA256:${theirs.sha256}$`),
      /^SSL_PEER_CERT_SUBJECT=CN=client$/,
      new RegExp(`${INFO[way]} accepted opportunistic TLS$`),
      /^.* end pid \d+ exitcode 0 .*$/,
    );
    expect(process.output).not.toMatch(/fatal/);
  });

  bothWays("the command y starts TLS and writes no variables", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const { port, process } = await serve(scene, "", { env });
    await using clear = await dial(port);
    clear.write("y\n");
    expect(await clear.line()).toBe("ready");
    await using client = await secure(clear);
    client.end("hello\n");
    expect(await client.rest()).toBe("secure hello\n");
    await process.line(/ end pid \d+ exitcode 0 /);
    expect(process.output).not.toMatch(/SSL_|opportunistic|fatal/);
  });

  bothWays(
    "a program that asks for no TLS under s6-ucspitlsd is a program like any other",
    async (newScene, way) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const { port, process } = await serve(scene, "-v 2", { env });
      expect(await ask(port, "clear\n")).toBe("you said clear\n");
      await process.lines(
        new RegExp(`${INFO[way]} declined opportunistic TLS$`),
        /^.* end pid \d+ exitcode 3 .*$/,
      );
    },
  );

  bothWays("s6-ucspitlsd refuses any other command", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const { port, process } = await serve(scene, "", { env });
    expect(await ask(port, "N\n")).toBe("ready\n");
    await process.lines(
      /^s6-tlsd-io: fatal: unrecognized command on control socket$/,
      /^no TLS$/,
      /^.* end pid \d+ exitcode 4 .*$/,
    );
  });

  bothWays(
    "s6-ucspitlsd exits without a message when a handshake fails or does not happen",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const { port, process } = await serve(scene, "-K 1000", { env });
      for (const [text, why] of [
        ["EHLO example.com\r\n", "^s6-tlsd-io: fatal: .* during the handshake: .*$"],
        ["", "^s6-tlsd-io: fatal: handshake timed out$"],
      ] as const) {
        await using clear = await dial(port);
        clear.write("Y\n");
        expect(await clear.line()).toBe("ready");
        clear.write(text);
        await process.lines(new RegExp(why), /^no TLS$/, /^.* end pid \d+ exitcode 4 .*$/);
      }
      expect(process.output).not.toMatch(/^SSL_/m);
    },
  );

  bothWays(
    "the program of s6-ucspitlsd gets three descriptors, and the variables of the keys with -Z only",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const script = `
      echo "$SSLCTLFD $SSLREADFD $SSLWRITEFD \${KEYFILE-unset} \${CAFILE-unset}"
      readlink /proc/$$/fd/3 /proc/$$/fd/4 /proc/$$/fd/5 | sed 's/:.*//'`;
      const { port } = await serve(scene, "", { env }, script);
      expect(await ask(port)).toBe("3 4 5 unset unset\nsocket\npipe\npipe\n");
      const { port: keeping } = await serve(scene, "--keep", { env }, script);
      expect(await ask(keeping)).toContain(`3 4 5 ${env.KEYFILE} ${env.CAFILE}\n`);
    },
  );

  test("s6-ucspitlsd does not start without usable keys", async () => {
    await using scene = await newScene();
    const { serverEnvironment } = makeCertificates(scene.directory);
    const env = { ...serverEnvironment, KEYFILE: scene.path("client.key") };
    const words = ["127.0.0.1", "0", "s6-ucspitlsd", "touch", "ran"];
    const run = await scene.run("s6-tcpserver", words, { env });
    run.exits(96).stderrMatches(/^s6-tlsd-io: fatal: .*its key is not that of KEYFILE/m);
  });
});

describe.concurrent("s6-ucspitlsc", () => {
  /** Asks for TLS by its first word, and tells what it hears. */
  const CLIENT = `
    echo "$0" >&7
    read -r ready <&6
    printf %s "$0" >&$SSLCTLFD
    tr '\\0' '\\n' <&$SSLCTLFD | grep SSL_PEER_CERT_SUBJECT
    echo hello >&$SSLWRITEFD
    read -r answer <&$SSLREADFD || echo "no TLS"
    echo "$ready $answer"`;

  function client(scene: Scene, port: number, words: string, program: readonly string[]) {
    const all = ["127.0.0.1", String(port), "s6-ucspitlsc", ...split(words), ...program];
    return scene.run("s6-tcpclient", all, { env: { CAFILE: scene.path("ca.crt") } });
  }

  bothWays(
    "s6-ucspitlsc starts TLS when the program asks for it, and writes the variables of the server",
    async (newScene) => {
      await using scene = await newScene();
      const { serverEnvironment: env } = makeCertificates(scene.directory);
      const { port } = await serve(scene, "", { env });
      const told = await client(scene, port, "-k localhost", ["sh", "-c", CLIENT, "Y"]);
      told
        .exits(0)
        .stdoutIs("SSL_PEER_CERT_SUBJECT=CN=localhost\nready secure hello\n")
        .stderrIs("");
      const untold = await client(scene, port, "-k localhost", ["sh", "-c", CLIENT, "y"]);
      untold.exits(0).stdoutIs("ready secure hello\n").stderrIs("");
      const clear = ["sh", "-c", "echo clear >&7; cat <&6"];
      (await client(scene, port, "-k localhost", clear)).exits(0).stdoutIs("you said clear\n");
    },
  );

  bothWays("s6-ucspitlsc writes no variables of a server with another name", async (newScene) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const { port } = await serve(scene, "", { env });
    const run = await client(scene, port, "-k other.example.com", [
      "sh",
      "-c",
      `trap '' PIPE; ${CLIENT} 2>&-`,
      "Y",
    ]);
    run.stdoutMatches(/^no TLS$/m).stderrMatches(/certificate is not for other\.example\.com\n/);
    expect(run.stdout).not.toMatch(/SSL_PEER/);
  });

  test("s6-ucspitlsc takes descriptor numbers that nothing else has", async () => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const { port } = await serve(scene, "", { env });
    const program = [
      "sh",
      "-c",
      'echo "$SSLCTLFD $SSLREADFD $SSLWRITEFD"; echo clear >&7; cat <&6',
    ];
    const run = await client(scene, port, "", program);
    run.exits(0).stdoutIs("3 4 5\nyou said clear\n");
    const other = [
      "sh",
      "-c",
      'exec 3<&6 4>&7; exec "$@"',
      "sh",
      "s6-ucspitlsc",
      "-6",
      "3",
      "-7",
      "4",
    ];
    const moved = ["sh", "-c", 'echo "$SSLCTLFD $SSLREADFD $SSLWRITEFD"; echo clear >&4; cat <&3'];
    const words = ["127.0.0.1", String(port), ...other, ...moved];
    const again = await scene.run("s6-tcpclient", words, { env: { CAFILE: scene.path("ca.crt") } });
    again.exits(0).stdoutMatches(/^5 8 9\nyou said clear\n$/);
  });
});

test.each([
  ["s6-ucspitlsd", "-K x true", "handshake-timeout must be an unsigned integer of milliseconds: x"],
  ["s6-ucspitlsd", "--rules-directory=rules true", "unrecognized option with argument"],
  ["s6-ucspitlsd", "", "missing operand: prog"],
  ["s6-ucspitlsc", "-6 7 true", "read-fd and write-fd must differ"],
  ["s6-ucspitlsc", "-6 1 true", "read-fd"],
  ["s6-ucspitlsc", "--sni true", "unrecognized boolean option: --sni"],
  ["s6-ucspitlsc", "", "missing operand: prog"],
])("%s %s is a usage error", async (name, line, text) => {
  await using scene = await newScene();
  const run = await scene.run(name, split(line));
  run.exits(100).stdoutIs("");
  expect(run.stderr.startsWith(`${name}: fatal: ${text}`), run.stderr).toBe(true);
});
