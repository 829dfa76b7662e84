/**
 * The leap seconds of UTC, all of which were inserted (IERS Bulletin C). The table is compiled in, as
 * it is in the C suite; docs/formats/tai.md says how it is kept.
 *
 * Two scales of whole seconds since 1970-01-01 00:00:00 are used here: Unix time, which knows no leap
 * seconds, and TAI, which counts them and was 10 seconds ahead before the first.
 */

/** The midnights (Unix seconds) right after an inserted second. */
const MIDNIGHTS: readonly number[] = [
  78_796_800, // 1972-07-01
  94_694_400, // 1973-01-01
  126_230_400, // 1974-01-01
  157_766_400, // 1975-01-01
  189_302_400, // 1976-01-01
  220_924_800, // 1977-01-01
  252_460_800, // 1978-01-01
  283_996_800, // 1979-01-01
  315_532_800, // 1980-01-01
  362_793_600, // 1981-07-01
  394_329_600, // 1982-07-01
  425_865_600, // 1983-07-01
  489_024_000, // 1985-07-01
  567_993_600, // 1988-01-01
  631_152_000, // 1990-01-01
  662_688_000, // 1991-01-01
  709_948_800, // 1992-07-01
  741_484_800, // 1993-07-01
  773_020_800, // 1994-07-01
  820_454_400, // 1996-01-01
  867_715_200, // 1997-07-01
  915_148_800, // 1999-01-01
  1_136_073_600, // 2006-01-01
  1_230_768_000, // 2009-01-01
  1_341_100_800, // 2012-07-01
  1_435_708_800, // 2015-07-01
  1_483_228_800, // 2017-01-01
];

const FIRST_OFFSET = 10;

/** The number of seconds by which TAI is ahead of Unix time in some second. */
export interface LeapState {
  readonly taiMinusUnix: number;
  /**
   * It is the inserted second, 23:59:60, which has no Unix time of its own and is told by that of the
   * midnight after it.
   */
  readonly isLeap: boolean;
}

/** TAI - UTC from a second of Unix time on: 10 before 1972-07-01, 37 since 2017. */
export function taiMinusUnix(unix: number): number {
  let inserted = MIDNIGHTS.length;
  while (inserted > 0 && (MIDNIGHTS[inserted - 1] ?? 0) > unix) inserted -= 1;
  return FIRST_OFFSET + inserted;
}

/** The same for a second of TAI, which may be an inserted one. */
export function leapStateAt(tai: number): LeapState {
  let inserted = MIDNIGHTS.length;
  while (inserted > 0 && insertedSecond(inserted - 1) > tai) inserted -= 1;
  const isLeap = inserted > 0 && insertedSecond(inserted - 1) === tai;
  return { taiMinusUnix: FIRST_OFFSET + inserted - (isLeap ? 1 : 0), isLeap };
}

/** Does a second that was inserted precede this midnight (a Unix time)? */
export function followsLeapSecond(unix: number): boolean {
  return MIDNIGHTS.includes(unix);
}

/** The TAI second that is the inserted one of this index. */
function insertedSecond(index: number): number {
  return (MIDNIGHTS[index] ?? 0) + FIRST_OFFSET + index;
}
