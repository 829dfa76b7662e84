/** Messages over pipes: a length, `u32be`, and so many bytes (local-services.md, section 4.2). */

/** The longest body. */
export const FRAME_BYTES_MAX = 1 << 24;

const HEADER_BYTES = 4;

export function formatFrame(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length, 0);
  frame.set(body, HEADER_BYTES);
  return frame;
}

export type FrameProgress =
  | { readonly kind: "frame"; readonly body: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "tooLong"; readonly length: number };

const MORE = { kind: "more" } as const;

/** Takes bytes as they come, and gives messages. It holds one message and what was fed last. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #length = 0;

  feed(bytes: Uint8Array): void {
    this.#chunks.push(Buffer.from(bytes));
    this.#length += bytes.length;
  }

  /** The next message. After "tooLong" what follows has no meaning. */
  next(): FrameProgress {
    if (this.#length < HEADER_BYTES) return MORE;
    const first = this.#chunks[0];
    const head =
      first !== undefined && first.length >= HEADER_BYTES ? first : this.#joined(HEADER_BYTES);
    const length = head.readUInt32BE(0);
    if (length > FRAME_BYTES_MAX) return { kind: "tooLong", length };
    const end = HEADER_BYTES + length;
    if (this.#length < end) return MORE;
    const joined = this.#joined(end);
    this.#chunks = end < joined.length ? [joined.subarray(end)] : [];
    this.#length -= end;
    return { kind: "frame", body: joined.subarray(HEADER_BYTES, end) };
  }

  /** One buffer of all that has come; only joined when it is needed, so that no byte is copied often. */
  #joined(least: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= least) {
      if (this.#chunks.length === 1) return first;
    }
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
