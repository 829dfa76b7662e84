/** s6-tlsd-io and s6-tlsc-io as shipped: one tunnel each, on descriptors that the test holds the other ends of. */

import { once } from "node:events";
import { Socket } from "node:net";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { makeCertificates } from "../support/certificates.ts";
import { HELD_OPEN, newScene } from "../support/scene.ts";
import type { RunOptions, Scene, SceneProcess } from "../support/scene.ts";
import { afterHandshake, DialedTls } from "../support/tls-dial.ts";
import { Dialed } from "../ucspi/dial.ts";

const posix = loadPosix();

/** The test's end of a connection or a pipe, and the descriptor for the process. */
interface Line {
  readonly ours: Dialed;
  readonly theirs: Fd;
}

function newConnection(): Line {
  const [theirs, ours] = posix.socketPair("stream");
  const socket = new Socket({ fd: ours, readable: true, writable: true, allowHalfOpen: true });
  return { ours: new Dialed(socket), theirs };
}

/** A pipe that the process writes to. */
function newOutput(): Line {
  const [ours, theirs] = posix.pipe();
  return { ours: new Dialed(new Socket({ fd: ours, readable: true, writable: false })), theirs };
}

/** A pipe that the process reads from. */
function newInput(): { readonly ours: Socket; readonly theirs: Fd } {
  const [theirs, ours] = posix.pipe();
  return { ours: new Socket({ fd: ours, readable: false, writable: true }), theirs };
}

interface ServerTunnel {
  readonly process: SceneProcess;
  readonly network: Socket;
  /** The bytes from the program, and those to it. */
  readonly toEngine: Socket;
  readonly fromEngine: Dialed;
  /** The other end of descriptor 5. */
  readonly channel: Dialed;
}

/** `s6-tlsd-io WORD... 3 4`, where 5 is for -d or --control-fd. */
function startServer(scene: Scene, words: string, options: RunOptions = {}): ServerTunnel {
  const [network, channel] = [newConnection(), newConnection()];
  const [input, output] = [newInput(), newOutput()];
  const fds = {
    0: network.theirs,
    1: network.theirs,
    3: input.theirs,
    4: output.theirs,
    5: channel.theirs,
  };
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const all = [...words.split(" ").filter((word) => word !== ""), "3", "4"];
  const process = scene.start("s6-tlsd-io", all, {
    fds,
    ...options,
    env: { ...env, ...options.env },
  });
  for (const fd of new Set(Object.values(fds))) posix.close(fd);
  const [toEngine, fromEngine] = [input.ours, output.ours];
  return { process, network: network.ours.socket, toEngine, fromEngine, channel: channel.ours };
}

async function secure({ network }: ServerTunnel): Promise<DialedTls> {
  network.removeAllListeners("data");
  const client = new DialedTls(
    connect({ socket: network, servername: "localhost", rejectUnauthorized: false }),
  );
  await once(client.socket, "secureConnect");
  await afterHandshake();
  return client;
}

const BLOCK = "SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=TLS_AES_128_GCM_SHA256\0SSL_TLS_SNI_SERVERNAME";
const DURING = "s6-tlsd-io: fatal: the TLS engine closed the connection during the handshake:";

