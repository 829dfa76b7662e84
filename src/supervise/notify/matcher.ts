/** Events of one subscription, gathered until they match its expression (supervision.md, section 3.6). */

import type { PosixRegex, RegexScan } from "../../regex/index.ts";

/** The expression is tried after so many bytes at most, counted from what was read at once. */
export const CHUNK_BYTES = 32;

/** The most events that are reported: of more, the last ones. */
export const REPORT_BYTES_MAX = 1 << 20;

/**
 * Each byte is looked at once, so that events which never match cost no more than others, and of those no more than twice
 * REPORT_BYTES_MAX are kept. No expression matches a NUL, and the events behind one count like others.
 */
export class EventMatcher {
  readonly #regex: PosixRegex;
  #scan: RegexScan;
  /** One character for each byte. */
  #events = "";

  constructor(regex: PosixRegex) {
    this.#regex = regex;
    this.#scan = regex.scan();
  }

  /** Take what was read at once: all events since the last match, once for each match. */
  take(bytes: Uint8Array): Buffer[] {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    const matches: Buffer[] = [];
    for (let at = 0; at < text.length; at += CHUNK_BYTES) {
      const match = this.#add(text.slice(at, at + CHUNK_BYTES));
      if (match !== undefined) matches.push(match);
    }
    return matches;
  }

  #add(chunk: string): Buffer | undefined {
    this.#events += chunk;
    if (this.#scan.feed(chunk)) return this.#report();
    if (this.#events.length > 2 * REPORT_BYTES_MAX) {
      this.#events = this.#events.slice(-REPORT_BYTES_MAX);
    }
    return undefined;
  }

  #report(): Buffer {
    const events = Buffer.from(this.#events.slice(-REPORT_BYTES_MAX), "latin1");
    this.#events = "";
    this.#scan = this.#regex.scan();
    return events;
  }
}
