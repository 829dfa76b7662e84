/** s6-tai64n as a filter: a TAI64N label and a blank in front of every line. */

import {
  floorDivide,
  formatTai64n,
  NS_PER_SECOND,
  TAI64N_CHARACTERS,
  taiFromUnix,
} from "../index.ts";
import { ByteSource } from "./byte-sink.ts";
import type { ByteSink } from "./byte-sink.ts";
import { endOfLine, LINE_FEED } from "./line-filter.ts";
import type { LineFilter } from "./line-filter.ts";

const BLANK = 0x20;
const HEX_DIGITS = Buffer.from("0123456789abcdef");
const SECONDS_CHARACTERS = 17; // `@` and 16 digits

/** Stamps each line with the time at which it is passed on; a last line without line feed gets one. */
export class StampingFilter implements LineFilter {
  readonly #realtimeNs: () => bigint;
  readonly #stamp = new ByteSource(Buffer.alloc(TAI64N_CHARACTERS + 1, BLANK));
  /** The Unix time, in nanoseconds, at which the second in the stamp began. */
  #secondNs = 0n;
  #isInLine = false;

  /** `realtimeNs` is the wall clock (`Clock`). */
  constructor(realtimeNs: () => bigint) {
    this.#realtimeNs = realtimeNs;
    this.#showSecond(0n);
  }

  pass(source: ByteSource, from: number, to: number, sink: ByteSink): void {
    const { bytes } = source;
    for (let at = from; at < to;) {
      const end = endOfLine(bytes, at, to);
      if (!this.#isInLine) this.#putStamp(sink);
      sink.append(source, at, end);
      this.#isInLine = bytes[end - 1] !== LINE_FEED;
      at = end;
    }
  }

  end(sink: ByteSink): void {
    if (!this.#isInLine) return;
    sink.append(new ByteSource(Buffer.of(LINE_FEED)), 0, 1);
    this.#isInLine = false;
  }

  #putStamp(sink: ByteSink): void {
    const stamp = this.#stamp.bytes;
    const nowNs = this.#realtimeNs();
    const sinceNs = nowNs - this.#secondNs;
    if (sinceNs < 0n || sinceNs >= NS_PER_SECOND)
      this.#showSecond(floorDivide(nowNs, NS_PER_SECOND));
    let nanoseconds = Number(nowNs - this.#secondNs);
    for (let at = TAI64N_CHARACTERS - 1; at >= SECONDS_CHARACTERS; at -= 1) {
      stamp[at] = HEX_DIGITS[nanoseconds & 15] ?? 0;
      nanoseconds >>>= 4;
    }
    sink.append(this.#stamp, 0, stamp.length);
  }

  #showSecond(unix: bigint): void {
    this.#secondNs = unix * NS_PER_SECOND;
    const label = formatTai64n(taiFromUnix(this.#secondNs));
    this.#stamp.bytes.write(label, 0, SECONDS_CHARACTERS, "latin1");
  }
}
