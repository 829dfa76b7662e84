/** The message when a launch fails: the link that asked for the part in question, and its words. */

import type { SystemError } from "../posix/index.ts";
import type { Launch } from "./launch.ts";

/** Calls that go by another name in messages. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["prlimit", "setrlimit"],
  ["setgroups", "set supplementary group list"],
]);

const OF_IDENTITY: ReadonlySet<string> = new Set(["setgroups", "setgid", "setuid"]);
const OF_LIMITS: ReadonlySet<string> = new Set(["setrlimit", "prlimit"]);

/** Which link asked for what: so much and no more is kept of a launch whose child lives. */
export interface Askers {
  /** The link that executes the program. */
  readonly by: string;
  /** The program's name. */
  readonly word: string;
  readonly identity: string | undefined;
  readonly limits: string | undefined;
}

/** `by` is the link that would execute the program. */
export function askersOf({ argv, identity, limitsChangedBy }: Launch, by: string): Askers {
  const [word = ""] = argv;
  return { by, word, identity: identity?.changedBy, limits: limitsChangedBy };
}

export interface Blame {
  readonly who: string;
  readonly text: string;
}

/** The program that reports this failure, and its words. */
export function blameFor(error: SystemError, askers: Askers): Blame {
  const { syscall, message } = error;
  return {
    who: askerOf(syscall, askers) ?? askers.by,
    text: `unable to ${actionOf(syscall, askers)}: ${message}`,
  };
}

function askerOf(syscall: string, { identity, limits }: Askers): string | undefined {
  if (OF_IDENTITY.has(syscall)) return identity;
  return OF_LIMITS.has(syscall) ? limits : undefined;
}

function actionOf(syscall: string, { word }: Askers): string {
  return syscall === "execve" ? `exec ${word}` : (ACTIONS.get(syscall) ?? syscall);
}
