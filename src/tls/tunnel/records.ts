/** The boundaries of TLS records (RFC 8446 section 5.1), without their content. */

/** Type, version and length. */
const HEADER_BYTES = 5;

/** Follows the ciphertext of one direction through its records. */
export class RecordCounter {
  /** Bytes of the current record that are still to come; 0 between records. */
  #bodyLeft = 0;
  #headerBytes = 0;
  #length = 0;

  /** The last byte seen was not the last of a record. */
  get isInsideRecord(): boolean {
    return this.#bodyLeft > 0 || this.#headerBytes > 0;
  }

  count(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#bodyLeft > 0) {
        const skipped = Math.min(this.#bodyLeft, bytes.length - at);
        this.#bodyLeft -= skipped;
        at += skipped;
      } else {
        this.#takeHeaderByte(bytes[at] ?? 0);
        at += 1;
      }
    }
  }

  #takeHeaderByte(byte: number): void {
    this.#headerBytes += 1;
    if (this.#headerBytes === HEADER_BYTES - 1) this.#length = byte << 8;
    if (this.#headerBytes < HEADER_BYTES) return;
    this.#bodyLeft = this.#length | byte;
    this.#headerBytes = 0;
  }
}
