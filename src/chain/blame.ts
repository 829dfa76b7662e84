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

/** What of a launch tells who asked for what. */
export type Asked = Pick<Launch, "argv" | "identity" | "limitsChangedBy">;

/** So much and no more is kept of a launch whose child lives. */
export function askedOf({ argv, identity, limitsChangedBy }: Launch): Asked {
  return {
    argv,
    ...(identity === undefined ? {} : { identity }),
    ...(limitsChangedBy === undefined ? {} : { limitsChangedBy }),
  };
}

export interface Blame {
  readonly who: string;
  readonly text: string;
}

/** Who speaks of this failure, and how. `by` is the link that would have executed the program. */
export function blameFor(error: SystemError, launch: Asked, by: string): Blame {
  const { syscall, message } = error;
  return {
    who: culprit(syscall, launch) ?? by,
    text: `unable to ${actionOf(launch, syscall)}: ${message}`,
  };
}

function culprit(syscall: string, launch: Asked): string | undefined {
  if (OF_IDENTITY.has(syscall)) return launch.identity?.changedBy;
  return OF_LIMITS.has(syscall) ? launch.limitsChangedBy : undefined;
}

function actionOf({ argv: [word = ""] }: Asked, syscall: string): string {
  return syscall === "execve" ? `exec ${word}` : (ACTIONS.get(syscall) ?? syscall);
}
