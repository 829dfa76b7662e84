/** A peer that fails or ends takes nothing from a slow program that it had sent before, wherever TLS is. */

import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { describe, expect } from "vitest";
import { bothWays } from "../support/scene.ts";
import type { Scene, SceneProcess } from "../support/scene.ts";
import { CERTIFICATE, EndingPeer, ENDINGS } from "../tls/tunnel/ending-peer.ts";
import type { Ending } from "../tls/tunnel/ending-peer.ts";
import { startServer } from "../ucspi/servers.ts";

/** More than pipes and buffers of ours hold, and no more than waits in the kernel besides. */
const BYTES = 150_000;

/** Reads nothing until the test says so. */
const SLOW = 'echo ready >&2; read -r _ <go; echo "came $(wc -c)" >&2';
/** The same with TLS that the program asks for. */
const ASKING = `read -r _; printf y >&$SSLCTLFD; exec <&$SSLREADFD >&$SSLWRITEFD; ${SLOW}`;

const FILES = { "key.pem": CERTIFICATE.keyPem, "cert.pem": CERTIFICATE.pem };
const ENV = { KEYFILE: "key.pem", CERTFILE: "cert.pem", CAFILE: "cert.pem" };

interface Conversation {
  readonly scene: Scene;
  readonly process: SceneProcess;
  readonly plain: Socket;
  /** Of the peer. */
  readonly role: "server" | "client";
  readonly ending: Ending;
}

/** One connection through TLS of ours, from the handshake to the count of the program. */
async function converse(
  { scene, process, plain, role, ending }: Conversation,
  ...others: readonly RegExp[]
): Promise<void> {
  const peer = new EndingPeer(plain, role);
  await peer.secured;
  await process.line(/^ready$/);
  await peer.send(Buffer.alloc(BYTES, "x"));
  await ending.end(peer);
  if (!plain.destroyed) await peer.acknowledged();
  await scene.shell("echo >go");
  const { message, name } = ending;
  const failure = message?.source.replace(/^\^/, "").replace(/\$$/, "");
  try {
    await process.lines(
      new RegExp(`^came ${BYTES}$`),
      ...others,
      ...(failure === undefined ? [] : [new RegExp(`^s6-tls[cd]-io: fatal: .*${failure}`, "i")]),
    );
  } catch (error) {
    throw new Error(`after ${name}`, { cause: error });
  }
  plain.destroy();
}

const COUNTED_OUT = / end pid \d+ exitcode 0 /;
const fatalLines = (output: string): number => output.split("fatal:").length - 1;
const failuresOf = (endings: readonly Ending[]): number =>
  endings.filter(({ exitCode }) => exitCode !== 0).length;

/** Those by which bytes were lost. Where a process is started for each, they are enough. */
const HARD = ENDINGS.filter(({ name }) => /reset|decrypt$|cut/.test(name)).filter(
  ({ name }) => !/decrypt and|stream/.test(name),
);

describe.concurrent("nothing that was received is lost, however the peer ends", () => {
  bothWays(
    "a slow program behind s6-tlsd gets all bytes before each end of a client",
    async (scenes) => {
      await using scene = await scenes({ files: FILES });
      await scene.shell("mkfifo go");
      const words = ["s6-tlsd", "sh", "-c", SLOW];
      const { port, process } = await startServer(scene, "-v", words, { env: ENV });
      for (const ending of ENDINGS) {
        await converse(
          { scene, process, plain: await dialled(port), role: "client", ending },
          COUNTED_OUT,
        );
      }
      expect(fatalLines(process.output)).toBe(failuresOf(ENDINGS));
    },
  );

  bothWays(
    "a slow program of s6-ucspitlsd gets all bytes before each end of a client",
    async (scenes) => {
      await using scene = await scenes({ files: FILES });
      await scene.shell("mkfifo go");
      const words = ["s6-ucspitlsd", "sh", "-c", ASKING];
      const { port, process } = await startServer(scene, "-v", words, { env: ENV });
      for (const ending of HARD) {
        const plain = await dialled(port);
        plain.write("start\n");
        await converse({ scene, process, plain, role: "client", ending }, COUNTED_OUT);
      }
      expect(fatalLines(process.output)).toBe(failuresOf(HARD));
    },
  );

  bothWays(
    "a slow program behind s6-tlsc gets all bytes before each end of a server",
    async (scenes) => {
      await using scene = await scenes({ files: FILES });
      await scene.shell("mkfifo go");
      const program = ["s6-tlsc", "-k", "localhost", "sh", "-c", `exec <&6; ${SLOW}`];
      await visits(scene, program, async (process, plain, ending) => {
        await converse({ scene, process, plain, role: "server", ending });
      });
    },
  );

  bothWays(
    "a slow program of s6-ucspitlsc gets all bytes before each end of a server",
    async (scenes) => {
      await using scene = await scenes({ files: FILES });
      await scene.shell("mkfifo go");
      const asking = `echo start >&7; printf y >&$SSLCTLFD; exec <&$SSLREADFD; ${SLOW}`;
      const program = ["s6-ucspitlsc", "-k", "localhost", "sh", "-c", asking];
      await visits(scene, program, async (process, plain, ending) => {
        while (plain.read("start\n".length) === null) await once(plain, "readable");
        await converse({ scene, process, plain, role: "server", ending });
      });
    },
  );
});

async function dialled(port: number): Promise<Socket> {
  const plain = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(plain, "connect");
  return plain;
}

type Visit = (process: SceneProcess, plain: Socket, ending: Ending) => Promise<void>;

/** One client after the other, each to a server that ends in another way. */
async function visits(scene: Scene, program: readonly string[], visit: Visit): Promise<void> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    for (const ending of HARD) {
      const accepted = once(server, "connection");
      const words = ["127.0.0.1", String(port), ...program];
      const process = scene.start("s6-tcpclient", words, { env: ENV });
      const [plain] = (await accepted) as [Socket];
      await visit(process, plain, ending);
      (await process.finished()).exits(0);
    }
  } finally {
    server.close();
  }
}
