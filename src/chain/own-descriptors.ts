/**
 * Which descriptor numbers are Node's own. Its loops and threads break when one of them suddenly is
 * something else, so a link that has to have such a number leaves that to another process image.
 */

import { readdirSync, readFileSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";

/** O_CLOEXEC among the flags that /proc shows. */
const CLOSE_ON_EXEC = 0o2000000;

/** Is this number taken by something that no program of ours inherits? False where /proc is not. */
export function isOwnDescriptor(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(
      readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"),
    )?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/**
 * Does this process hold a lock of fcntl(2)'s F_SETLK? It takes none, but a program that was executed
 * in it before may have left one, the C suite's s6-setlock for instance.
 */
export function holdsProcessLocks(): boolean {
  return readdirSync("/proc/self/fdinfo").some((fd) => /^lock:.*POSIX/m.test(describe(fd)));
}

/** The state of a descriptor by /proc; nothing when it is closed by now. */
function describe(fd: string): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return "";
  }
}
