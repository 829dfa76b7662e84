/** Output of a filter: bytes are gathered in one buffer and written when it is full or at `flush`. */

import { writeFully } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";

/** Bytes to be appended, and a view for moving several at a time. */
export class ByteSource {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}

/** Shorter pieces are moved faster here, four bytes at a time, than by a call of the engine. */
const SHORT_BYTES = 96;

export class ByteSink {
  /** Write here from `used` on, after `reserve`, and move `used`. */
  readonly bytes: Uint8Array;
  used = 0;
  readonly #view: DataView;
  readonly #posix: Posix;
  readonly #fd: Fd;

  constructor(posix: Posix, fd: Fd, size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    this.#posix = posix;
    this.#fd = fd;
  }

  /** Make room for so many bytes, at most the size of the buffer. Throws SystemError of write(2). */
  reserve(count: number): void {
    if (this.used + count > this.bytes.length) this.flush();
  }

  /** Append `source.bytes[from, to)`, of any length. */
  append(source: ByteSource, from: number, to: number): void {
    if (to - from <= SHORT_BYTES && to - from <= this.bytes.length) {
      this.reserve(to - from);
      this.#appendShort(source, from, to);
      return;
    }
    for (let at = from; at < to;) {
      if (this.used === this.bytes.length) this.flush();
      const count = Math.min(to - at, this.bytes.length - this.used);
      this.bytes.set(source.bytes.subarray(at, at + count), this.used);
      this.used += count;
      at += count;
    }
  }

  #appendShort(source: ByteSource, from: number, to: number): void {
    const { view } = source;
    let { used } = this;
    let at = from;
    for (; at + 4 <= to; at += 4, used += 4) this.#view.setUint32(used, view.getUint32(at));
    for (; at < to; at += 1, used += 1) this.bytes[used] = source.bytes[at] ?? 0;
    this.used = used;
  }

  flush(): void {
    const { used } = this;
    this.used = 0;
    if (used > 0) writeFully(this.#posix, this.#fd, this.bytes.subarray(0, used));
  }
}