describe.concurrent("s6-tlsd-io", () => {
  test("s6-tlsd-io writes the variables of the connection to -d, copies both ways, and exits 0", async () => {
    await using scene = await newScene();
    const tunnel = startServer(scene, "-d 5 --");
    const client = await secure(tunnel);
    expect(await tunnel.channel.rest()).toBe(`${BLOCK}=localhost\0\0`);
    client.end("question");
    expect(await tunnel.fromEngine.rest()).toBe("question");
    tunnel.toEngine.end("answer");
    expect(await client.rest()).toBe("answer");
    (await tunnel.process.finished()).exits(0).stderrIs("");
  });

  test("s6-tlsd-io -d 0 writes no variables, and -Y empty ones for a client without a certificate", async () => {
    await using scene = await newScene();
    const silent = startServer(scene, "-d 5 -d 0");
    const client = await secure(silent);
    client.end();
    silent.toEngine.end();
    (await silent.process.finished()).exits(0);
    expect(await silent.channel.rest()).toBe("");
    const asking = startServer(scene, "-d 5 -Y");
    const other = await secure(asking);
    expect(await asking.channel.rest()).toBe(
      `${BLOCK}=localhost\0SSL_PEER_CERT_HASH\0SSL_PEER_CERT_SUBJECT\0SSL_PEER_CERT_SAN\0\0`,
    );
    other.socket.destroy();
  });

  test("s6-tlsd-io exits 98, and writes no variables, when the handshake fails or takes too long", async () => {
    await using scene = await newScene();
    const plain = startServer(scene, "-d 5");
    plain.network.end("HELP\r\n");
    (await plain.process.finished()).exits(98).stderrMatches(new RegExp(`^${DURING} .*\n$`));
    expect(await plain.channel.rest()).toBe("");
    const closed = startServer(scene, "");
    closed.network.end();
    (await closed.process.finished())
      .exits(98)
      .stderrIs(`${DURING} the peer closed the connection\n`);
    const silent = startServer(scene, "-K 50");
    (await silent.process.finished())
      .exits(98)
      .stderrIs("s6-tlsd-io: fatal: handshake timed out\n");
    (await startServer(scene, "-v 0 -K 50").process.finished()).exits(98).stderrIs("");
  });

  test("s6-tlsd-io -J exits 98 when the client closes without close_notify", async () => {
    await using scene = await newScene();
    for (const [words, code] of [
      ["", 0],
      ["-J", 98],
    ] as const) {
      const tunnel = startServer(scene, words);
      const client = await secure(tunnel);
      client.write("question\n");
      expect(await tunnel.fromEngine.line()).toBe("question");
      tunnel.toEngine.end();
      await client.rest();
      client.socket.destroy();
      const run = await tunnel.process.finished();
      run
        .exits(code)
        .stderrMatches(code === 0 ? /^$/ : /: fatal: remote closed connection without a/);
    }
  });

  test("s6-tlsd-io --full-close ends both directions", async () => {
    await using scene = await newScene();
    const tunnel = startServer(scene, "--full-close");
    const client = await secure(tunnel);
    client.end("question");
    expect(await tunnel.fromEngine.rest()).toBe("question");
    await client.rest();
    (await tunnel.process.finished()).exits(0).stderrIs("");
  });

  test("s6-tlsd-io --idle-timeout ends an idle connection", async () => {
    await using scene = await newScene();
    const tunnel = startServer(scene, "--idle-timeout=50");
    await secure(tunnel);
    (await tunnel.process.finished())
      .exits(98)
      .stderrIs("s6-tlsd-io: fatal: idle for 50 milliseconds\n");
  });

  describe.concurrent("with --control-fd", () => {
    test("s6-tlsd-io --control-fd waits for Y, and then writes the variables there", async () => {
      await using scene = await newScene();
      const tunnel = startServer(scene, "-v 2 --control-fd=5");
      tunnel.channel.write("Y");
      const client = await secure(tunnel);
      expect(await tunnel.channel.rest()).toBe(`${BLOCK}=localhost\0\0`);
      client.end("question");
      expect(await tunnel.fromEngine.rest()).toBe("question");
      tunnel.toEngine.end();
      (await tunnel.process.finished())
        .exits(0)
        .stderrIs("s6-tlsd-io: info: the program accepted opportunistic TLS\n");
    });

    test("s6-tlsd-io --control-fd waits for y, and closes the descriptor at once", async () => {
      await using scene = await newScene();
      const tunnel = startServer(scene, "--control-fd=5");
      tunnel.channel.write("y");
      expect(await tunnel.channel.rest()).toBe("");
      const client = await secure(tunnel);
      client.end("question");
      expect(await tunnel.fromEngine.rest()).toBe("question");
      tunnel.toEngine.end();
      (await tunnel.process.finished()).exits(0).stderrIs("");
    });

    test("s6-tlsd-io --control-fd leaves the connection alone when TLS is not asked for", async () => {
      await using scene = await newScene();
      const tunnel = startServer(scene, "-v 2 --control-fd=5");
      tunnel.network.write("in clear");
      tunnel.channel.end();
      (await tunnel.process.finished())
        .exits(0)
        .stderrIs("s6-tlsd-io: info: the program declined opportunistic TLS\n");
    });

    test("s6-tlsd-io --control-fd refuses any other command", async () => {
      await using scene = await newScene();
      const tunnel = startServer(scene, "--control-fd=5");
      tunnel.channel.write("n");
      (await tunnel.process.finished())
        .exits(100)
        .stderrIs("s6-tlsd-io: fatal: unrecognized command on control socket\n");
    });

    test("s6-tlsd-io exits without a message when a handshake fails", async () => {
      await using scene = await newScene();
      const tunnel = startServer(scene, "--control-fd=5");
      tunnel.channel.write("Y");
      tunnel.network.end("EHLO\r\n");
      expect(await tunnel.channel.rest()).toBe("");
      expect(await tunnel.fromEngine.rest()).toBe("");
      (await tunnel.process.finished()).exits(98);
    });
  });

  test.each([
    ["KEYFILE", undefined, 100, "KEYFILE not set"],
    ["KEYFILE", "nowhere", 96, "unable to read KEYFILE nowhere: No such file or directory"],
    [
      "CERTFILE",
      "server.key",
      96,
      "unable to use CERTFILE server.key: there is no certificate in it",
    ],
    ["TLS_UID", "x", 100, "invalid $TLS_UID"],
  ])("s6-tlsd-io with %s=%s exits %i", async (name, value, code, message) => {
    await using scene = await newScene();
    const { process } = startServer(scene, "", { env: { [name]: value } });
    (await process.finished()).exits(code).stderrIs(`s6-tlsd-io: fatal: ${message}\n`);
  });
});

