/**
 * Filters of lines: bytes in, bytes out, in large pieces and with no string in between. What has been
 * read is written before the next read, but for a line that has not ended yet: that one is kept back,
 * up to LINE_BYTES_KEPT of it, so that lines of several writers do not get mixed.
 */

import type { Fd, Posix } from "../../posix/index.ts";
import { ByteSink, ByteSource } from "./byte-sink.ts";

/** A longer line is passed on in parts; it has no maximum. */
export const LINE_BYTES_KEPT = 65_536;

const INPUT_BYTES = 4 * LINE_BYTES_KEPT;
const OUTPUT_BYTES = 4 * LINE_BYTES_KEPT;

export const LINE_FEED = 0x0a;

/** A filter: it turns the bytes that it is given into others. */
export interface LineFilter {
  /**
   * Pass `source.bytes[from, to)` on to `sink`: whole lines, or the end of the input, or, of a line longer than
   * LINE_BYTES_KEPT, a part. Whether a part begins a line is for the filter to remember.
   */
  pass(source: ByteSource, from: number, to: number, sink: ByteSink): void;
  /** The input has ended. */
  end(sink: ByteSink): void;
}

/** The descriptors that a filter reads from and writes to. */
export interface FilterEnds {
  readonly input: Fd;
  readonly output: Fd;
}

/**
 * Run a filter until its input ends. Blocks the process, which has nothing else to do. Throws
 * SystemError: `syscall` says whether reading or writing failed.
 */
export function filterLines(posix: Posix, { input, output }: FilterEnds, filter: LineFilter): void {
  const bytes = Buffer.allocUnsafeSlow(INPUT_BYTES);
  const source = new ByteSource(bytes);
  const sink = new ByteSink(posix, output, OUTPUT_BYTES);
  let kept = 0;
  for (;;) {
    const count = readSome(posix, input, bytes.subarray(kept));
    if (count === 0) break;
    const end = kept + count;
    const ready = endOfReady(bytes, kept, end);
    filter.pass(source, 0, ready, sink);
    sink.flush();
    bytes.copyWithin(0, ready, end);
    kept = end - ready;
  }
  filter.pass(source, 0, kept, sink);
  filter.end(sink);
  sink.flush();
}

/** The end of the line that `at` is in: behind its line feed, or `to`. */
export function endOfLine(bytes: Buffer, at: number, to: number): number {
  const lineFeed = bytes.indexOf(LINE_FEED, at);
  return lineFeed < 0 || lineFeed >= to ? to : lineFeed + 1;
}

/**
 * The number of bytes of `bytes[0, end)` that can be passed on; the first `kept` of them have no line
 * feed.
 */
function endOfReady(bytes: Buffer, kept: number, end: number): number {
  const ready = kept + bytes.subarray(kept, end).lastIndexOf(LINE_FEED) + 1;
  const whole = ready === kept ? 0 : ready;
  return end - whole < LINE_BYTES_KEPT ? whole : end;
}

/** Read something; 0 is the end of the input. */
function readSome(posix: Posix, fd: Fd, into: Uint8Array): number {
  for (;;) {
    const count = posix.read(fd, into);
    if (count !== undefined) return count;
    posix.waitReady(fd, { readable: true }, -1);
  }
}
