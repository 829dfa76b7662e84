/** What option arguments may be: text to value, throwing InvalidArgument (networking.md, section 2). */

import { InvalidArgument } from "./table.ts";

export const UINT32_MAX = 0xffff_ffff;

/** Milliseconds are a signed 32-bit number to the C suite; more is refused rather than misread. */
const MILLISECONDS_MAX = 0x7fff_ffff;

/** Decimal digits only, at most 2^32 - 1. */
export function unsigned(text: string): number {
  return wholeNumber(text, UINT32_MAX, "an unsigned integer");
}

/** A duration in milliseconds; 0 means no limit and becomes undefined. */
export function milliseconds(text: string): number | undefined {
  const ms = wholeNumber(text, MILLISECONDS_MAX, "an unsigned integer of milliseconds");
  return ms === 0 ? undefined : ms;
}

/** A duration in whole seconds; 0 means no limit and becomes undefined. The value is in milliseconds. */
export function seconds(text: string): number | undefined {
  const most = Math.floor(MILLISECONDS_MAX / 1000);
  const s = wholeNumber(text, most, "an unsigned integer of seconds");
  return s === 0 ? undefined : s * 1000;
}

/** A descriptor number. */
export function descriptorNumber(text: string): number {
  return wholeNumber(text, MILLISECONDS_MAX, "a descriptor number");
}

/** A descriptor number that is none of 0, 1 and 2. */
export function descriptorAbove2(text: string): number {
  const fd = descriptorNumber(text);
  if (fd < 3) throw new InvalidArgument("a descriptor number of at least 3");
  return fd;
}

/** A file mode in octal, permission bits only. */
export function octalMode(text: string): number {
  if (!/^[0-7]{1,7}$/.test(text)) throw new InvalidArgument("an octal file mode");
  return Number.parseInt(text, 8) & 0o7777;
}

/** Any text. */
export function text(argument: string): string {
  return argument;
}

/** One of a few words. */
export function oneOf<const Word extends string>(...words: readonly Word[]) {
  return (argument: string): Word => {
    const found = words.find((word) => word === argument);
    if (found === undefined) throw new InvalidArgument(`one of ${words.join(", ")}`);
    return found;
  };
}

function wholeNumber(text: string, most: number, expected: string): number {
  if (!/^[0-9]+$/.test(text)) throw new InvalidArgument(expected);
  const value = Number(text);
  if (value > most) throw new InvalidArgument(`${expected} up to ${most}`);
  return value;
}