describe.concurrent("s6-tlsc-io", () => {
  test("s6-tlsc-io is the other end of s6-tlsd-io", async () => {
    await using scene = await newScene();
    const { server, serverEnvironment, clientEnvironment } = makeCertificates(scene.directory);
    const [theirs, ours] = posix.socketPair("stream");
    const [input, output] = [newInput(), newOutput()];
    const channel = newConnection();
    const engine = scene.start("s6-tlsd-io", ["-S", "3", "4"], {
      env: serverEnvironment,
      fds: { 0: theirs, 1: theirs, 3: input.theirs, 4: output.theirs },
    });
    const client = scene.start("s6-tlsc-io", ["-d", "5", "-k", "localhost", "--", "3", "4"], {
      env: { CAFILE: clientEnvironment.CAFILE },
      fds: { 3: ours, 4: ours, 5: channel.theirs },
      input: HELD_OPEN,
    });
    for (const fd of [theirs, ours, input.theirs, output.theirs, channel.theirs]) posix.close(fd);
    const peer = [
      `SSL_PEER_CERT_HASH=SHA256:${server.sha256}`,
      "SSL_PEER_CERT_SUBJECT=CN=localhost",
      "SSL_PEER_CERT_SAN=dns:localhost ip:127.0.0.1 ip:::1",
    ];
    expect(await channel.ours.rest()).toBe(`${BLOCK}=localhost\0${peer.join("\0")}\0\0`);
    client.write("question");
    client.endInput();
    expect(await output.ours.rest()).toBe("question");
    input.ours.end("answer");
    (await client.finished()).exits(0).stdoutIs("answer").stderrIs("");
    (await engine.finished()).exits(0).stderrIs("");
  });
});

describe.concurrent("the descriptors", () => {
  test.each([
    ["s6-tlsd-io", "3", "missing operand: fdw"],
    ["s6-tlsd-io", "3 x", "fdw must be an unsigned integer: x"],
    ["s6-tlsd-io", "-d x 3 4", "notification-fd"],
    ["s6-tlsd-io", "--control-fd=2 3 4", "control-fd"],
    ["s6-tlsd-io", "33 34", "descriptor 33 is not open"],
    ["s6-tlsc-io", "a b", "fdr must be an unsigned integer: a"],
    ["s6-tlsc-io", "3 4 5", ""],
    ["s6-tlsc-io", "33 34", "descriptor 33 is not open"],
  ])("%s %s reports the invalid descriptor", async (name, line, text) => {
    await using scene = await newScene();
    const { serverEnvironment: env } = makeCertificates(scene.directory);
    const run = await scene.run(name, line.split(" "), { env });
    run.exits(100).stdoutIs("");
    expect(run.stderr.startsWith(`${name}: fatal: ${text}`), run.stderr).toBe(true);
  });
});
