/** The children of a process, as /proc lists them. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "./kernel.ts";
import type { Pid } from "./kernel.ts";

/** Undefined where /proc is not mounted, or shows the processes of another pid namespace. */
export function readChildPids(self: number): readonly Pid[] | undefined {
  if (textOf(() => readlinkSync("/proc/self")) !== String(self)) return undefined;
  return listed(self) ?? found(self);
}

/** From the lists of all threads; kernels without CONFIG_PROC_CHILDREN have none. */
function listed(self: number): Pid[] | undefined {
  const pids: Pid[] = [];
  for (const thread of readdirSync("/proc/self/task")) {
    const text = textOf(() => readFileSync(`/proc/self/task/${thread}/children`, "latin1"));
    if (text === undefined && thread === String(self)) return undefined;
    // A thread that has ended meanwhile has left its children to another one.
    pids.push(...numbersIn(text ?? ""));
  }
  return pids;
}

/** From the parents of all processes. */
function found(self: number): Pid[] {
  const candidates = readdirSync("/proc").flatMap(numbersIn);
  return candidates.filter((pid) => parentOf(pid) === self);
}

function parentOf(pid: Pid): number | undefined {
  const stat = textOf(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
  const parent = /^\S+ \(.*\) \S (\d+)/s.exec(stat ?? "")?.[1];
  return parent === undefined ? undefined : Number(parent);
}

function numbersIn(text: string): Pid[] {
  return text
    .trim()
    .split(" ")
    .filter((word) => /^\d+$/.test(word))
    .map((word) => Number(word) as Pid);
}

function textOf(read: () => string): string | undefined {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
