/** Words for the options of a table, whatever command it is of. */

import fc from "fast-check";
import type { OptionForm, OptionTable } from "../../src/options/index.ts";

const TEXT = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => !text.includes("\0"));

/** Numbers as people write them, up to `max`. */
function numbers(max: number, min = 0): fc.Arbitrary<string> {
  const zeros = fc.nat(2).map((length) => "0".repeat(length));
  return fc.tuple(zeros, fc.integer({ min, max })).map(([before, number]) => `${before}${number}`);
}

const UNSIGNED = numbers(0xffff_ffff);
const MILLISECONDS = numbers(0x7fff_ffff);
const DESCRIPTOR = numbers(0x7fff_ffff, 3);
const LIMIT = fc.oneof(fc.constant("="), fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map(String));
const IP4 = fc.ipV4();
const IP = fc.oneof(IP4, fc.constantFrom("::", "::1", "2001:DB8::7", "::ffff:1.2.3.4"));
const NETWORK = fc.oneof(
  IP,
  fc.constantFrom("192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "::/0"),
);
const GIDS = fc.array(UNSIGNED, { minLength: 1 }).map((gids) => gids.join(","));

/** Arguments by their name in usage texts, for every such name. */
const ARGUMENTS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "1.2|1.3": fc.constantFrom("1.2", "1.3"),
  account: TEXT,
  backlog: UNSIGNED,
  banner: fc.string(),
  bindpath: TEXT,
  cdb: TEXT,
  char: TEXT,
  days: numbers(397, 1),
  dir: TEXT,
  errmax: UNSIGNED,
  fd: DESCRIPTOR,
  fdr: DESCRIPTOR,
  fdtimeout: MILLISECONDS,
  fdw: DESCRIPTOR,
  file: TEXT,
  gid: UNSIGNED,
  "gid,gid,...": GIDS,
  ip: IP,
  "ip:port": fc.oneof(
    fc.tuple(IP4, numbers(65_535)).map(([ip, port]) => `${ip}:${port}`),
    numbers(65_535).map((port) => `[2001:db8::1]:${port}`),
  ),
  lameducktimeout: MILLISECONDS,
  list: TEXT,
  localip: IP,
  localmaxconn: UNSIGNED,
  localname: fc.string(),
  localport: numbers(65_535),
  maxconn: UNSIGNED,
  maxfds: UNSIGNED,
  mode: fc.integer({ min: 0, max: 0o7777 }).map((mode) => mode.toString(8)),
  ms: MILLISECONDS,
  n: numbers(0xffff_ffff, 1),
  name: fc.constantFrom("UNIX", "OTHER", "www.example.org"),
  networks: fc.array(NETWORK, { minLength: 1 }).map((networks) => networks.join(",")),
  "none|type:value": fc.constantFrom("none", "dns:a.example", "ip:192.0.2.1", "subject:CN=a"),
  "p256|p384|rsa2048|rsa3072|ed25519": fc.constantFrom("p256", "rsa3072"),
  perms: fc.integer({ min: 0, max: 0o7777 }).map((mode) => `0${mode.toString(8)}`),
  port: numbers(65_535),
  "proto,...": fc.array(fc.stringMatching(/^[a-z0-9/.]+$/), { minLength: 1 }).map(String),
  "refuse|pass": fc.constantFrom("refuse", "pass"),
  roundtrips: UNSIGNED,
  rulesdir: TEXT,
  rulesfile: TEXT,
  "s6|djb": fc.constantFrom("s6", "djb"),
  seconds: numbers(2_147_483),
  secretfile: TEXT,
  snilevel: numbers(5),
  "text|json": fc.constantFrom("text", "json"),
  throttle: UNSIGNED,
  timeout: MILLISECONDS,
  "timeoutfrom:timeoutto": fc.oneof(
    fc.constantFrom(":", "7", "7:", ":7"),
    fc.tuple(MILLISECONDS, MILLISECONDS).map((both) => both.join(":")),
  ),
  totaltimeout: MILLISECONDS,
  triptimeout: MILLISECONDS,
  "type=text": fc
    .tuple(fc.constantFrom("5", "0xea", "255"), fc.string({ unit: "binary" }))
    .map(([type, text]) => `${type}=${text}`),
  uid: UNSIGNED,
  "uid:gid": fc.tuple(UNSIGNED, UNSIGNED).map((parts) => parts.join(":")),
  "uid:gid:gidlist": fc
    .tuple(UNSIGNED, UNSIGNED, fc.oneof(fc.constant(""), GIDS))
    .map((parts) => parts.join(":")),
  user: fc.constantFrom("nobody", "web-1"),
  verbosity: UNSIGNED,
  "x[+y]": fc.oneof(
    numbers(4e6),
    fc.tuple(numbers(4e6), numbers(4e6)).map((both) => both.join("+")),
  ),
  ...Object.fromEntries(
    ["all", "core", "data", "file", "lock", "mem", "resident", "stack"].map((of) => [
      `${of}bytes`,
      LIMIT,
    ]),
  ),
  openfiles: LIMIT,
  priority: LIMIT,
  processes: LIMIT,
  cpusecs: LIMIT,
};

/** One form as it may be written. */
function written(form: OptionForm<unknown>): fc.Arbitrary<readonly string[]> {
  const { short, long, argument } = form;
  const spellings: fc.Arbitrary<readonly string[]>[] = [];
  const argumentOf = argument === undefined ? fc.constant("") : ARGUMENTS[argument];
  if (argumentOf === undefined) throw new Error(`Nothing is known of the argument ${argument}`);
  if (short !== undefined) {
    spellings.push(
      argument === undefined
        ? fc.constant([`-${short}`])
        : argumentOf.map((text) => [`-${short}`, text]),
    );
  }
  if (long !== undefined) {
    spellings.push(
      argument === undefined
        ? fc.constant([`--${long}`])
        : argumentOf.map((text) => [`--${long}=${text}`]),
    );
  }
  return fc.oneof(...spellings);
}

/** Forms of the table with arguments that they can take, in any order and number. */
export function wordsFor(table: OptionTable): fc.Arbitrary<readonly string[]> {
  const forms = Object.values(table).flatMap((option) => option.forms);
  if (forms.length === 0) return fc.constant([]);
  return fc.array(fc.oneof(...forms.map(written)), { maxLength: 12 }).map((words) => words.flat());
}

/** The names of arguments that are one whole number. */
export const NUMBER_NAMES: ReadonlySet<string> = new Set([
  "backlog",
  "days",
  "errmax",
  "fd",
  "fdr",
  "fdw",
  "gid",
  "localmaxconn",
  "localport",
  "maxconn",
  "ms",
  "n",
  "port",
  "roundtrips",
  "seconds",
  "snilevel",
  "throttle",
  "totaltimeout",
  "triptimeout",
  "uid",
  "verbosity",
]);

/** The names of arguments that are a list. */
export const LIST_NAMES: ReadonlySet<string> = new Set(["gid,gid,...", "networks", "proto,..."]);

/** Texts that are no number, whatever the number may mean. */
export const NO_NUMBERS: readonly string[] = [
  "",
  " ",
  " 3",
  "3 ",
  "3\n",
  "+3",
  "-3",
  "-0",
  "0x3",
  "3e1",
  "3.0",
  "3,",
  "x",
  "NaN",
  "Infinity",
  "\u0663",
  "99999999999999999999",
];
