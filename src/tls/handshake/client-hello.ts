/**
 * The first message of a TLS client, as far as a server has to know it before OpenSSL does: the name that
 * is asked for (RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3). Whatever is no whole ClientHello is
 * left to OpenSSL, which refuses it with the alert that it deserves.
 */

/** The longest message that is read. Those of clients with tickets and post-quantum keys have 2 to 8 kB. */
export const CLIENT_HELLO_BYTES_MAX = 32_768;
/** The most bytes that are kept of a connection meanwhile: a message may come in records of a few bytes. */
export const OPENING_BYTES_MAX = 65_536;

/** What a server learns from it. */
export interface ClientHello {
  /** As sent, one character for each byte; undefined when the client names no host. */
  readonly serverName: string | undefined;
}

export type HelloProgress =
  | { readonly kind: "more" }
  | { readonly kind: "done"; readonly hello: ClientHello }
  /** No ClientHello, whatever follows. */
  | { readonly kind: "invalid"; readonly why: string };

const MORE: HelloProgress = { kind: "more" };
const NOTHING = Buffer.alloc(0);

const RECORD_HEADER_BYTES = 5;
const RECORD_BODY_BYTES_MAX = 16_384;
const HANDSHAKE_RECORD = 22;
/** Of the version of a record the first byte is the same in all versions. */
const VERSION_MAJOR = 3;
const MESSAGE_HEADER_BYTES = 4;
const CLIENT_HELLO = 1;
const RANDOM_BYTES = 32;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;
/** As OpenSSL has it; no name of DNS is longer. */
const HOST_NAME_BYTES_MAX = 255;

/** Takes the bytes of a connection one after the other, until they are a ClientHello or cannot become one. */
export class ClientHelloReader {
  #buffer: Buffer = NOTHING;
  #used = 0;
  /** Mostly the first chunk has the whole message, so its bytes are copied only when it has not. */
  #isBufferOurs = true;
  /** The place in the buffer at which the next record begins. */
  #recordAt = 0;
  /** The bodies of the records before. */
  #fragments: (readonly [start: number, end: number])[] = [];
  #messageBytes = 0;

