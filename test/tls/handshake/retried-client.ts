/**
 * A client of TLS 1.3 on a bare connection that has to send its ClientHello twice (RFC 8446, sections 4.1.4 and
 * 4.4.1), and asks for a name of its choice in each. It believes whatever it is shown.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Certificate } from "../../support/certificates.ts";
import { serverNameExtension, uint16, vector16 } from "./hellos.ts";
import type { Extension } from "./hellos.ts";

export interface RetriedOptions {
  readonly port: number;
  /** Of the first ClientHello and of the second. */
  readonly names: readonly [string, string];
  /** Shown when the server asks for one; none otherwise. */
  readonly certificate?: Certificate;
}

const CHANGE_CIPHER_SPEC = 20;
const HANDSHAKE = 22;
const APPLICATION_DATA = 23;
const CERTIFICATE_REQUEST = 13;
const FINISHED = 20;
const TAG_BYTES = 16;
const HASH_BYTES = 32;
/** The prefix of an X25519 key in DER. */
const X25519 = Buffer.from("302a300506032b656e032100", "hex");
/** The random of a HelloRetryRequest (RFC 8446, section 4.1.3). */
const RETRY = createHash("sha256").update("HelloRetryRequest").digest();

/** What the server says to its program's `text`, in clear; "" when it closes without a word. Throws when there is no retry. */
export async function askTwice({ port, names, certificate }: RetriedOptions): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  try {
    return await new RetriedClient(socket, certificate).ask(names);
  } finally {
    socket.destroy();
  }
}

class RetriedClient {
  readonly #socket: Socket;
  readonly #certificate: Certificate | undefined;
  readonly #chunks: AsyncIterator<Buffer>;
  #received = Buffer.alloc(0);
  #transcript = Buffer.alloc(0);

