/**
 * The numbers of the suite's command lines and variables: unsigned decimals and ports.
 * Digits only and the whole text, so a sign, a blank, hexadecimal or an exponent is refused.
 */

/** The largest unsigned number, uid or gid: 2^32 - 1. */
export const UNSIGNED_MAX = 0xffff_ffff;

export const PORT_MAX = 0xffff;

const DIGITS = /^[0-9]+$/;

/** An unsigned decimal of at most `max` (UNSIGNED_MAX unless given); leading zeros are fine. */
export function parseUnsigned(text: string, max = UNSIGNED_MAX): number | undefined {
  if (!DIGITS.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** A port, 0 to 65535; the caller decides what 0 means. */
export function parsePort(text: string): number | undefined {
  return parseUnsigned(text, PORT_MAX);
}