  /**
   * All the bytes taken, in their order; those behind the message as well. As long as the last chunk does not
   * change.
   */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }

  /** Not to be called again once the result is another than `more`. */
  take(chunk: Uint8Array): HelloProgress {
    this.#append(chunk);
    const progress = this.#progress();
    if (progress.kind === "more" && !this.#isBufferOurs) this.#keep(this.#used);
    return progress;
  }

  #progress(): HelloProgress {
    while (this.#used - this.#recordAt >= RECORD_HEADER_BYTES) {
      const length = this.#recordLength();
      if (length === undefined) return { kind: "invalid", why: "not a record of a handshake" };
      const start = this.#recordAt + RECORD_HEADER_BYTES;
      if (this.#used < start + length) break;
      this.#fragments.push([start, start + length]);
      this.#messageBytes += length;
      this.#recordAt = start + length;
      const progress = this.#message();
      if (progress.kind !== "more") return progress;
    }
    if (this.#used < OPENING_BYTES_MAX) return MORE;
    return { kind: "invalid", why: `no ClientHello in the first ${OPENING_BYTES_MAX} bytes` };
  }

  #append(chunk: Uint8Array): void {
    if (this.#used === 0) {
      this.#buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      this.#isBufferOurs = false;
      this.#used = chunk.length;
      return;
    }
    const used = this.#used + chunk.length;
    if (used > this.#buffer.length) this.#keep(Math.max(used, 2 * this.#buffer.length));
    this.#buffer.set(chunk, this.#used);
    this.#used = used;
  }

  /** Have a buffer of our own, of so many bytes. */
  #keep(length: number): void {
    const own = Buffer.allocUnsafeSlow(length);
    this.#buffer.copy(own, 0, 0, this.#used);
    this.#buffer = own;
    this.#isBufferOurs = true;
  }

  /** Of the body; undefined when this is no record of a handshake. */
  #recordLength(): number | undefined {
    const type = this.#buffer[this.#recordAt];
    const major = this.#buffer[this.#recordAt + 1];
    const length = this.#buffer.readUInt16BE(this.#recordAt + 3);
    const isFit = length > 0 && length <= RECORD_BODY_BYTES_MAX;
    return type === HANDSHAKE_RECORD && major === VERSION_MAJOR && isFit ? length : undefined;
  }

  /** The message in the records so far. */
  #message(): HelloProgress {
    if (this.#messageBytes < MESSAGE_HEADER_BYTES) return MORE;
    const header = this.#joined(MESSAGE_HEADER_BYTES);
    if (header[0] !== CLIENT_HELLO) return { kind: "invalid", why: "not a ClientHello" };
    const length = header.readUIntBE(1, 3);
    if (length > CLIENT_HELLO_BYTES_MAX) {
      return { kind: "invalid", why: `a ClientHello of ${length} bytes` };
    }
    const end = MESSAGE_HEADER_BYTES + length;
    if (this.#messageBytes < end) return MORE;
    const hello = parseClientHello(this.#joined(end).subarray(MESSAGE_HEADER_BYTES));
    return hello === undefined
      ? { kind: "invalid", why: "a damaged ClientHello" }
      : { kind: "done", hello };
  }

  /** The first so many bytes of the message. */
  #joined(length: number): Buffer {
    const [first] = this.#fragments;
    if (first !== undefined && first[1] - first[0] >= length) {
      return this.#buffer.subarray(first[0], first[0] + length);
    }
    const parts: Buffer[] = [];
    let missing = length;
    for (const [start, end] of this.#fragments) {
      if (missing <= 0) break;
      parts.push(this.#buffer.subarray(start, Math.min(end, start + missing)));
      missing -= end - start;
    }
    return Buffer.concat(parts, length);
  }
}

/** The body of the message, without its header; undefined when it is damaged. */
export function parseClientHello(body: Uint8Array): ClientHello | undefined {
  const cursor = new Cursor(body);
  const isWhole =
    cursor.skip(2 + RANDOM_BYTES) &&
    cursor.skipVector(1) && // session id
    cursor.skipVector(2) && // ciphers
    cursor.skipVector(1); // compression methods
  if (!isWhole) return undefined;
  if (cursor.isAtEnd) return { serverName: undefined };
  const extensions = cursor.vector(2);
  return extensions !== undefined && cursor.isAtEnd ? namedIn(extensions) : undefined;
}

/** An extension must not be there twice (RFC 8446, section 4.2). */
function namedIn(extensions: Uint8Array): ClientHello | undefined {
  const cursor = new Cursor(extensions);
  let names: Uint8Array | undefined;
  while (!cursor.isAtEnd) {
    if (cursor.number(2) !== SERVER_NAME_EXTENSION) {
      if (!cursor.skipVector(2)) return undefined;
      continue;
    }
    const data = cursor.vector(2);
    if (data === undefined || names !== undefined) return undefined;
    names = data;
  }
  if (names === undefined) return { serverName: undefined };
  const serverName = hostNameIn(names);
  return serverName === undefined ? undefined : { serverName: serverName || undefined };
}

/** The list has one name, and it is of a host: OpenSSL reads it so too. An empty name is none. */
function hostNameIn(extension: Uint8Array): string | undefined {
  const list = new Cursor(extension).vector(2);
  if (list === undefined || list.length + 2 !== extension.length) return undefined;
  const cursor = new Cursor(list);
  const type = cursor.number(1);
  const name = cursor.vector(2);
  if (type !== HOST_NAME || name === undefined || !cursor.isAtEnd) return undefined;
  if (name.length > HOST_NAME_BYTES_MAX || name.includes(0)) return undefined;
  return Buffer.from(name).toString("latin1");
}

/** The presentation language of TLS (RFC 8446, section 3): numbers, and vectors behind their length. */
class Cursor {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  skip(count: number): boolean {
    if (this.#bytes.length - this.#at < count) return false;
    this.#at += count;
    return true;
  }

  /** An unsigned number of so many bytes; undefined past the end. */
  number(size: 1 | 2): number | undefined {
    const at = this.#at;
    if (!this.skip(size)) return undefined;
    const first = this.#bytes[at] ?? 0;
    return size === 1 ? first : first * 256 + (this.#bytes[at + 1] ?? 0);
  }

  /** False when it reaches past the end, as does all that is looked for behind it. */
  skipVector(size: 1 | 2): boolean {
    const length = this.number(size);
    return length !== undefined && this.skip(length);
  }

  /** The bytes behind a length of so many bytes; undefined when it reaches past the end. */
  vector(size: 1 | 2): Uint8Array | undefined {
    const length = this.number(size);
    if (length === undefined) return undefined;
    const start = this.#at;
    return this.skip(length) ? this.#bytes.subarray(start, start + length) : undefined;
  }
}
