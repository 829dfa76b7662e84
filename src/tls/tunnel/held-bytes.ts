/**
 * Output that waits for more to go with it. A server of TLS 1.3 sends its tickets when the handshake is
 * done (RFC 8446, section 4.6.1), and a peer that only sends never reads them: when it closes, its kernel
 * resets the connection for the bytes that were not read, and drops what it has not sent yet.
 */

/**
 * With more than this the wait is over. Two tickets have some 500 bytes, or thousands where a chain of
 * certificates of the client is in them; a peer that asks for new keys again and again makes it more.
 */
const HELD_BYTES_MAX = 65_536;

export class HeldBytes {
  #state: "passing" | "holding" = "passing";
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  /** Keep what comes from now on. */
  hold(): void {
    this.#state = "holding";
  }

  /** What is kept goes with what comes next. */
  release(): void {
    this.#state = "passing";
  }

  /** Of output that comes, and what has waited, what is to be written now. */
  through(bytes: readonly Uint8Array[]): readonly Uint8Array[] {
    if (this.#state === "passing" && this.#waiting.length === 0) return bytes;
    this.#waiting.push(...bytes);
    for (const { length } of bytes) this.#waitingBytes += length;
    if (this.#state === "holding" && this.#waitingBytes <= HELD_BYTES_MAX) return [];
    const all = this.#waiting;
    this.#state = "passing";
    this.#waiting = [];
    this.#waitingBytes = 0;
    return all;
  }
}
