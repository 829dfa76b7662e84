/**
 * The state this process was started with, before Node changed it: Node raises the soft limit on open files to the
 * hard one, opens /dev/null on closed descriptors 0 to 2, marks the open ones close-on-exec, and has
 * signals that were ignored or blocked so no more. The launch that a chain starts from puts all of this back.
 *
 * A native launcher has noted it (notes.ts), and so has a link that executed us. Otherwise it is worked
 * out, as far as it can be. The soft limit is taken from the parent (a shell's children share its limits),
 * unless the hard limit is another than the parent's: then another process has set both between the parent and us, as
 * `ulimit -n` does. The closed descriptors are known from the way Node opens them, /dev/null for reading
 * and writing, each on its own; but only under a shell, for others start programs with just such a /dev/null,
 * and a program is better off with one too many than without. What cannot be seen is left as it is.
 */

import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";
import type { Limit, Pid, Posix, Resource } from "../posix/index.ts";
import { Environment } from "./environment.ts";
import { keepInherited } from "./inherited-descriptors.ts";
import type { Launch, Source } from "./launch.ts";
import { formatNotes, NOTES_VARIABLE, readNotes } from "./notes.ts";
import type { Notes, Writer } from "./notes.ts";

/** The programs in which closing a descriptor is a matter of two characters. */
const SHELLS = /\/((ba|da|z|k|mk|ya|fi|tc|c)?sh|busybox|execlineb)$/;

/** The attributes that a process was given when it was executed. */
export interface Origin {
  /** The process that executed it, or that made the process that was. */
  readonly parent: Pid | number;
  /** Its environment, without what launchers of ours have added. */
  readonly variables: readonly string[];
  /** The notes of its launcher. */
  readonly notes: Notes | undefined;
}

/** The attributes that the process `pid`, a child of `parent`, was given, by the variables of its Node. */
export function originOf(pid: number, parent: number, variables: readonly string[]): Origin {
  const isWriter = (writer: Writer, isLauncher: boolean): boolean => {
    if (writer.pid !== pid && (isLauncher || writer.pid !== parent)) return false;
    const startedAt = startTime(writer.pid);
    return writer.startedAt === startedAt || startedAt === UNKNOWN_TIME;
  };
  return { parent, ...readNotes(variables, isWriter) };
}

/** The launch that a chain typed at a shell starts from. */
export function initialLaunch(posix: Posix, origin: Origin, argv: readonly string[]): Launch {
  const { notes, variables, parent } = origin;
  if (notes?.open === undefined) keepInherited(posix);
  else keepListed(posix, notes.open);
  if (notes !== undefined) posix.adoptSignals(notes);
  const { hard } = posix.getrlimit("nofile");
  const soft = notes?.softNofile ?? parentSoftNofile(parent, hard);
  const closed = notes?.closed ?? closedAtBirth(posix, parent);
  const nofile: Limit = { soft: Math.min(soft, hard), hard };
  return {
    argv,
    environment: Environment.of(variables),
    descriptors: new Map(closed.map((fd): [number, Source] => [fd, "closed"])),
    limits: new Map<Resource, Limit>([["nofile", nofile]]),
    signals: { ignored: notes?.ignored ?? 0n, blocked: notes?.blocked ?? 0n },
  };
}

/**
 * Let the program have these descriptors: clear close-on-exec where Node has set it. All of them were open, so
 * a range ends with the first that is not: somebody has made these notes up, and they may be long.
 */
function keepListed(posix: Posix, ranges: NonNullable<Notes["open"]>): void {
  for (const [first, last] of ranges) {
    let fd = first;
    while (fd <= last && keepOpen(posix, fd)) fd += 1;
  }
}

/** False when there is no such descriptor. */
function keepOpen(posix: Posix, fd: number): boolean {
  if (!posix.isOpen(fd)) return false;
  posix.setCloseOnExec(fd, false);
  return true;
}

/** The launch as a portable launcher of ours has to get it, so that nothing is lost to its Node either. */
export function handOn(launch: Launch, posix: Posix): Launch {
  const softNofile = launch.limits.get("nofile")?.soft ?? posix.getrlimit("nofile").soft;
  const closed = [...launch.descriptors]
    .filter(([fd, source]) => fd <= 2 && source === "closed")
    .map(([fd]) => fd);
  const pid = posix.getpid();
  const { ignored, blocked } = launch.signals ?? { ignored: 0n, blocked: 0n };
  const value = formatNotes(
    { softNofile, closed, ignored, blocked },
    { pid, startedAt: startTime(pid) },
  );
  return { ...launch, environment: launch.environment.with([{ name: NOTES_VARIABLE, value }]) };
}

/** The start of a process when it is unknown. */
const UNKNOWN_TIME = "0";

/** The start of a process, in the kernel's ticks; UNKNOWN_TIME where /proc does not show it. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8"); // the encoding Node reads fastest
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // from the third on
    return fields[19] ?? UNKNOWN_TIME;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return UNKNOWN_TIME;
  }
}

/** The soft limit before Node raised it, as far as the parent's limits tell; otherwise it stays. */
function parentSoftNofile(parent: number, hard: number): number {
  try {
    const limits = readFileSync(`/proc/${parent}/limits`, "utf8");
    const [, soft, parentHard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
    if (soft === undefined || parentHard === undefined) return hard;
    return limitOf(parentHard) === hard ? limitOf(soft) : hard;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return hard;
  }
}

function limitOf(text: string): number {
  return text === "unlimited" ? Infinity : Number(text);
}

function closedAtBirth(posix: Posix, parent: number): number[] {
  const suspects = [0, 1, 2].filter(
    (fd) =>
      posix.isOpen(fd) &&
      posix.accessMode(fd) === "readwrite" &&
      linkTarget(`/proc/self/fd/${fd}`) === "/dev/null" &&
      !["/dev/null", undefined].includes(linkTarget(`/proc/${parent}/fd/${fd}`)),
  );
  if (suspects.length === 0 || !SHELLS.test(linkTarget(`/proc/${parent}/exe`) ?? "")) return [];
  return suspects.filter((fd) => suspects.every((other) => !isShared(posix, fd, other)));
}

/** Two numbers for one open file: a dup2 of another program, and not of Node. */
function isShared(posix: Posix, a: number, b: number): boolean {
  if (a === b || !posix.isOpen(a) || !posix.isOpen(b)) return false;
  return posix.isSameOpenFile(a, b) !== false;
}

/** The object of a descriptor: "" when it is closed, undefined when we may not read it. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return errnoOf(error) === "ENOENT" ? "" : undefined;
  }
}
