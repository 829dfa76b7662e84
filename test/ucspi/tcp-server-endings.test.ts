/** A function behind TLS gets all that a client has sent, however the client ends and whenever it reads. */

import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { TcpServer } from "../../src/index.ts";
import type { Handler } from "../../src/index.ts";
import { newScene } from "../support/scene.ts";
import { CERTIFICATE, EndingPeer, ENDINGS } from "../tls/tunnel/ending-peer.ts";
import type { Ending } from "../tls/tunnel/ending-peer.ts";

const FILES = { "cert.pem": CERTIFICATE.pem, "key.pem": CERTIFICATE.keyPem };

interface Outcome {
  readonly bytes: number;
  readonly error: string | undefined;
}

/** The ways in which a function reads: its client's bytes, and whether it waits until all has been sent. */
const PACES = {
  "that reads all the time": { bytes: 1_000_000, waits: false, slowly: false },
  "that reads slowly": { bytes: 1_000_000, waits: false, slowly: true },
  "that does not read yet": { bytes: 100_000, waits: true, slowly: true },
} as const;

type Pace = (typeof PACES)[keyof typeof PACES];

async function serve(directory: string, handler: Handler): Promise<TcpServer & { port: number }> {
  const server = new TcpServer({
    listen: { host: "127.0.0.1", port: 0 },
    tls: { certificate: `${directory}/cert.pem`, key: `${directory}/key.pem` },
    serve: handler,
  });
  const [endpoint] = await server.start();
  return Object.assign(server, { port: endpoint?.port ?? 0 });
}

async function readAll(stream: Socket, slowly: boolean): Promise<Outcome> {
  let bytes = 0;
  try {
    for await (const chunk of stream) {
      bytes += (chunk as Buffer).length;
      if (slowly) await new Promise((resolve) => setImmediate(resolve));
    }
    return { bytes, error: undefined };
  } catch (error) {
    return { bytes, error: error instanceof Error ? error.message : "unknown" };
  }
}

async function expectDelivery(ending: Ending, pace: Pace): Promise<void> {
  await using scene = await newScene({ files: FILES });
  let go = (): void => undefined;
  const sent = new Promise<void>((resolve) => (go = resolve));
  let tell: (outcome: Outcome) => void = () => undefined;
  const outcome = new Promise<Outcome>((resolve) => (tell = resolve));
  await using server = await serve(scene.directory, async ({ stream }) => {
    if (pace.waits) await sent;
    tell(await readAll(stream, pace.slowly));
    stream.destroy();
  });
  const plain = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  await once(plain, "connect");
  const peer = new EndingPeer(plain, "client");
  await peer.secured;
  await peer.send(Buffer.alloc(pace.bytes, "x"));
  await ending.end(peer);
  if (!plain.destroyed) await peer.acknowledged();
  go();
  const { bytes, error } = await outcome;
  expect({ bytes, fails: error !== undefined }).toEqual({
    bytes: pace.bytes,
    fails: ending.exitCode !== 0,
  });
  if (ending.exitCode === 111) expect(error).toMatch(/reset/i);
  plain.destroy();
}

describe.each(Object.entries(PACES))("a function %s", (_, pace) => {
  test.each(ENDINGS)("all bytes are read before $name", (ending) => expectDelivery(ending, pace));
});

test("a function that only writes is told that its client cannot be reached", async () => {
  await using scene = await newScene({ files: FILES });
  let tell: (message: string) => void = () => undefined;
  const failure = new Promise<string>((resolve) => (tell = resolve));
  await using server = await serve(scene.directory, ({ stream }) => {
    const pour = (): void => {
      while (stream.write(Buffer.alloc(65_536)));
    };
    stream.on("drain", pour);
    stream.on("error", ({ message }) => tell(message));
    pour();
  });
  const plain = connect({ port: server.port, host: "127.0.0.1" });
  const peer = new EndingPeer(plain, "client");
  await once(peer.tls, "data");
  plain.resetAndDestroy();
  expect(await failure).toMatch(/reset|pipe|reached/i);
});

test("a function behind TLS sees the ends of its connection, and may set the options of its socket", async () => {
  await using scene = await newScene({ files: FILES });
  let tell: (ends: unknown) => void = () => undefined;
  const told = new Promise((resolve) => (tell = resolve));
  await using server = await serve(scene.directory, ({ stream }) => {
    stream.setNoDelay(true).setKeepAlive(true);
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = stream;
    tell({ remoteAddress, remotePort, remoteFamily, localAddress, localPort });
    stream.end();
  });
  const plain = connect({ port: server.port, host: "127.0.0.1" });
  await once(plain, "connect");
  const { localPort } = plain;
  const peer = new EndingPeer(plain, "client");
  expect(await told).toEqual({
    remoteAddress: "127.0.0.1",
    remotePort: localPort,
    remoteFamily: "IPv4",
    localAddress: "127.0.0.1",
    localPort: server.port,
  });
  peer.tls.destroy();
});
