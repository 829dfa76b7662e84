/** s6-tlsc and s6-tlsclient as shipped, with node:tls as the server. */

import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Run, RunOptions, Scene } from "../support/scene.ts";
import { allOf, serveTls } from "../support/tls-serve.ts";

/** `s6-tcpclient 127.0.0.1 PORT s6-tlsc WORD...`, with blanks between words. */
function connect(
  scene: Scene,
  port: number,
  words: string,
  program: readonly string[],
  options: RunOptions,
): Promise<Run> {
  const all = ["127.0.0.1", String(port), "s6-tlsc", ...split(words), ...program];
  return scene.run("s6-tcpclient", all, options);
}

function split(line: string): string[] {
  return line.split(" ").filter((word) => word !== "");
}

/** The bytes that the server read, when it has read all. */
async function answer(socket: TLSSocket): Promise<void> {
  socket.end(`you said ${(await allOf(socket)).length}\n`);
}

const hello = (socket: TLSSocket): unknown => socket.end("hello\n");

const ABOUT_TLS = ["sh", "-c", "env | grep -E '^(SSL_|TLS_|CA|CERT|KEY)' | sort"];

describe.concurrent("the program", () => {
  bothWays(
    "the program of s6-tlsc gets the variables of the server, and not those of the keys",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment } = makeCertificates(scene.directory);
      await using peer = await serveTls(server, hello);
      const env = { ...clientEnvironment, TLS_UID: "0", SSL_TLS_SNI_SERVERNAME: "stale" };
      const told = [
        "SSL_CIPHER=TLS_AES_256_GCM_SHA384",
        `SSL_PEER_CERT_HASH=SHA256:${server.sha256}`,
        "SSL_PEER_CERT_SAN=dns:localhost ip:127.0.0.1 ip:::1",
        "SSL_PEER_CERT_SUBJECT=CN=localhost",
        "SSL_PROTOCOL=TLSv1.3",
      ];
      const run = await connect(scene, peer.port, "-k 127.0.0.1", ABOUT_TLS, { env });
      run
        .exits(0)
        .stderrIs("")
        .stdoutIs(`${told.join("\n")}\n`);
      const named = "SSL_TLS_SNI_SERVERNAME=localhost";
      const kept = Object.entries({ ...clientEnvironment, TLS_UID: "0" }).map(
        ([name, value]) => `${name}=${value}`,
      );
      const keeping = await connect(scene, peer.port, "-z -Z -k localhost", ABOUT_TLS, { env });
      keeping.exits(0);
      expect(keeping.stdout.trim().split("\n").toSorted()).toEqual(
        [...told, named, ...kept].toSorted(),
      );
    },
  );

  bothWays(
    "the program of s6-tlsc has its own standard descriptors, and its own exit code",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment: env } = makeCertificates(scene.directory);
      await using peer = await serveTls(server, (socket) => void answer(socket));
      const program = ["sh", "-c", "cat >&7; exec 7>&-; cat <&6; echo told >&2; exit 5"];
      const run = await connect(scene, peer.port, "-k localhost", program, { env, input: "four" });
      run.exits(5).stdoutIs("you said 4\n").stderrIs("told\n");
    },
  );

  bothWays(
    "the program of s6-tlsc gets all bytes of a server that closes at once",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment: env } = makeCertificates(scene.directory);
      const text = "z".repeat(500_000);
      await using peer = await serveTls(server, (socket) => socket.end(text));
      for (const version of ["1.2", "1.3"]) {
        const words = `--max-version=${version} -k localhost`;
        const run = await connect(scene, peer.port, words, ["sh", "-c", "wc -c <&6"], { env });
        run.exits(0).stdoutIs("500000\n").stderrIs("");
      }
    },
  );

  bothWays(
    "the server gets all bytes of a program of s6-tlsc that exits at once",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment: env } = makeCertificates(scene.directory);
      let heard = Promise.resolve("");
      await using peer = await serveTls(server, (socket) => {
        heard = allOf(socket.once("end", () => socket.end()));
      });
      const program = ["sh", "-c", "head -c 1000000 /dev/zero >&7"];
      const run = await connect(scene, peer.port, "-S -k localhost", program, { env });
      run.exits(0).stderrIs("");
      expect(await heard).toHaveLength(1_000_000);
    },
  );

  test("s6-tlsc -6 and -7 give the program other descriptors", async () => {
    await using scene = await newScene();
    const { server, clientEnvironment: env } = makeCertificates(scene.directory);
    await using peer = await serveTls(server, hello);
    const move = ["sh", "-c", 'exec 8<&6 9>&7 6<&- 7>&-; exec "$@"', "sh"];
    const program = ["sh", "-c", "echo >&9; cat <&8; readlink /proc/$$/fd/6 || echo closed"];
    const words = [...move, "s6-tlsc", "-6", "8", "--write-fd=9", "-k", "localhost", ...program];
    const run = await scene.run("s6-tcpclient", ["127.0.0.1", String(peer.port), ...words], {
      env,
    });
    run.exits(0).stdoutIs("hello\nclosed\n");
  });

  bothWays(
    "s6-tlsc uses the protocol, the version and the cipher that are given",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment: env } = makeCertificates(scene.directory);
      await using peer = await serveTls(server, hello, { ALPNProtocols: ["imap"] });
      const words = "--alpn=smtp,imap --max-version=1.2 --ciphers=ECDHE-ECDSA-AES256-GCM-SHA384";
      const program = ["sh", "-c", "echo $SSL_PROTOCOL $SSL_CIPHER $SSL_TLS_ALPN_PROTOCOL"];
      const run = await connect(scene, peer.port, `${words} -k localhost`, program, { env });
      run.exits(0).stdoutIs("TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384 imap\n");
    },
  );

  bothWays("s6-tlsc -y shows a certificate", async (newScene) => {
    await using scene = await newScene();
    const { root, server, clientEnvironment: env } = makeCertificates(scene.directory);
    await using peer = await serveTls(
      server,
      (socket) => socket.end(`${String(socket.getPeerCertificate().subject?.CN)}\n`),
      { requestCert: true, rejectUnauthorized: false, ca: root.pem },
    );
    const program = ["sh", "-c", "cat <&6"];
    const run = await connect(scene, peer.port, "-Y --client-cert -k localhost", program, { env });
    run.exits(0).stdoutIs("client\n");
    (await connect(scene, peer.port, "-k localhost", program, { env })).stdoutIs("undefined\n");
  });
});

