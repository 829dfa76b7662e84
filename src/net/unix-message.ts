/**
 * Messages over Unix stream sockets: 6 bytes of header, a body, and descriptors (local-services.md,
 * section 4.1). s6-fdholderd speaks in them, and s6-sudo sends one.
 *
 * Descriptors come in a queue of their own, beside the bytes: those of one recvmsg(2) may belong to a
 * later message than the bytes that came with them. Each message takes as many as its header says.
 */

import type { Fd } from "../posix/index.ts";

/** The length of the header: `u32be` bytes of the body, `u16be` descriptors. */
export const UNIX_MESSAGE_HEADER_BYTES = 6;
/** The longest body. */
export const UNIX_MESSAGE_BYTES_MAX = 1 << 28;
/** The most descriptors of one message, which is also what sendmsg(2) takes. */
export const UNIX_MESSAGE_FDS_MAX = 253;

/** A message that has come whole. */
export interface UnixMessage {
  readonly kind: "message";
  /** Valid until the reader is fed again. */
  readonly body: Uint8Array;
  /** Whoever takes the message owns them. */
  readonly fds: readonly Fd[];
  /** The kernel had no room for all of its descriptors: those in `fds` are fewer than were sent. */
  readonly lostFds: boolean;
}

/** The next message, or the reason why there is none. */
export type UnixMessageProgress =
  | UnixMessage
  | { readonly kind: "more" }
  /** The peer does not keep to the format, and what follows has no meaning. */
  | { readonly kind: "invalid"; readonly why: string };

export interface UnixMessageLimits {
  /** The longest body to take, UNIX_MESSAGE_BYTES_MAX unless given. */
  readonly bytesMax?: number;
  /** The most descriptors of one message, UNIX_MESSAGE_FDS_MAX unless given. */
  readonly fdsMax?: number;
}

/** The bytes of a message, which are to be sent in one piece together with `fdCount` descriptors. */
export function formatUnixMessage(body: Uint8Array, fdCount = 0): Buffer {
  if (body.length > UNIX_MESSAGE_BYTES_MAX || fdCount > UNIX_MESSAGE_FDS_MAX) {
    throw new RangeError(`No message has ${body.length} bytes and ${fdCount} descriptors`);
  }
  const bytes = Buffer.allocUnsafe(UNIX_MESSAGE_HEADER_BYTES + body.length);
  bytes.writeUInt32BE(body.length, 0);
  bytes.writeUInt16BE(fdCount, 4);
  bytes.set(body, UNIX_MESSAGE_HEADER_BYTES);
  return bytes;
}

const MORE = { kind: "more" } as const;
const NOTHING = Buffer.alloc(0);

/** A place in the queue of descriptors where an unknown number of them is missing. */
const LOST = "lost";

/** The first buffer of ours, in bytes. */
const ROOM_FIRST = 512;

/**
 * Takes bytes and descriptors as they come, and gives messages. It holds no more than one message of the
 * limits and what was fed last, and no more than `fdsMax` descriptors beside those that were fed last.
 */
export class UnixMessageReader {
  readonly #bytesMax: number;
  readonly #fdsMax: number;
  /** Ours where something was left over, the caller's otherwise; what counts is from `#at` to `#end`. */
  #buffer: Buffer = NOTHING;
  #isOurs = false;
  #at = 0;
  #end = 0;
  #fds: (Fd | typeof LOST)[] = [];

  constructor({ bytesMax, fdsMax }: UnixMessageLimits = {}) {
    this.#bytesMax = bytesMax ?? UNIX_MESSAGE_BYTES_MAX;
    this.#fdsMax = fdsMax ?? UNIX_MESSAGE_FDS_MAX;
  }

  /** Has a message begun to come, or a descriptor, that has not been given out? */
  get isAmid(): boolean {
    return this.#at < this.#end || this.#fds.length > 0;
  }

  /** Take what recvmsg(2) has given, and `lostFds` as it told. `bytes` must not change before `next` has given "more", or `keep` was called. */
  feed(bytes: Uint8Array, fds: readonly Fd[] = [], lostFds = false): void {
    const fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (this.#at < this.#end) this.#append(fresh);
    else this.#hold(fresh, false);
    if (fds.length > 0) this.#fds.push(...fds);
    if (lostFds) this.#fds.push(LOST);
  }

  /** The next message. After "invalid" the reader is of no use but for `takeFds`. */
  next(): UnixMessageProgress {
    const have = this.#end - this.#at;
    if (have < UNIX_MESSAGE_HEADER_BYTES) return this.#wait();
    const length = this.#buffer.readUInt32BE(this.#at);
    const count = this.#buffer.readUInt16BE(this.#at + 4);
    if (length > this.#bytesMax) return invalid(`a message of ${length} bytes`);
    if (count > this.#fdsMax) return invalid(`a message with ${count} descriptors`);
    if (have < UNIX_MESSAGE_HEADER_BYTES + length) return this.#wait();
    const taken = this.#fdsOf(count);
    // They travel with the bytes of their message at the latest.
    if (taken === undefined) return invalid("a message without its descriptors");
    const start = this.#at + UNIX_MESSAGE_HEADER_BYTES;
    this.#at = start + length;
    return { kind: "message", body: this.#buffer.subarray(start, this.#at), ...taken };
  }

  /** Copy what has not been given out: the bytes that were fed last may change then. */
  keep(): void {
    if (!this.#isOurs && this.#at < this.#end) this.#append(NOTHING);
  }

  /** All descriptors that no message has taken, for whoever closes them. */
  takeFds(): Fd[] {
    return this.#fds.splice(0).filter((fd) => fd !== LOST);
  }

  /** What is left is kept in a buffer of ours. */
  #wait(): UnixMessageProgress {
    if (this.#fds.length > this.#fdsMax) return invalid("descriptors that belong to no message");
    if (this.#at === this.#end) this.#hold(NOTHING, false);
    else this.keep();
    return MORE;
  }

  #hold(bytes: Buffer, isOurs: boolean): void {
    this.#buffer = bytes;
    this.#isOurs = isOurs;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** Buffers double, so that a message that comes byte by byte is not copied for each of them. */
  #append(fresh: Buffer): void {
    const end = this.#end + fresh.length;
    if (!this.#isOurs || end > this.#buffer.length) {
      const rest = this.#buffer.subarray(this.#at, this.#end);
      const room = Buffer.allocUnsafe(Math.max(ROOM_FIRST, 2 * (rest.length + fresh.length)));
      room.set(rest);
      this.#hold(room, true);
      this.#end = rest.length;
    }
    this.#buffer.set(fresh, this.#end);
    this.#end += fresh.length;
  }

  #fdsOf(count: number): { readonly fds: readonly Fd[]; readonly lostFds: boolean } | undefined {
    if (count === 0) return { fds: [], lostFds: false };
    const lostAt = this.#fds.indexOf(LOST);
    if (lostAt >= 0 && lostAt < count) {
      const fds = this.#fds.splice(0, lostAt + 1).filter((fd) => fd !== LOST);
      return { fds, lostFds: true };
    }
    if (this.#fds.length < count) return undefined;
    return { fds: this.#fds.splice(0, count).filter((fd) => fd !== LOST), lostFds: false };
  }
}

function invalid(why: string): UnixMessageProgress {
  return { kind: "invalid", why };
}
