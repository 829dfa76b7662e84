/**
 * Which descriptors this process was given, as against those Node has opened for itself. Node marks
 * what it inherits close-on-exec, as all of its own are, so the mark tells nothing; but what Node has
 * is of few kinds: epoll and event descriptors, pipes of which it holds both ends, and /dev/null.
 */

import { readdirSync, readlinkSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";

const NODES_OWN = /^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/;

/** Let the program have what this process was given: clear close-on-exec where Node has set it. */
export function keepInherited(posix: Posix, parent: number): void {
  for (const fd of inheritedDescriptors(parent)) {
    if (posix.isOpen(fd)) posix.setCloseOnExec(fd, false);
  }
}

function inheritedDescriptors(parent: number): number[] {
  const targets = new Map<number, string>();
  for (const name of readdirSync("/proc/self/fd")) {
    const target = linkTarget(`/proc/self/fd/${name}`);
    if (target !== undefined) targets.set(Number(name), target);
  }
  return [...targets.keys()].filter((fd) => isInherited(fd, targets, parent));
}

function isInherited(fd: number, targets: ReadonlyMap<number, string>, parent: number): boolean {
  const target = targets.get(fd) ?? "";
  if (fd <= 2) return true;
  if (NODES_OWN.test(target)) return false;
  if (target !== "/dev/null" && !hasOtherEnd(fd, target, targets)) return true;
  return linkTarget(`/proc/${parent}/fd/${fd}`) === target;
}

/** A pipe that is open under another number above 2 as well: the way Node talks to itself. */
function hasOtherEnd(fd: number, target: string, targets: ReadonlyMap<number, string>): boolean {
  if (!target.startsWith("pipe:")) return false;
  return [...targets].some(([other, its]) => other > 2 && other !== fd && its === target);
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // closed again, like the descriptor of the listing itself, or not ours to see
  }
}