const DURING = "the TLS engine closed the connection during the handshake:";
const NOT_FOR = "the server's certificate is not for";

describe.concurrent("verification of the server", () => {
  // The program prints the name that was sent, and the hash of the certificate if it is known.
  test.each([
    ["-k localhost", "localhost SHA256"],
    ["-k LOCALHOST.", "LOCALHOST SHA256"],
    ["-k 127.0.0.1", " SHA256"],
    ["-k ::1", " SHA256"],
    ["", " SHA256"],
    ["-k other.example.com", `${DURING} ${NOT_FOR} other.example.com`],
    ["-k 127.0.0.2", `${DURING} ${NOT_FOR} 127.0.0.2`],
    ["-k 127.0.0.1.example.com", `${DURING} ${NOT_FOR} 127.0.0.1.example.com`],
    ["--no-verify-name -k other.example.com", "other.example.com SHA256"],
    ["--no-verify-cert -k other.example.com", "other.example.com "],
  ])("s6-tlsc %s verifies the server, and the result is: %s", async (words, expected) => {
    await using scene = await newScene();
    const { server, clientEnvironment: env } = makeCertificates(scene.directory);
    await using peer = await serveTls(server, hello);
    const program = ["sh", "-c", 'echo "$SSL_TLS_SNI_SERVERNAME ${SSL_PEER_CERT_HASH%:*}"'];
    const run = await connect(scene, peer.port, words, program, { env });
    if (!expected.startsWith(DURING)) run.exits(0).stdoutIs(`${expected}\n`).stderrIs("");
    else run.exits(98).stdoutIs("").stderrIs(`s6-tlsc-io: fatal: ${expected}\n`);
  });

  bothWays(
    "the server's certificate has to be trusted, unless verification is turned off",
    async (newScene) => {
      await using scene = await newScene();
      const { root, clientEnvironment: env } = makeCertificates(scene.directory);
      const names = ["dns:localhost"];
      const untrusted = "the server's certificate is not trusted:";
      for (const [certificate, why] of [
        [newAuthority().issue({ names }), "its issuer is not known"],
        [root.issue({ names, usage: "client" }), "it is for another purpose"],
        [root.issue({ names, notAfter: new Date(Date.now() - 1000) }), "it has expired"],
      ] as const) {
        await using peer = await serveTls(certificate, hello);
        const run = await connect(scene, peer.port, "-k localhost", ["touch", "ran"], { env });
        run.exits(98).stderrIs(`s6-tlsc-io: fatal: ${DURING} ${untrusted} ${why}\n`);
      }
      expect(scene.has("ran")).toBe(false);
      await using peer = await serveTls(newAuthority().issue(), hello);
      const program = ["sh", "-c", 'cat <&6; echo "${SSL_PEER_CERT_HASH-unset}"'];
      const run = await connect(scene, peer.port, "--no-verify-cert", program, {});
      run.exits(0).stdoutIs("hello\nunset\n");
    },
  );

  test("s6-tlsc accepts a server for its common name if that is all it has, and none for a partial wildcard", async () => {
    await using scene = await newScene();
    const { root, clientEnvironment: env } = makeCertificates(scene.directory);
    const notFor = (name: string) => `${DURING} the server's certificate is not for ${name}`;
    for (const [certificate, name, why] of [
      [root.issue({ names: ["email:me@example.com"] }), "localhost", notFor("localhost")],
      [
        root.issue({ names: ["dns:ba*.example.com"] }),
        "bar.example.com",
        notFor("bar.example.com"),
      ],
      [root.issue({ names: ["dns:*.lan"] }), "nas.lan", notFor("nas.lan")],
    ] as const) {
      await using peer = await serveTls(certificate, hello);
      const run = await connect(scene, peer.port, `-k ${name}`, ["touch", "ran"], { env });
      run.exits(98).stderrIs(`s6-tlsc-io: fatal: ${why}\n`);
    }
    expect(scene.has("ran")).toBe(false);
    for (const [certificate, name] of [
      [root.issue({ names: [] }), "localhost"],
      [root.issue({ names: ["dns:*.example.com"] }), "bar.example.com."],
    ] as const) {
      await using peer = await serveTls(certificate, hello);
      const program = ["sh", "-c", "cat <&6"];
      const run = await connect(scene, peer.port, `-k ${name}`, program, { env });
      run.exits(0).stdoutIs("hello\n");
    }
  });

  bothWays(
    "s6-tlsc connects to no server whose name no certificate can be for",
    async (newScene) => {
      await using scene = await newScene();
      const { server, clientEnvironment: env } = makeCertificates(scene.directory);
      await using peer = await serveTls(server, hello);
      for (const [name, hint] of [
        ["*.example.com", ""],
        ["a..example", ""],
        ["bücher.example", "; use the ASCII form, which begins with xn--"],
      ] as const) {
        const words = ["127.0.0.1", String(peer.port), "s6-tlsc", "-k", name, "true"];
        const run = await scene.run("s6-tcpclient", words, { env });
        run.exits(100).stderrMatches(new RegExp(`fatal: no certificate can be for .*${hint}\n$`));
        expect(run.stderr).toContain(JSON.stringify(name));
      }
    },
  );

  test("a trust anchor need not be a root", async () => {
    await using scene = await newScene();
    const intermediate = newAuthority().issueAuthority();
    const leaf = intermediate.issue({ names: ["dns:localhost"] });
    await using peer = await serveTls(leaf, hello);
    for (const anchor of [intermediate, leaf]) {
      const env = { CAFILE: anchor.write(scene.path("anchor")).certFile };
      (await connect(scene, peer.port, "-k localhost", ["true"], { env })).exits(0).stderrIs("");
    }
  });
});

