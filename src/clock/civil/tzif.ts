/**
 * Compiled time zones, the files below /usr/share/zoneinfo (TZif, RFC 9636). The data of version 1 is
 * used only where there is no other. A file is refused as a whole when anything in it is out of
 * bounds. Its leap seconds (the zones in `right/`) are taken out of its transitions again: what is asked
 * of a zone here is always Unix time.
 */

import { parseZoneRule } from "./zone-rule.ts";
import type { Zone, ZoneSpan } from "./zone.ts";

/** The largest file that is read; those of the tz database are smaller than 4 KiB. */
export const TZIF_BYTES_MAX = 65_536;

const HEADER_BYTES = 44;
const MAGIC = "TZif";

/** The counts of a header (section 3.1), in the order they have there. */
interface Counts {
  readonly utcIndicators: number;
  readonly standardIndicators: number;
  readonly leaps: number;
  readonly transitions: number;
  readonly types: number;
  readonly names: number;
}

/** The zone of a file; undefined when it is none. */
export function parseTzif(file: Uint8Array): Zone | undefined {
  try {
    return readTzif(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a read beyond the end
    throw error;
  }
}

function readTzif(file: Buffer): Zone | undefined {
  const first = readHeader(file, 0);
  if (first === undefined) return undefined;
  if (file.readUInt8(MAGIC.length) === 0) return readBlock(file, HEADER_BYTES, first, 4)?.zone;
  const second = HEADER_BYTES + blockBytes(first, 4);
  const counts = readHeader(file, second);
  const block = counts && readBlock(file, second + HEADER_BYTES, counts, 8);
  if (block === undefined) return undefined;
  const footer = readFooter(file, block.end);
  if (footer === undefined) return undefined;
  if (footer === "") return block.zone;
  const rule = parseZoneRule(footer);
  return rule && continued(block, rule);
}

function readHeader(file: Buffer, at: number): Counts | undefined {
  if (file.toString("latin1", at, at + MAGIC.length) !== MAGIC) return undefined;
  const count = (index: number): number => file.readUInt32BE(at + 20 + 4 * index);
  const counts = {
    utcIndicators: count(0),
    standardIndicators: count(1),
    leaps: count(2),
    transitions: count(3),
    types: count(4),
    names: count(5),
  };
  return counts.types === 0 ? undefined : counts;
}

function blockBytes(counts: Counts, timeBytes: 4 | 8): number {
  const { utcIndicators, standardIndicators, leaps, transitions, types, names } = counts;
  const tables = transitions * (timeBytes + 1) + types * 6 + names + leaps * (timeBytes + 4);
  return tables + standardIndicators + utcIndicators;
}

interface Block {
  readonly zone: Zone;
  /** The time of the last transition. */
  readonly lastAt: number;
  /** The offset of the end of the data. */
  readonly end: number;
}

function readBlock(file: Buffer, at: number, counts: Counts, timeBytes: 4 | 8): Block | undefined {
  const end = at + blockBytes(counts, timeBytes);
  if (end > file.length) return undefined;
  const timeAt = (place: number): number =>
    timeBytes === 4 ? file.readInt32BE(place) : Number(file.readBigInt64BE(place));
  const typesAt = at + counts.transitions * (timeBytes + 1);
  const leapsAt = typesAt + counts.types * 6 + counts.names;
  const leaps = Array.from({ length: counts.leaps }, (_, index) => {
    const place = leapsAt + index * (timeBytes + 4);
    return { at: timeAt(place), correction: file.readInt32BE(place + timeBytes) };
  });
  const times = Array.from({ length: counts.transitions }, (_, index) =>
    withoutLeaps(timeAt(at + index * timeBytes), leaps),
  );
  const indexesAt = at + counts.transitions * timeBytes;
  const indexes = file.subarray(indexesAt, indexesAt + counts.transitions);
  const offsets = Array.from({ length: counts.types }, (_, index) =>
    file.readInt32BE(typesAt + index * 6),
  );
  if (indexes.some((index) => index >= counts.types)) return undefined;
  return { zone: tableZone(times, indexes, offsets), lastAt: times.at(-1) ?? -Infinity, end };
}

interface Leap {
  readonly at: number;
  readonly correction: number;
}

function withoutLeaps(time: number, leaps: readonly Leap[]): number {
  return time - (leaps.findLast(({ at }) => at <= time)?.correction ?? 0);
}

/** Type 0 holds before the first transition, and each transition's type from it on. */
function tableZone(
  times: readonly number[],
  indexes: Uint8Array,
  offsets: readonly number[],
): Zone {
  function spanAt(unix: number): ZoneSpan {
    const next = countUpTo(times, unix);
    const offset = offsets[next === 0 ? 0 : (indexes[next - 1] ?? 0)] ?? 0;
    return { offset, from: times[next - 1] ?? -Infinity, until: times[next] ?? Infinity };
  }
  return { spanAt };
}

/** The number of the sorted `times` that are not after `unix`. */
function countUpTo(times: readonly number[], unix: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= unix) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The text between the two line feeds at the end (section 3.3); undefined when they are missing. */
function readFooter(file: Buffer, at: number): string | undefined {
  if (file.readUInt8(at) !== 0x0a) return undefined;
  const end = file.indexOf(0x0a, at + 1);
  return end < 0 ? undefined : file.toString("latin1", at + 1, end);
}

/** The table up to its last transition, the rule from there on. */
function continued({ zone, lastAt }: Block, rule: Zone): Zone {
  function spanAt(unix: number): ZoneSpan {
    if (unix < lastAt) return zone.spanAt(unix);
    const span = rule.spanAt(unix);
    return { ...span, from: Math.max(span.from, lastAt) };
  }
  return { spanAt };
}
