/** Handshakes between the two sides, over streams in memory. */

import { once } from "node:events";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { ClientContexts } from "../../../src/tls/handshake/contexts.ts";
import type { AheadReader, AheadStream } from "../../../src/tls/handshake/opening.ts";
import type { TlsHandshake } from "../../../src/tls/handshake/handshake.ts";
import { ServerContexts } from "../../../src/tls/handshake/server-contexts.ts";
import { describeTlsError } from "../../../src/tls/index.ts";
import type { ClientMaterial, KeyPair, ServerMaterial } from "../../../src/tls/index.ts";
import { newAuthority } from "../../support/certificates.ts";
import type { Certificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake-clock.ts";

export const root = newAuthority();
export const leaf = root.issue({ names: ["dns:localhost", "ip:127.0.0.1", "ip:::1"] });

const POLICY = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ciphers: undefined,
  alpn: [],
} as const;

export const SERVER: ServerMaterial = {
  ...POLICY,
  sniLevel: 0,
  defaultPair: pairOf(leaf),
  namedPairs: [],
  clientCertificate: "none",
  anchors: [],
};

const CLIENT: ClientMaterial = {
  ...POLICY,
  pair: undefined,
  anchors: [root.pem],
  serverName: "localhost",
  verifiesCertificate: true,
  verifiesName: true,
};

export function pairOf(certificate: Certificate): KeyPair {
  return { file: "leaf.crt", chain: certificate.chainPem, key: certificate.keyPem };
}

/**
 * Two streams, each of which reads what the other writes, a moment later: as on a network, a write is
 * over before its answer comes. (Else Node has no turn to send the alert of an error.)
 */
export function streamPair(): readonly [Duplex, Duplex] {
  const left: Duplex = pipeTo(() => right);
  const right: Duplex = pipeTo(() => left);
  return [left, right];
}

function pipeTo(other: () => Duplex): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      later(() => other().push(chunk));
      done();
    },
    final(done) {
      later(() => other().push(null));
      done();
    },
  });
}

/** Node tells itself of the end of a write with setImmediate. */
function later(deliver: () => void): void {
  setImmediate(() => setImmediate(() => setImmediate(deliver)));
}

export interface Outcome {
  readonly client: TLSSocket;
  readonly server: TlsHandshake;
  /** The result of each: `secure`, or the error. */
  readonly clientSaid: string;
  readonly serverSaid: string;
}

export async function handshake(
  servers: ServerContexts,
  clients: ClientContexts,
): Promise<Outcome> {
  const [left, right] = streamPair();
  const client = clients.connect(right);
  const failed = nextError(client);
  const [{ server, serverSaid }, clientSaid] = await Promise.all([
    accepted(servers, left),
    said(client),
  ]);
  // In TLS 1.3 a client is done before the server has judged its certificate.
  const isLate = clientSaid === "secure" && serverSaid !== "secure";
  return { client, server, serverSaid, clientSaid: isLate ? await failed : clientSaid };
}

/** The same stream, whose beginning can be read ahead. */
export function withAhead(stream: Duplex): AheadStream {
  let stop = (): void => undefined;
  return Object.assign(stream, {
    readAhead(reader: AheadReader): void {
      const look = (): void => {
        const bytes = stream.read() as Buffer | null;
        if (bytes !== null) reader.received(bytes);
      };
      const end = (): void => reader.ended();
      stop = () => stream.off("readable", look).off("end", end);
      stream.on("readable", look).on("end", end);
    },
    unread(bytes: Uint8Array): void {
      stop();
      stream.unshift(Buffer.from(bytes));
    },
  });
}

/** The handshake that a server makes of what a client sends, and its result. */
export function accepted(
  servers: ServerContexts,
  wire: Duplex,
): Promise<Pick<Outcome, "server" | "serverSaid">> {
  return new Promise((resolve, reject) => {
    servers.open(withAhead(wire), {
      ready(start) {
        const server = start();
        void said(server.socket).then((serverSaid) => resolve({ server, serverSaid }));
      },
      ended: reject,
    });
  });
}

export async function said(socket: TLSSocket): Promise<string> {
  return Promise.race([
    once(socket, "secure").then(() => "secure", describeTlsError),
    nextError(socket),
  ]);
}

function nextError(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.on("error", (error) => resolve(describeTlsError(error)));
  });
}

/** A clock that stands still now: certificates have been valid for a while. */
export function stoppedClock(): FakeClock {
  return new FakeClock(BigInt(Date.now()) * 1_000_000n);
}

export function serverOf(
  material: Partial<ServerMaterial> = {},
  clock = stoppedClock(),
): ServerContexts {
  return new ServerContexts({ ...SERVER, ...material }, clock);
}

export function clientOf(material: Partial<ClientMaterial> = {}): ClientContexts {
  return new ClientContexts({ ...CLIENT, ...material }, stoppedClock());
}