describe.concurrent("the handshake", () => {
  bothWays("s6-tlsc -K gives up the handshake at its deadline", async (newScene) => {
    await using scene = await newScene();
    const { clientEnvironment: env } = makeCertificates(scene.directory);
    const silent = createServer((socket) => socket.on("error", () => socket.destroy()));
    await once(silent.listen(0, "127.0.0.1"), "listening");
    const { port } = silent.address() as AddressInfo;
    const run = await connect(scene, port, "-K 100", ["touch", "ran"], { env });
    run.exits(98).stderrIs("s6-tlsc-io: fatal: handshake timed out\n");
    (await connect(scene, port, "-v 0 -K 100", ["touch", "ran"], { env })).exits(98).stderrIs("");
    expect(scene.has("ran")).toBe(false);
    silent.close();
  });

  test("s6-tlsc reports in one line a handshake that the server ends or refuses", async () => {
    await using scene = await newScene();
    const { server, clientEnvironment: env } = makeCertificates(scene.directory);
    await using modern = await serveTls(server, hello, { minVersion: "TLSv1.3" });
    const old = await connect(scene, modern.port, "--max-version=1.2", ["true"], { env });
    old
      .exits(98)
      .stderrIs(`s6-tlsc-io: fatal: ${DURING} the peer sent the alert protocol_version\n`);
    const other = createServer((socket) => socket.end("220 smtp.example.com\r\n"));
    await once(other.listen(0, "127.0.0.1"), "listening");
    const plain = await connect(scene, (other.address() as AddressInfo).port, "", ["true"], {
      env,
    });
    plain.exits(98).stderrIs(`s6-tlsc-io: fatal: ${DURING} wrong version number\n`);
    other.close();
  });
});

