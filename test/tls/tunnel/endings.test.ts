/** All bytes of a peer reach the program, however the peer ends and whenever the program reads. */

import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock/index.ts";
import { openSide } from "../../../src/tls/handshake/side.ts";
import type { TlsSide } from "../../../src/tls/handshake/handshake.ts";
import { Tunnel } from "../../../src/tls/tunnel/tunnel.ts";
import { openConnection, openNonblockingPipe } from "./connections.ts";
import { CERTIFICATE, EndingPeer, ENDINGS } from "./ending-peer.ts";
import type { Ending } from "./ending-peer.ts";
import { posix, SETTINGS, SIDE } from "./tunnels.ts";

const POLICY = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ciphers: undefined,
  alpn: [],
} as const;

const CLIENT = openSide(
  {
    role: "client",
    material: {
      ...POLICY,
      pair: undefined,
      anchors: [CERTIFICATE.pem],
      serverName: "localhost",
      verifiesCertificate: true,
      verifiesName: true,
    },
  },
  systemClock,
);

/** The ways in which a program reads: how much is sent, and whether before there is a program, or a reader. */
const PACES = {
  "a program that reads all the time": { bytes: 1_000_000, attaches: "first", reads: "first" },
  "a program that reads slowly": { bytes: 1_000_000, attaches: "first", reads: "slowly" },
  "a program that does not read yet": { bytes: 200_000, attaches: "first", reads: "last" },
  "a program that is not there yet": { bytes: 100_000, attaches: "last", reads: "last" },
} as const;

type Pace = (typeof PACES)[keyof typeof PACES];

interface Scene {
  readonly tunnel: Tunnel;
  readonly peer: EndingPeer;
}

async function open(side: TlsSide): Promise<Scene> {
  const { fd, plain } = await openConnection(posix);
  const network = { read: fd, write: fd };
  const peer = new EndingPeer(plain, side.role === "server" ? "client" : "server");
  const tunnel = new Tunnel({ ...SETTINGS, posix, clock: systemClock, side, network });
  const [{ kind }] = await Promise.all([tunnel.handshake(), peer.secured]);
  expect(kind).toBe("secured");
  return { tunnel, peer };
}

interface Program {
  readonly stdin: Socket;
  readonly stdout: Socket;
}

function attach(tunnel: Tunnel): Program {
  const [read, fromProgram] = openNonblockingPipe(posix);
  const [toProgram, write] = openNonblockingPipe(posix);
  tunnel.relay({ read, write });
  const stdin = new Socket({ fd: toProgram, readable: true, writable: false });
  const stdout = new Socket({ fd: fromProgram, readable: false, writable: true });
  stdout.on("error", () => undefined);
  return { stdin, stdout };
}

/** All that comes until the end of file; `slowly`: at most a piece in each turn of the event loop. */
async function readAll(stdin: Socket, slowly: boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) {
    chunks.push(chunk as Buffer);
    if (slowly) await new Promise((resolve) => setImmediate(resolve));
  }
  return Buffer.concat(chunks);
}

async function expectDelivery(side: TlsSide, ending: Ending, pace: Pace): Promise<void> {
  const { tunnel, peer } = await open(side);
  const bytes = Buffer.alloc(pace.bytes, "0123456789abcdefg");
  const early = pace.attaches === "first" ? attach(tunnel) : undefined;
  const reading =
    pace.reads === "last" ? undefined : early && readAll(early.stdin, pace.reads === "slowly");
  await peer.send(bytes);
  await ending.end(peer);
  if (!peer.plain.destroyed) await peer.acknowledged();
  const program = early ?? attach(tunnel);
  const received = await (reading ?? readAll(program.stdin, false));
  program.stdout.end();
  expect(received.length).toBe(bytes.length);
  expect(received.equals(bytes)).toBe(true);
  const end = await tunnel.ended;
  expect(end.exitCode).toBe(ending.exitCode);
  expect(end.message ?? "").toMatch(ending.message ?? /^$/);
  peer.plain.destroy();
}

describe.each(["server", "client"] as const)("the tunnel of a %s", (role) => {
  const side = role === "server" ? SIDE : CLIENT;
  describe.each(Object.entries(PACES))("and %s", (_, pace) => {
    test.each(ENDINGS)("all bytes are delivered before $name", (ending) =>
      expectDelivery(side, ending, pace),
    );
  });
});
