/**
 * Which descriptors this process was given, as against those Node has opened for itself. Node marks
 * what it inherits close-on-exec, as all of its own are, so the mark tells nothing; but what Node has
 * is of few kinds: epoll and event descriptors, and pipes of which it holds both ends. (It opens
 * /dev/null with its first stream, and there is none yet.)
 */

import { readdirSync, readlinkSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";

const NODES_OWN = /^anon_inode:\[(eventpoll|eventfd|io_uring)\]$/;

/** Let the program have what this process was given: clear close-on-exec where Node has set it. */
export function keepInherited(posix: Posix, parent: number): void {
  for (const fd of inheritedDescriptors(posix, parent)) posix.setCloseOnExec(fd, false);
}

function inheritedDescriptors(posix: Posix, parent: number): Fd[] {
  const numbers = descriptorNumbers("self");
  const fds = numbers.filter((fd): fd is Fd => posix.isOpen(fd)); // not that of the listing
  const targets = new Map(fds.map((fd) => [fd, fd <= 2 ? "" : linkTarget("self", fd)]));
  const doubtful = fds.filter((fd) => isLikeNodes(fd, targets));
  const shared = doubtful.length === 0 ? [] : descriptorNumbers(parent);
  return fds.filter((fd) => {
    if (!doubtful.includes(fd)) return !NODES_OWN.test(targets.get(fd) ?? "");
    return shared.includes(fd) && linkTarget(parent, fd) === targets.get(fd);
  });
}

/**
 * Of a kind that Node has: a pipe that is open under another number above 2 as well. It is inherited
 * all the same if the parent has the same under the same number.
 */
function isLikeNodes(fd: Fd, targets: ReadonlyMap<Fd, string>): boolean {
  const target = targets.get(fd) ?? "";
  if (!target.startsWith("pipe:")) return false;
  return [...targets].some(([other, its]) => other !== fd && its === target);
}

/** The open descriptors of a process; none where they are not ours to see. */
function descriptorNumbers(process: number | "self"): number[] {
  try {
    return readdirSync(`/proc/${process}/fd`).map(Number);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
}

/** What a descriptor refers to; "" where that is not to be had. */
function linkTarget(process: number | "self", fd: Fd): string {
  try {
    return readlinkSync(`/proc/${process}/fd/${fd}`);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return "";
  }
}
