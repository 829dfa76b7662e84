/** s6-softlimit: resource limits of the program to come (supervision.md, 11.7). */

import { readFileSync } from "node:fs";
import { defineLink, end, EXIT, goOn, withLimits } from "../index.ts";
import type { Launch, LinkContext } from "../index.ts";
import { fold, parsedBy } from "../../options/index.ts";
import type { ArgumentKind, OptionForm, OptionUse } from "../../options/index.ts";
import { errnoOf } from "../../posix/index.ts";
import type { Limit, Posix, Resource } from "../../posix/index.ts";

const NAME = "s6-softlimit";

/** The limit that an option changes, or both. */
type Which = "soft" | "hard" | "both";

/** One option: `limit` is undefined for `=`, the most there can be. */
interface Change {
  readonly letter: string;
  readonly resources: readonly Resource[];
  readonly which: Which;
  readonly limit: number | undefined;
}

/** The options read so far: -H and -h are about those after them. */
interface Changes {
  readonly which: Which;
  readonly changes: readonly Change[];
}

const MEMORY: readonly Resource[] = ["data", "stack", "memlock", "as"];

/** 2^64 - 1 is how the kernel writes "no limit". */
const NO_LIMIT = 0xffff_ffff_ffff_ffffn;

/** A number, or `=`, which is undefined. */
const LIMIT: ArgumentKind<number | undefined> = {
  parse: (text) => (text === "=" ? undefined : LIMIT_NUMBER.parse(text)),
  format: (limit) => (limit === undefined ? "=" : LIMIT_NUMBER.format(limit)),
};

const LIMIT_NUMBER: ArgumentKind<number> = parsedBy(
  (text) => {
    if (!/^[0-9]{1,20}$/.test(text) || BigInt(text) > NO_LIMIT) return undefined;
    return BigInt(text) === NO_LIMIT ? Infinity : Number(text);
  },
  "an unsigned integer or =",
  formatLimit,
);

const RESOURCES = [
  resource("a", "allbytes", "address space", "as"),
  resource("c", "corebytes", "size of core dumps", "core"),
  resource("d", "databytes", "data segment", "data"),
  resource("f", "filebytes", "size of files written", "fsize"),
  resource("l", "lockbytes", "locked memory", "memlock"),
  resource(
    "m",
    "membytes",
    "data segment, stack, locked memory and address space, each",
    ...MEMORY,
  ),
  resource("o", "openfiles", "number of open files", "nofile"),
  resource("P", "priority", "real-time priority", "rtprio"),
  resource("p", "processes", "number of processes of the user", "nproc"),
  resource("r", "residentbytes", "resident set", "rss"),
  resource("s", "stackbytes", "stack", "stack"),
  resource("t", "cpusecs", "seconds of CPU time", "cpu"),
];

export const softlimit = defineLink({
  name: NAME,
  summary: "run a program with other resource limits",
  family: "short",
  options: {
    changes: fold<Changes>(
      { which: "soft", changes: [] },
      [
        which("H", "both", "the options that follow set the hard limit as well as the soft one"),
        which(
          "h",
          "hard",
          "the options that follow set the hard limit, and lower a soft one above it",
        ),
        ...RESOURCES,
      ],
      sayChanges,
    ),
  },
  operands: [],
  program: "required",
  reach: "anywhere",
  run(launch, { options, program }, context) {
    const { changes } = options.changes;
    const limits = changes.reduce<Limits>(
      (now, change) => applyChange(now, change, context.posix),
      launch.limits,
    );
    if (raisesInVain(launch, limits, context)) {
      context.report(NAME, "fatal", `unable to setrlimit: ${context.posix.strerror("EPERM")}`);
      return end(EXIT.system);
    }
    return goOn({ ...withLimits(launch, limits, NAME), argv: program });
  },
});

type Limits = ReadonlyMap<Resource, Limit>;

function which(short: string, value: Which, help: string): OptionForm<Changes> {
  return { short, help, next: ({ changes }) => ({ which: value, changes }) };
}

function resource(
  short: string,
  argument: string,
  what: string,
  ...resources: readonly Resource[]
): OptionForm<Changes> {
  return {
    short,
    argument,
    help: `${what}; = stands for the hard limit, with -H and -h for no limit`,
    next: (previous, text) => ({
      ...previous,
      changes: [
        ...previous.changes,
        { letter: short, resources, which: previous.which, limit: LIMIT.parse(text) },
      ],
    }),
  };
}

/** The largest numbers are 2^64 once they are doubles, and are written as the largest limit there is. */
function formatLimit(limit: number): string {
  if (limit === Infinity) return String(NO_LIMIT);
  return String(BigInt(limit) < NO_LIMIT ? BigInt(limit) : NO_LIMIT - 1n);
}

function sayChanges({ which, changes }: Changes): OptionUse[] {
  const uses: OptionUse[] = [];
  let now: Which = "soft";
  const turnTo = (wanted: Which): void => {
    if (wanted !== now && wanted !== "soft") uses.push([wanted === "both" ? "H" : "h"]);
    now = wanted;
  };
  for (const change of changes) {
    turnTo(change.which);
    uses.push([change.letter, LIMIT.format(change.limit)]);
  }
  turnTo(which);
  return uses;
}

function applyChange(limits: Limits, { resources, which, limit }: Change, posix: Posix): Limits {
  const changed = resources.map((name): [Resource, Limit] => {
    const current = limits.get(name) ?? posix.getrlimit(name);
    return [name, changeLimit(current, which, limit)];
  });
  return new Map([...limits, ...changed]);
}

function changeLimit({ soft, hard }: Limit, which: Which, limit: number | undefined): Limit {
  switch (which) {
    case "soft":
      return { soft: Math.min(limit ?? hard, hard), hard };
    case "both":
      return { soft: limit ?? Infinity, hard: limit ?? Infinity };
    case "hard":
      return { soft: Math.min(soft, limit ?? Infinity), hard: limit ?? Infinity };
  }
}

/** Would a hard limit rise where the kernel will not let it? */
function raisesInVain(launch: Launch, limits: Limits, { posix }: LinkContext): boolean {
  const isRaised = [...limits].some(([name, { hard }]) => {
    return hard > (launch.limits.get(name) ?? posix.getrlimit(name)).hard;
  });
  return isRaised && ((launch.identity?.uid ?? 0) !== 0 || !mayRaise(posix));
}

/** CAP_SYS_RESOURCE, which root in a container does not have. */
const RESOURCE_CAPABILITY = 1n << 24n;

function mayRaise(posix: Posix): boolean {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
    if (capabilities !== undefined) return (BigInt(`0x${capabilities}`) & RESOURCE_CAPABILITY) > 0n;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
  return posix.geteuid() === 0;
}
