/**
 * Limits of entries, the instants at which they expire, as the messages of a holder carry them. A dump has
 * thousands; they are kept as they have come, and made instants only where time is reckoned with.
 */

import { packTai64n, taiAt, TAI64N_BYTES, unpackTai64n } from "../../../clock/index.ts";
import type { Tai } from "../../../clock/index.ts";

declare const limitBrand: unique symbol;

/** A TAI64N label, one character for each of its 12 bytes (latin1). Labels compare as their instants do. */
export type HolderLimit = string & { readonly [limitBrand]: true };

/** The first of the instants that have no label, and the first number of nanoseconds that is none. */
const LABELS_END = "\x80";
const NANOSECONDS_END = "\x3b\x9a\xca\x00";
const SECONDS_BYTES = 8;

/** Characters that stand for bytes as a label; undefined for what is none. */
export function parseHolderLimit(text: string): HolderLimit | undefined {
  if (text.length !== TAI64N_BYTES || text >= LABELS_END) return undefined;
  return text.slice(SECONDS_BYTES) < NANOSECONDS_END ? (text as HolderLimit) : undefined;
}

/** Throws RangeError for an instant that has no label. */
export function holderLimitAt(tai: Tai): HolderLimit {
  return Buffer.from(packTai64n(tai)).toString("latin1") as HolderLimit;
}

export function instantOf(limit: HolderLimit): Tai {
  const tai = unpackTai64n(Buffer.from(limit, "latin1"));
  if (tai === undefined) throw new RangeError("Not a label");
  return tai;
}

/** From here on, some 2^60 seconds after all times that are now (local-services.md, section 3), there is no end. */
const NEVER = "\x51";

/** Is it so far away that no clock has to be asked? */
export function isSurelyNever(limit: HolderLimit): boolean {
  return limit >= NEVER;
}

/**
 * The same entries, no two of them with the same limit: of those that would have one, each gets the next nanosecond that is
 * free. A holder of the C suite would hang with them.
 */
export function withDistinctLimits<T extends { readonly limit: HolderLimit }>(
  entries: readonly T[],
): readonly T[] {
  const used = new Set<HolderLimit>();
  for (const { limit } of entries) used.add(limit);
  return used.size === entries.length ? entries : spreadLimits(entries);
}

function spreadLimits<T extends { readonly limit: HolderLimit }>(entries: readonly T[]): T[] {
  const used = new Set<HolderLimit>();
  /** Where to look on for a limit that was asked for before. */
  const nextOf = new Map<HolderLimit, HolderLimit>();
  return entries.map((entry) => {
    let limit = nextOf.get(entry.limit) ?? entry.limit;
    while (used.has(limit)) limit = nextOf.get(limit) ?? following(limit);
    used.add(limit);
    nextOf.set(entry.limit, following(limit));
    return limit === entry.limit ? entry : { ...entry, limit };
  });
}

/** The next nanosecond. */
function following(limit: HolderLimit): HolderLimit {
  return holderLimitAt(taiAt(instantOf(limit) + 1n));
}