describe.concurrent("unusable settings", () => {
  test.each([
    ["no anchors", "", { CAFILE: undefined }, 100, /: CADIR or CAFILE not set$/],
    ["anchors that are not there", "", { CAFILE: "nowhere" }, 111, /CAFILE nowhere: No such file/],
    [
      "anchors that are none",
      "",
      { CAFILE: "client.key" },
      96,
      /CAFILE client\.key: there is no cer/,
    ],
    ["a directory without any", "", { CADIR: "empty" }, 96, /CADIR empty: there is no certificate/],
    ["no key", "-y", { KEYFILE: undefined }, 100, /: KEYFILE not set$/],
    ["a key that is not there", "-y", { KEYFILE: "nowhere" }, 111, /KEYFILE nowhere: No such file/],
    ["the key of another", "-y", { KEYFILE: "server.key" }, 96, /its key is not that of KEYFILE/],
    ["a TLS_UID that is none", "", { TLS_UID: "" }, 100, /TLS_UID/],
  ] as const)("s6-tlsc does not connect with %s", async (_title, words, edits, code, message) => {
    await using scene = await newScene({ files: { "empty/": "" } });
    const { server, clientEnvironment } = makeCertificates(scene.directory);
    await using peer = await serveTls(server, hello);
    const env = { ...clientEnvironment, ...edits };
    const run = await connect(scene, peer.port, words, ["touch", "ran"], { env });
    run.exits(code).stdoutIs("");
    expect(run.stderr).toMatch(/^s6-tlsc(-io)?: fatal: [^\n]*\n$/);
    expect(run.stderr.trimEnd()).toMatch(message);
    expect(scene.has("ran")).toBe(false);
  });

  test("s6-tlsc fails on a closed descriptor", async () => {
    await using scene = await newScene();
    const { clientEnvironment: env } = makeCertificates(scene.directory);
    const run = await scene.run("s6-tlsc", ["-6", "33", "-7", "34", "touch", "ran"], { env });
    run.exits(111).stderrIs("s6-tlsc: fatal: unable to check network fds: Bad file descriptor\n");
    expect(scene.has("ran")).toBe(false);
  });

  test.each([
    ["-6 8 -7 8 true", "read-fd and write-fd must differ"],
    ["-6 2 true", "read-fd"],
    ["-7 x true", "write-fd"],
    ["-K x true", "handshake-timeout must be an unsigned integer of milliseconds: x"],
    ["-v x true", "verbosity must be an unsigned integer: x"],
    ["--servername= true", "servername must be a name or an address: "],
    ["--min-version=1.1 true", "min-version"],
    ["--sni true", "unrecognized boolean option: --sni"],
    ["-K", "option -K needs an argument"],
    ["", "missing operand: prog"],
  ])("s6-tlsc %s is a usage error", async (line, text) => {
    await using scene = await newScene();
    const run = await scene.run("s6-tlsc", split(line));
    run.exits(100).stdoutIs("");
    expect(run.stderr.startsWith(`s6-tlsc: fatal: ${text}`), run.stderr).toBe(true);
  });
});

describe.concurrent("s6-tlsclient", () => {
  bothWays("s6-tlsclient expects the host that it is given, name or address", async (newScene) => {
    await using scene = await newScene();
    const { root, server, clientEnvironment: env } = makeCertificates(scene.directory);
    await using peer = await serveTls(server, hello);
    const port = String(peer.port);
    const program = ["sh", "-c", 'cat <&6; echo "$TCPREMOTEIP $SSL_TLS_SNI_SERVERNAME"'];
    const named = await scene.run("s6-tlsclient", ["-h", "localhost", port, ...program], { env });
    named.exits(0).stdoutIs("hello\n127.0.0.1 localhost\n");
    const words = ["-H", "127.0.0.1", port, ...program];
    (await scene.run("s6-tlsclient", words, { env })).exits(0).stdoutIs("hello\n127.0.0.1 \n");
    await using other = await serveTls(root.issue({ names: ["dns:localhost"] }), hello);
    words[2] = String(other.port);
    const run = await scene.run("s6-tlsclient", words, { env });
    run.exits(98).stderrIs(`s6-tlsc-io: fatal: ${DURING} ${NOT_FOR} 127.0.0.1\n`);
    const lenient = await scene.run("s6-tlsclient", ["--no-verify-name", ...words], { env });
    lenient.exits(0).stdoutIs("hello\n127.0.0.1 \n");
  });
});
