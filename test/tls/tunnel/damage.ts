/** Peers that speak TLS well over a connection that does not carry it well. */

import { connect } from "node:net";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import type { SecureVersion } from "node:tls";
import fc from "fast-check";
import { expect } from "vitest";
import { systemClock } from "../../../src/clock/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import type { ClientMaterial } from "../../../src/tls/index.ts";
import { openSide } from "../../../src/tls/handshake/side.ts";
import type { SideMaterial } from "../../../src/tls/handshake/side.ts";
import { Tunnel } from "../../../src/tls/tunnel/tunnel.ts";
import type { TunnelSettings } from "../../../src/tls/tunnel/tunnel.ts";
import { newSelfSigned } from "../../support/certificates.ts";
import type { Certificate } from "../../support/certificates.ts";
import { newScene } from "../../support/scene.ts";
import { openConnection, openNonblockingPipe } from "./connections.ts";
import { childrenOf, descriptorsOf, engineOf, isBusy, startTls, until } from "../processes.ts";

/** The damage to the bytes that a peer sends. */
export interface Damage {
  readonly kind: "cut" | "flip" | "drop" | "insert" | "repeat";
  /** The place: 0 is before the first byte of a whole conversation, 1 behind the last. */
  readonly at: number;
  /** The bytes that are inserted, flipped (in their bits), or (in their length) dropped. */
  readonly bytes: Uint8Array;
}

const GREETING = "hello";

const damages: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom("cut", "flip", "drop", "insert", "repeat"),
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
});

const AT_A_TIME = 25;

/** In milliseconds: how long a peer may be silent, in its handshake and after it. */
const PATIENCE_MS = 200;

/** The result of a conversation without damage; another one is damaged. */
type Play = (damage?: Damage) => Promise<Outcome>;

/**
 * Damage so many conversations with a server, and see that it and its engine are what they were before:
 * the same processes with as many descriptors, which have said nothing unforeseen.
 */
export async function expectServerStands(version: SecureVersion, times: number): Promise<void> {
  await using scene = await newScene();
  const limits = ["-K", String(PATIENCE_MS), `--idle-timeout=${PATIENCE_MS}`];
  const { port, process, engine } = await startTls(scene, ["s6-tlsd", ...limits, "cat"]);
  const play: Play = async (damage) => {
    const plain = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    return await converse(plain, damage, (carrier) => {
      const versions = { minVersion: version, maxVersion: version };
      return connectTls({ socket: carrier, rejectUnauthorized: false, ...versions });
    });
  };
  const isQuiet = (): boolean => childrenOf(process.pid).length === 1 && !isBusy(engine);
  const weigh = (): number => descriptorsOf(process.pid).size + descriptorsOf(engine).size;
  const { sentBytes } = await play();
  await until(isQuiet);
  const before = weigh();
  await damageMany(play, sentBytes, times, () => expect(process.output).not.toMatch(UNFORESEEN));
  await until(isQuiet);
  await until(() => weigh() <= before);
  expect(await engineOf(process.pid)).toBe(engine);
}

/** Any line but the port, and one for each conversation that failed. */
const UNFORESEEN =
  /^(?!\d+$|s6-tlsd-io: fatal: (the TLS engine closed the connection (during|after) the handshake: .+|handshake timed out|idle for 200 milliseconds|unable to read from remote: Connection reset by peer)$)./m;

/** The same with the tunnels of clients, all in this process. */
export async function expectClientStands(version: SecureVersion, times: number): Promise<void> {
  const posix = loadPosix();
  const certificate = newSelfSigned({ names: ["dns:localhost"] });
  const side = openSide(clientOf(certificate), systemClock);
  const secureContext = createSecureContext({
    cert: certificate.pem,
    key: certificate.keyPem,
    minVersion: version,
    maxVersion: version,
  });
  const play: Play = async (damage) => {
    const { fd, plain } = await openConnection(posix);
    const ends = { network: { read: fd, write: fd } };
    const tunnel = new Tunnel({ ...SETTINGS, ...ends, posix, clock: systemClock, side });
    void tunnel.handshake().then(({ kind }) => {
      if (kind === "failed") return;
      const [read, write] = openNonblockingPipe(posix);
      tunnel.relay({ read, write }); // an echo: what the program would read is what it has written
    });
    const outcome = await converse(plain, damage, (carrier) => {
      return new TLSSocket(carrier, { isServer: true, secureContext });
    });
    const { exitCode, message = "" } = await tunnel.ended;
    expect([0, 98, 111]).toContain(exitCode);
    expect(message).not.toMatch(/\n/);
    return outcome;
  };
  const { sentBytes } = await play();
  const before = descriptorsOf(process.pid).size;
  await damageMany(play, sentBytes, times, () => undefined);
  await until(() => descriptorsOf(process.pid).size <= before);
}

