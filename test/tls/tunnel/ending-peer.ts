/**
 * A peer that sends, waits until its kernel has the acknowledgement of every byte, and ends in one of the
 * ways in which peers end.
 */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import type { SecureVersion } from "node:tls";
import { acknowledged } from "../../support/acknowledged.ts";
import { newSelfSigned } from "../../support/certificates.ts";

export const CERTIFICATE = newSelfSigned({ subject: "localhost", names: ["dns:localhost"] });

const secureContext = createSecureContext({ cert: CERTIFICATE.pem, key: CERTIFICATE.keyPem });

export interface Ending {
  readonly name: string;
  readonly exitCode: number;
  readonly message?: RegExp;
  /** End so, when everything has been acknowledged. */
  end(peer: EndingPeer): void | Promise<void>;
}

/** Application data that does not decrypt. */
const BAD_RECORD = Buffer.from([23, 3, 3, 0, 40, ...Buffer.alloc(40, 0x55)]);

const RESET = /^unable to read from remote: Connection reset by peer$/;

/** All ways in which a peer ends, and how a tunnel ends then when all has been delivered. */
export const ENDINGS: readonly Ending[] = [
  {
    name: "a reset",
    exitCode: 111,
    message: RESET,
    end: ({ plain }) => void plain.resetAndDestroy(),
  },
  {
    name: "close_notify and a reset",
    exitCode: 0,
    async end(peer) {
      peer.notify();
      await peer.acknowledged();
      peer.plain.resetAndDestroy();
    },
  },
  {
    name: "close_notify, the end of the stream and a reset",
    exitCode: 0,
    async end(peer) {
      peer.notify();
      peer.plain.end();
      await peer.acknowledged();
      peer.plain.resetAndDestroy();
    },
  },
  {
    name: "close_notify and garbage",
    exitCode: 0,
    end(peer) {
      peer.notify();
      peer.plain.end(Buffer.alloc(3000, 0xaa));
    },
  },
  {
    name: "a record that does not decrypt",
    exitCode: 98,
    message: /^the TLS engine closed the connection after the handshake: .*(decrypt|mac)/i,
    end: ({ plain }) => void plain.write(BAD_RECORD),
  },
  {
    name: "a record that does not decrypt and a reset",
    exitCode: 98,
    message: /^the TLS engine closed the connection after the handshake: .*(decrypt|mac)/i,
    async end(peer) {
      peer.plain.write(BAD_RECORD);
      await peer.acknowledged();
      peer.plain.resetAndDestroy();
    },
  },
  {
    name: "a record that is cut",
    exitCode: 98,
    message: /the connection was cut inside a record$/,
    end: ({ plain }) => void plain.end(BAD_RECORD.subarray(0, 20)),
  },
  { name: "the end of the stream", exitCode: 0, end: ({ plain }) => void plain.end() },
  {
    name: "close_notify",
    exitCode: 0,
    end(peer) {
      peer.notify();
      peer.plain.end();
    },
  },
];

export class EndingPeer {
  readonly plain: Socket;
  readonly tls: TLSSocket;
  /** The handshake is done. */
  readonly secured: Promise<void>;

  /** On a connection that it is the only one to use. */
  constructor(
    plain: Socket,
    role: "server" | "client",
    options: { readonly maxVersion?: SecureVersion } = {},
  ) {
    this.plain = plain;
    plain.on("error", () => undefined);
    const carrier = new Carrier(plain);
    this.tls =
      role === "client"
        ? connect({ ...options, socket: carrier, rejectUnauthorized: false })
        : new TLSSocket(carrier, { isServer: true, secureContext });
    this.tls.on("error", () => undefined);
    this.secured = new Promise((resolve) => this.tls.once("secure", () => resolve()));
  }

  async send(bytes: Buffer): Promise<void> {
    await new Promise((resolve) => this.tls.write(bytes, resolve));
    await this.acknowledged();
  }

  notify(): void {
    this.tls.end();
  }

  /** The other side's kernel has all that was written. */
  acknowledged(): Promise<void> {
    return acknowledged(this.plain);
  }
}

/** The connection without what node:tls would do to it at an end. */
class Carrier extends Duplex {
  readonly #plain: Socket;

  constructor(plain: Socket) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.#plain = plain;
    plain.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) plain.pause();
    });
    plain.on("end", () => this.push(null));
  }

  override _read(): void {
    this.#plain.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#plain.writable) this.#plain.write(chunk, () => done());
    else done();
  }

  override _final(done: () => void): void {
    done();
  }
}
