/** What to say when the kernel refuses a part of a launch: the link that asked for it, and its words. */

import type { SystemError } from "../posix/index.ts";
import type { Launch } from "./launch.ts";

/** Calls that go by another name in messages. */
const ACTIONS: ReadonlyMap<string, string> = new Map([
  ["prlimit", "setrlimit"],
  ["setgroups", "set supplementary group list"],
]);

const OF_IDENTITY: ReadonlySet<string> = new Set(["setgroups", "setgid", "setuid"]);
const OF_LIMITS: ReadonlySet<string> = new Set(["setrlimit", "prlimit"]);

export interface Blame {
  readonly who: string;
  readonly text: string;
}

/** Who speaks of this failure, and how. `by` is the link that would have executed the program. */
export function blameFor(error: SystemError, launch: Launch, by: string): Blame {
  const { syscall, message } = error;
  return {
    who: culprit(syscall, launch) ?? by,
    text: `unable to ${actionOf(launch, syscall)}: ${message}`,
  };
}

function culprit(syscall: string, launch: Launch): string | undefined {
  if (OF_IDENTITY.has(syscall)) return launch.identity?.changedBy;
  return OF_LIMITS.has(syscall) ? launch.limitsChangedBy : undefined;
}

function actionOf({ argv: [word = ""] }: Launch, syscall: string): string {
  return syscall === "execve" ? `exec ${word}` : (ACTIONS.get(syscall) ?? syscall);
}
