/**
 * Which descriptors this process was executed with. Node marks all of them close-on-exec when it
 * starts (uv_disable_stdio_inheritance), so that a program executed later would begin with nothing,
 * not even 0 to 2; a command that hands its process or its descriptors on has to undo that.
 *
 * The kernel does not tell who opened a descriptor, but what Node has opened by then is of few
 * kinds: anonymous inodes, pipes with both ends here at neighbouring numbers, and /dev/null.
 */
import { readdirSync, readlinkSync } from "node:fs";

import { errnoOf, type Posix } from "./posix.ts";

const STDIO_MAX = 2;

/** A descriptor and what /proc says it leads to. */
export interface OpenLink {
  readonly fd: number;
  readonly target: string;
}

/**
 * Let the programs that this process executes and spawns inherit what it inherited. Call it once,
 * before anything has been opened. Where there is no /proc only 0 to 2 are known.
 */
export function restoreInheritance(posix: Posix): void {
  for (const fd of inheritedFds(openLinks(posix))) {
    if (posix.isOpen(fd)) posix.setCloseOnExec(fd, false);
  }
}

/** Those of a process's descriptors that its Node did not open. */
export function inheritedFds(links: readonly OpenLink[]): number[] {
  const targets = new Map(links.map(({ fd, target }) => [fd, target]));
  const others = links.filter(({ fd, target }) => {
    if (fd <= STDIO_MAX || target.startsWith("anon_inode:") || target === "/dev/null") return false;
    const isPair = targets.get(fd - 1) === target || targets.get(fd + 1) === target;
    return !(target.startsWith("pipe:") && isPair);
  });
  return [0, 1, 2, ...others.map(({ fd }) => fd)];
}

function openLinks(posix: Posix): OpenLink[] {
  try {
    return readdirSync("/proc/self/fd")
      .map(Number)
      .filter((fd) => posix.isOpen(fd)) // the one that listed the others is closed by now
      .map((fd) => ({ fd, target: readlinkSync(`/proc/self/fd/${fd}`) }));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}
