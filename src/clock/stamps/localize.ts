/**
 * s6-tai64nlocal as a filter: a TAI64N label at the start of a line becomes local time. Everything else
 * passes as it is, whatever bytes it has.
 *
 * This is the hot path of reading logs: bytes are moved from one buffer to another, and the date is
 * worked out anew only when the minute changes.
 */

import { leapStateAt, TAI64N_CHARACTERS } from "../index.ts";
import { formatCivil, localTimeOfTai } from "../civil/index.ts";
import type { Zone } from "../civil/index.ts";
import { ByteSource } from "./byte-sink.ts";
import type { ByteSink } from "./byte-sink.ts";
import { endOfLine, LINE_FEED } from "./line-filter.ts";
import type { LineFilter } from "./line-filter.ts";

const AT_SIGN = 0x40;
const ZERO = 0x30;

/** The value of each byte as a hexadecimal digit, -1 where it is none. */
const DIGITS = Int8Array.from({ length: 256 }, (_, byte) =>
  /[0-9a-f]/i.test(String.fromCharCode(byte)) ? Number.parseInt(String.fromCharCode(byte), 16) : -1,
);

const NS_PER_SECOND = 1_000_000_000;
const NS_DIGITS = 9;

/** The high 32 bits of the label of 1970, and those beyond which a number of seconds is not exact. */
const HIGH_FIRST = 0x4000_0000;
const HIGH_END = HIGH_FIRST + (1 << 20);
const UNIX_EPOCH_TAI = 10;

/** Room for the longest local time: the year has up to nine digits. */
const LOCAL_BYTES_MAX = 40;

/** Replaces labels by the time in a zone. Labels before 1970 stay, as do those that are not valid. */
export class LocalizingFilter implements LineFilter {
  readonly #zone: Zone;
  #isInLine = false;
  /** The 16 digits of the second that `#prefix` shows, in four pieces. */
  readonly #shown = new Uint32Array(4);
  /** `2016-12-31 23:59:60.` */
  readonly #prefix = new ByteSource(Buffer.alloc(LOCAL_BYTES_MAX));
  #prefixLength = 0;
  /** The TAI seconds of which only the last two digits of the prefix differ. */
  #minuteStart = 0;
  #minuteEnd = 0;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  pass(source: ByteSource, from: number, to: number, sink: ByteSink): void {
    const { bytes } = source;
    let copied = from;
    for (let at = from; at < to;) {
      // A label counts when at least one more byte follows it, a line feed for instance.
      if (!this.#isInLine && bytes[at] === AT_SIGN && to - at > TAI64N_CHARACTERS) {
        copied = this.#passLabel(source, at, copied, sink);
      }
      at = endOfLine(bytes, at, to);
      this.#isInLine = bytes[at - 1] !== LINE_FEED;
    }
    sink.append(source, copied, to);
  }

  end(): void {}

  /** Replace the label at `at`, if it is one; up to where the source has been passed on then. */
  #passLabel(source: ByteSource, at: number, copied: number, sink: ByteSink): number {
    const nanoseconds = this.#readLabel(source, at + 1);
    if (nanoseconds < 0) return copied;
    sink.append(source, copied, at);
    sink.reserve(LOCAL_BYTES_MAX);
    sink.append(this.#prefix, 0, this.#prefixLength);
    putDigits(sink, nanoseconds);
    return at + TAI64N_CHARACTERS;
  }

  /** Make the prefix that of the 24 digits from `at` on; the nanoseconds, -1 if there are none. */
  #readLabel(source: ByteSource, at: number): number {
    const nanoseconds = hexWord(source.bytes, at + 16);
    if (nanoseconds >= NS_PER_SECOND) return -1;
    return this.#isShown(source.view, at) || this.#showSecond(source, at) ? nanoseconds : -1;
  }

  /** Does the prefix show the second of these 16 digits? Nothing is parsed where it does. */
  #isShown(view: DataView, at: number): boolean {
    const shown = this.#shown;
    return (
      view.getUint32(at + 12) === shown[3] &&
      view.getUint32(at + 8) === shown[2] &&
      view.getUint32(at + 4) === shown[1] &&
      view.getUint32(at) === shown[0]
    );
  }

  /** Make the prefix that of a second; false when the second cannot be shown. */
  #showSecond({ bytes, view }: ByteSource, at: number): boolean {
    const high = hexWord(bytes, at);
    const low = hexWord(bytes, at + 8);
    if (high < HIGH_FIRST || high >= HIGH_END || low < 0) return false;
    const tai = (high - HIGH_FIRST) * 2 ** 32 + low;
    if (tai < UNIX_EPOCH_TAI) return false;
    if (tai < this.#minuteStart || tai >= this.#minuteEnd) this.#showMinute(tai);
    else this.#showSecondOfMinute(tai - this.#minuteStart);
    for (let word = 0; word < 4; word += 1) this.#shown[word] = view.getUint32(at + 4 * word);
    return true;
  }

  #showMinute(tai: number): void {
    const local = localTimeOfTai(this.#zone, tai);
    this.#prefixLength = this.#prefix.bytes.write(`${formatCivil(local)}.`, "latin1");
    const { isLeap, taiMinusUnix } = leapStateAt(tai);
    const { from, until } = this.#zone.spanAt(tai - taiMinusUnix);
    const start = tai - local.second;
    // A leap second, and a minute in which the clock is changed, stand for themselves.
    const isWhole = from + taiMinusUnix <= start && until + taiMinusUnix >= start + 60;
    this.#minuteStart = isLeap || !isWhole ? tai : start;
    this.#minuteEnd = isLeap || !isWhole ? tai : start + 60;
  }

  #showSecondOfMinute(second: number): void {
    const tens = (second / 10) | 0;
    const { bytes } = this.#prefix;
    bytes[this.#prefixLength - 3] = ZERO + tens;
    bytes[this.#prefixLength - 2] = ZERO + second - tens * 10;
  }
}

/** Append nine decimal digits, for which there is room. */
function putDigits(sink: ByteSink, nanoseconds: number): void {
  const { bytes, used } = sink;
  let rest = nanoseconds;
  for (let index = used + NS_DIGITS - 1; index >= used; index -= 1) {
    const tenth = (rest / 10) | 0;
    bytes[index] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  sink.used = used + NS_DIGITS;
}

/** The 32 bits of 8 hexadecimal digits, -1 where one of them is none. */
function hexWord(bytes: Uint8Array, at: number): number {
  let value = 0;
  let signs = 0;
  for (let index = at; index < at + 8; index += 1) {
    const digit = DIGITS[bytes[index] ?? 0] ?? -1;
    signs |= digit;
    value = (value << 4) | digit;
  }
  return signs < 0 ? -1 : value >>> 0;
}