  constructor(socket: Socket, certificate: Certificate | undefined) {
    this.#socket = socket;
    this.#certificate = certificate;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async ask([first, second]: readonly [string, string]): Promise<string> {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    const share = publicKey.export({ type: "spki", format: "der" }).subarray(X25519.length);
    const hello = helloMessage(first, Buffer.alloc(0));
    this.#socket.write(record(HANDSHAKE, hello));
    const retry = await this.#next();
    if (!retry?.body.subarray(6, 6 + HASH_BYTES).equals(RETRY)) throw new Error("no retry");
    this.#transcript = Buffer.concat([message(254, sha256(hello)), retry.body]);
    this.#send(helloMessage(second, Buffer.concat([uint16(0x1d), vector16(share)])));
    const answer = await this.#next();
    if (answer?.type !== HANDSHAKE) return "";
    this.#transcript = Buffer.concat([this.#transcript, answer.body]);
    const early = extract(Buffer.alloc(HASH_BYTES), Buffer.alloc(HASH_BYTES));
    const shared = diffieHellman({ privateKey, publicKey: shareOf(answer.body) });
    const secret = extract(expand(early, "derived", sha256(Buffer.alloc(0))), shared);
    const client = expand(secret, "c hs traffic", sha256(this.#transcript));
    const asked = await this.#readFlight(
      new Traffic(expand(secret, "s hs traffic", sha256(this.#transcript))),
    );
    const main = extract(
      expand(secret, "derived", sha256(Buffer.alloc(0))),
      Buffer.alloc(HASH_BYTES),
    );
    const [up, down] = ["c ap traffic", "s ap traffic"].map(
      (label) => new Traffic(expand(main, label, sha256(this.#transcript))),
    );
    this.#finish(client, asked);
    if (up === undefined || down === undefined) return "";
    this.#socket.write(up.seal(Buffer.from("hello\n"), APPLICATION_DATA));
    return await this.#text(down);
  }

  /** Everything up to the server's Finished: does it ask for a certificate? */
  async #readFlight(traffic: Traffic): Promise<boolean> {
    let plain = Buffer.alloc(0);
    let asked = false;
    for (;;) {
      const next = await this.#next();
      if (next === undefined) throw new Error("no flight");
      if (next.type !== APPLICATION_DATA) continue;
      plain = Buffer.concat([plain, traffic.open(next.body).text]);
      while (plain.length >= 4 && plain.length >= 4 + plain.readUIntBE(1, 3)) {
        const end = 4 + plain.readUIntBE(1, 3);
        this.#transcript = Buffer.concat([this.#transcript, plain.subarray(0, end)]);
        asked ||= plain[0] === CERTIFICATE_REQUEST;
        if (plain[0] === FINISHED) return asked;
        plain = plain.subarray(end);
      }
    }
  }

  #finish(secret: Buffer, asked: boolean): void {
    const traffic = new Traffic(secret);
    const send = (bytes: Buffer): void => {
      this.#transcript = Buffer.concat([this.#transcript, bytes]);
      this.#socket.write(traffic.seal(bytes, HANDSHAKE));
    };
    if (asked)
      send(message(11, Buffer.concat([Buffer.from([0]), certificates(this.#certificate)])));
    if (asked && this.#certificate !== undefined) {
      send(message(15, proof(this.#certificate.key, sha256(this.#transcript))));
    }
    const key = expand(secret, "finished", Buffer.alloc(0));
    send(message(FINISHED, createHmac("sha256", key).update(sha256(this.#transcript)).digest()));
  }

  async #text(traffic: Traffic): Promise<string> {
    let text = "";
    for (let next = await this.#next(); next !== undefined; next = await this.#next()) {
      if (next.type !== APPLICATION_DATA) continue;
      const opened = traffic.open(next.body);
      if (opened.type === APPLICATION_DATA) text += opened.text.toString("latin1");
    }
    return text;
  }

  #send(bytes: Buffer): void {
    this.#transcript = Buffer.concat([this.#transcript, bytes]);
    this.#socket.write(record(HANDSHAKE, bytes));
  }

  /** The next record; undefined at the end, however it comes. */
  async #next(): Promise<{ readonly type: number; readonly body: Buffer } | undefined> {
    for (;;) {
      const have = this.#received;
      const end = have.length < 5 ? Infinity : 5 + have.readUInt16BE(3);
      if (have.length >= end) {
        this.#received = have.subarray(end);
        const type = have.readUInt8();
        if (type === CHANGE_CIPHER_SPEC) continue; // for middleboxes
        return { type, body: have.subarray(5, end) };
      }
      const chunk = await this.#chunks.next().catch(() => undefined);
      if (chunk === undefined || chunk.done === true) return undefined;
      this.#received = Buffer.concat([have, chunk.value]);
    }
  }
}

/** One direction of protected records, with TLS_AES_128_GCM_SHA256. */
class Traffic {
  readonly #key: Buffer;
  readonly #iv: Buffer;
  #sequence = 0n;

  constructor(secret: Buffer) {
    this.#key = expand(secret, "key", Buffer.alloc(0), 16);
    this.#iv = expand(secret, "iv", Buffer.alloc(0), 12);
  }

  seal(text: Buffer, type: number): Buffer {
    const header = Buffer.concat([
      Buffer.from([APPLICATION_DATA, 3, 3]),
      uint16(text.length + 1 + TAG_BYTES),
    ]);
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce()).setAAD(header);
    const body = Buffer.concat([cipher.update(Buffer.concat([text, Buffer.from([type])]))]);
    cipher.final();
    return Buffer.concat([header, body, cipher.getAuthTag()]);
  }

  open(body: Buffer): { readonly text: Buffer; readonly type: number } {
    const header = Buffer.concat([Buffer.from([APPLICATION_DATA, 3, 3]), uint16(body.length)]);
    const decipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce()).setAAD(header);
    decipher.setAuthTag(body.subarray(-TAG_BYTES));
    const inner = Buffer.concat([decipher.update(body.subarray(0, -TAG_BYTES)), decipher.final()]);
    return { text: inner.subarray(0, -1), type: inner.readUInt8(inner.length - 1) };
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv);
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#sequence, 4);
    this.#sequence += 1n;
    return nonce;
  }
}

function helloMessage(name: string, share: Buffer): Buffer {
  const extensions: Extension[] = [
    serverNameExtension(name),
    { type: 10, data: vector16(uint16(0x1d)) }, // X25519
    { type: 13, data: vector16(Buffer.from("040308040401", "hex")) }, // signatures
    { type: 43, data: Buffer.from([2, 3, 4]) }, // TLS 1.3
    { type: 51, data: vector16(share) },
  ];
  const list = extensions.map(({ type, data }) => Buffer.concat([uint16(type), vector16(data)]));
  const body = Buffer.concat([
    uint16(0x0303),
    RANDOM,
    Buffer.from([0]),
    vector16(uint16(0x1301)),
    Buffer.from([1, 0]),
    vector16(Buffer.concat(list)),
  ]);
  return message(1, body);
}

/** The same in both ClientHellos. */
const RANDOM = randomBytes(32);

/** The server's X25519 key in a ServerHello, which is the last that it says in the extension 51. */
function shareOf(hello: Buffer): KeyObject {
  const at = hello.indexOf(Buffer.from("00330024001d0020", "hex"));
  if (at < 0) throw new Error("no key share");
  const der = Buffer.concat([X25519, hello.subarray(at + 8, at + 40)]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

function certificates(certificate: Certificate | undefined): Buffer {
  if (certificate === undefined) return Buffer.alloc(3);
  const entry = Buffer.concat([vector24(certificate.der), uint16(0)]);
  return vector24(entry);
}

/** The body of a CertificateVerify (RFC 8446, section 4.4.3), with ECDSA and P-256. */
function proof(key: KeyObject, transcript: Buffer): Buffer {
  const context = `${" ".repeat(64)}TLS 1.3, client CertificateVerify\0`;
  const signature = sign("sha256", Buffer.concat([Buffer.from(context), transcript]), key);
  return Buffer.concat([uint16(0x0403), vector16(signature)]);
}

function message(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), vector24(body)]);
}

function record(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 1]), vector16(body)]);
}

function vector24(bytes: Buffer): Buffer {
  const length = Buffer.alloc(3);
  length.writeUIntBE(bytes.length, 0, 3);
  return Buffer.concat([length, bytes]);
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function extract(salt: Buffer, input: Buffer): Buffer {
  return createHmac("sha256", salt).update(input).digest();
}

/** HKDF-Expand-Label (RFC 8446, section 7.1), of at most one hash. */
function expand(secret: Buffer, label: string, context: Buffer, length = HASH_BYTES): Buffer {
  const text = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([
    uint16(length),
    Buffer.from([text.length]),
    text,
    Buffer.from([context.length]),
    context,
    Buffer.from([1]),
  ]);
  return createHmac("sha256", secret).update(info).digest().subarray(0, length);
}
