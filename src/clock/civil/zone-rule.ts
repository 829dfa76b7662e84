/**
 * Time zones as rules, the form of TZ that POSIX specifies (Base Definitions section 8.3), with the
 * extensions of RFC 9636 section 3.3.1: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+0330>-3:30`.
 */

import { civilAt, daysTo, isLeapYear, SECONDS_PER_DAY } from "./civil.ts";
import type { Zone, ZoneSpan } from "./zone.ts";

/** The moment in a year at which clocks change. */
interface ChangeRule {
  readonly day: DayRule;
  /** Seconds after midnight by the clock that is changed; may be negative or more than a day. */
  readonly time: number;
}

type DayRule =
  /** `M3.5.0`: the fifth (that is, last) Sunday of March. */
  | { readonly kind: "weekday"; readonly month: number; readonly week: number; readonly on: number }
  /** `J60`: 1 to 365, 29 February never counted; March 1 is always 60. */
  | { readonly kind: "julian"; readonly day: number }
  /** `59`: 0 to 365, counting 29 February where there is one. */
  | { readonly kind: "yearDay"; readonly day: number };

/** The rule of the United States since 2007, which a zone has that names none. */
const DEFAULT_RULES = ",M3.2.0,M11.1.0";

const RULE_TEXT_MAX = 256;

const NAME = "(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)";
const TIME = "[+-]?[0-9]{1,3}(?::[0-9]{1,2}(?::[0-9]{1,2})?)?";
const ZONE = new RegExp(`^${NAME}(${TIME})(?:${NAME}(${TIME})?(.*))?$`);
const CHANGE = new RegExp(
  `^(?:M([0-9]{1,2})\\.([1-5])\\.([0-6])|(J?)([0-9]{1,3}))(?:/(${TIME}))?$`,
);

/** The zone of a rule; undefined when the text is none. */
export function parseZoneRule(text: string): Zone | undefined {
  if (text.length > RULE_TEXT_MAX) return undefined;
  const found = ZONE.exec(text);
  if (found === null) return undefined;
  const [, standardText = "", summerText, rules] = found;
  const standard = 0 - parseTime(standardText);
  if (rules === undefined) return fixedZone(standard);
  const summer = summerText === undefined ? standard + 3600 : 0 - parseTime(summerText);
  const [, startText = "", endText = "", ...surplus] = (rules || DEFAULT_RULES).split(",");
  const start = parseChange(startText);
  const end = parseChange(endText);
  if (start === undefined || end === undefined || surplus.length > 0) return undefined;
  return { spanAt: (unix) => spanAt({ standard, summer, start, end }, unix) };
}

function fixedZone(offset: number): Zone {
  const span = { offset, from: -Infinity, until: Infinity };
  return { spanAt: () => span };
}

interface SummerTime {
  readonly standard: number;
  readonly summer: number;
  readonly start: ChangeRule;
  readonly end: ChangeRule;
}

/** Looks at the changes of the years around: a change of January may be in December by UTC. */
function spanAt(zone: SummerTime, unix: number): ZoneSpan {
  const { year } = civilAt(unix);
  const changes = [year - 1, year, year + 1].flatMap((one) => changesOf(zone, one));
  changes.sort((a, b) => a.at - b.at);
  const next = changes.findIndex(({ at }) => at > unix);
  const last = changes[next - 1];
  const until = changes[next]?.at ?? Infinity;
  return { offset: last?.offset ?? zone.standard, from: last?.at ?? -Infinity, until };
}

interface Change {
  readonly at: number;
  /** The offset from then on. */
  readonly offset: number;
}

/** Two changes; none in a zone whose summer never ends, where each end meets the next start. */
function changesOf({ standard, summer, start, end }: SummerTime, year: number): readonly Change[] {
  return [
    { at: changeAt(end, year) - summer, offset: standard },
    { at: changeAt(start, year) - standard, offset: summer },
  ];
}

/** The local second at which a rule takes effect. */
function changeAt({ day, time }: ChangeRule, year: number): number {
  return dayNumber(day, year) * SECONDS_PER_DAY + time;
}

/** Days since 1970-01-01. */
function dayNumber(rule: DayRule, year: number): number {
  const newYear = daysTo(year, 1, 1);
  switch (rule.kind) {
    case "yearDay":
      return newYear + rule.day;
    case "julian":
      return newYear + rule.day - 1 + (rule.day >= 60 && isLeapYear(year) ? 1 : 0);
    case "weekday":
      return weekdayOf(rule, year);
  }
}

function weekdayOf(rule: Extract<DayRule, { kind: "weekday" }>, year: number): number {
  const { month, week, on } = rule;
  const first = daysTo(year, month, 1);
  const next = month === 12 ? daysTo(year + 1, 1, 1) : daysTo(year, month + 1, 1);
  const firstWeekday = (((first + 4) % 7) + 7) % 7; // 1970-01-01 was a Thursday
  const day = first + ((on - firstWeekday + 7) % 7) + (week - 1) * 7;
  return day < next ? day : day - 7;
}

function parseChange(text: string): ChangeRule | undefined {
  const found = CHANGE.exec(text);
  if (found === null) return undefined;
  const [, month, week, on, julian, day, timeText] = found;
  const time = timeText === undefined ? 2 * 3600 : parseTime(timeText);
  const rule: DayRule =
    month === undefined
      ? { kind: julian === "J" ? "julian" : "yearDay", day: Number(day) }
      : { kind: "weekday", month: Number(month), week: Number(week), on: Number(on) };
  return isPossible(rule) ? { day: rule, time } : undefined;
}

function isPossible(rule: DayRule): boolean {
  switch (rule.kind) {
    case "weekday":
      return rule.month >= 1 && rule.month <= 12;
    case "julian":
      return rule.day >= 1 && rule.day <= 365;
    case "yearDay":
      return rule.day <= 365;
  }
}

/** Seconds of `[+-]hh[:mm[:ss]]`. */
function parseTime(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, "").split(":").map(Number);
  return (text.startsWith("-") ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
}