function clientOf({ pem }: Certificate): SideMaterial {
  const material: ClientMaterial = {
    pair: undefined,
    anchors: [pem],
    serverName: "localhost",
    verifiesCertificate: true,
    verifiesName: true,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ciphers: undefined,
    alpn: [],
  };
  return { role: "client", material };
}

const SETTINGS: TunnelSettings = {
  handshakeTimeoutMs: PATIENCE_MS,
  idleTimeoutMs: PATIENCE_MS,
  tellsTimeout: true,
  sendsCloseNotify: false,
  enforcesCloseNotify: false,
  closesBothWays: false,
};

async function damageMany(
  play: Play,
  sentBytes: number,
  times: number,
  check: () => void,
): Promise<void> {
  expect((await play()).received).toBe(GREETING);
  const batches = fc.array(damages, { minLength: AT_A_TIME, maxLength: AT_A_TIME });
  const property = fc.asyncProperty(batches, async (batch) => {
    const outcomes = await Promise.all(
      batch.map((damage) => play({ ...damage, at: Math.floor(damage.at * sentBytes) })),
    );
    for (const { received } of outcomes) expect(GREETING.startsWith(received)).toBe(true);
    check();
  });
  await fc.assert(property, { numRuns: Math.ceil(times / AT_A_TIME), endOnFailure: true });
  expect((await play()).received).toBe(GREETING);
}

interface Outcome {
  readonly received: string;
  readonly sentBytes: number;
}

/** One conversation: the handshake, a greeting each way, and close_notify. */
async function converse(
  plain: Socket,
  damage: Damage | undefined,
  start: (carrier: Duplex) => TLSSocket,
): Promise<Outcome> {
  const carrier = new Carrier(plain, damage);
  const socket = start(carrier);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  let isSecure = false;
  socket.once("secure", () => {
    isSecure = true;
    socket.end(GREETING);
  });
  socket.once("end", () => {
    if (!isSecure) plain.destroy(); // a server of Node would wait on
  });
  for (const event of ["error", "_tlsError", "close"]) socket.on(event, () => plain.destroy());
  if (!plain.closed) await new Promise((resolve) => plain.once("close", resolve));
  socket.destroy();
  return { received: Buffer.concat(chunks).toString("latin1"), sentBytes: carrier.sentBytes };
}

/** A connection that damages what is sent over it, once. */
class Carrier extends Duplex {
  readonly #plain: Socket;
  readonly #damage: Damage | undefined;
  sentBytes = 0;
  #isCut = false;

  constructor(plain: Socket, damage: Damage | undefined) {
    super({ allowHalfOpen: true });
    this.#plain = plain;
    this.#damage = damage;
    plain.on("data", (chunk: Buffer) => this.push(chunk));
    plain.on("end", () => this.push(null));
    plain.on("error", () => this.destroy());
    plain.on("close", () => this.destroy());
    this.on("error", () => undefined);
  }

  override _read(): void {
    this.#plain.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const start = this.sentBytes;
    this.sentBytes += chunk.length;
    if (this.#isCut || !this.#plain.writable) {
      done();
      return;
    }
    const at = (this.#damage?.at ?? Infinity) - start;
    const bytes =
      this.#damage === undefined || at < 0 || at >= chunk.length
        ? chunk
        : damaged(chunk, { ...this.#damage, at });
    this.#isCut = bytes !== chunk && this.#damage?.kind === "cut";
    if (this.#isCut) this.#plain.end(bytes);
    else this.#plain.write(bytes);
    done();
  }

  override _final(done: () => void): void {
    this.#plain.end();
    done();
  }
}

function damaged(chunk: Buffer, { kind, at, bytes }: Damage): Buffer {
  const [head, tail] = [chunk.subarray(0, at), chunk.subarray(at)];
  switch (kind) {
    case "cut":
      return Buffer.from(head);
    case "flip":
      return Buffer.concat([head, tail.map((byte, index) => byte ^ (bytes[index] ?? 0))]);
    case "drop":
      return Buffer.concat([head, tail.subarray(bytes.length)]);
    case "insert":
      return Buffer.concat([head, bytes, tail]);
    case "repeat":
      return Buffer.concat([head, chunk]);
  }
}
