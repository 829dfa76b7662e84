/**
 * What this process was born with, before Node changed it: Node raises the soft limit on open files
 * to the hard one, opens /dev/null on closed descriptors 0 to 2, and marks the open ones close-on-exec.
 * The launch a chain starts from puts the first two back; the marks are taken off at once.
 *
 * The soft limit is taken from the parent (a shell's children share its limits), unless the hard limit
 * is another than the parent's: then somebody has set both between the parent and us, as `ulimit -n`
 * does. The closed descriptors are known from the way Node opens them, /dev/null for reading and
 * writing, each on its own; but only under a shell, for others start programs with just such a
 * /dev/null, and a program is better off with one too many than without.
 * Between launchers of ours both are handed on exactly, in one variable.
 */

import { readFileSync, readlinkSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";
import type { Limit, Pid, Posix, Resource } from "../posix/index.ts";
import { Environment } from "./environment.ts";
import { keepInherited } from "./inherited-descriptors.ts";
import type { Launch, Source } from "./launch.ts";

/** Set for a launcher of ours that is executed, and taken out by it: `SOFT_NOFILE[,CLOSED_FD]...` */
const HANDED_ON = "UCSPI_INHERITED";

/** The programs in which closing a descriptor is a matter of two characters. */
const SHELLS = /\/((ba|da|z|k|mk|ya|fi|tc|c)?sh|busybox|execlineb)$/;

/** The soft limit on open files where /proc does not tell: the kernel's own default. */
const SOFT_NOFILE_DEFAULT = 1024;

export interface Birth {
  readonly softNofile: number;
  readonly closed: readonly number[];
}

/** The launch that a chain typed at a shell starts from. */
export function initialLaunch(
  posix: Posix,
  parent: Pid | number,
  variables: readonly string[],
  argv: readonly string[],
): Launch {
  keepInherited(posix, parent);
  const environment = Environment.of(variables);
  const handedOn = environment.get(HANDED_ON);
  const hard = posix.getrlimit("nofile").hard;
  const birth = parseBirth(handedOn) ?? observeBirth(posix, parent, hard);
  const nofile: Limit = { soft: Math.min(birth.softNofile, hard), hard };
  return {
    argv,
    environment:
      handedOn === undefined
        ? environment
        : Environment.of(variables.filter((text) => !text.startsWith(`${HANDED_ON}=`))),
    descriptors: new Map(birth.closed.map((fd): [number, Source] => [fd, "closed"])),
    limits: new Map<Resource, Limit>([["nofile", nofile]]),
  };
}

/** The launch as a launcher of ours has to get it, so that nothing is lost to its Node either. */
export function handOn(launch: Launch, posix: Posix): Launch {
  const soft = launch.limits.get("nofile")?.soft ?? posix.getrlimit("nofile").soft;
  const closed = [...launch.descriptors].filter(([, source]) => source === "closed");
  const value = [soft, ...closed.map(([fd]) => fd)].join(",");
  return { ...launch, environment: launch.environment.with([{ name: HANDED_ON, value }]) };
}

function parseBirth(text: string | undefined): Birth | undefined {
  if (text === undefined || !/^([0-9]+|Infinity)(,[012])*$/.test(text)) return undefined;
  const [softNofile = 0, ...closed] = text.split(",").map(Number);
  return { softNofile, closed };
}

function observeBirth(posix: Posix, parent: number, hard: number): Birth {
  return { softNofile: parentSoftNofile(parent, hard), closed: closedAtBirth(posix, parent) };
}

/** The soft limit before Node raised it, as far as the parent's limits tell. */
function parentSoftNofile(parent: number, hard: number): number {
  try {
    const limits = readFileSync(`/proc/${parent}/limits`, "utf8"); // the encoding Node reads fastest
    const [, soft, parentHard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
    if (soft === undefined || parentHard === undefined) return SOFT_NOFILE_DEFAULT;
    return limitOf(parentHard) === hard ? limitOf(soft) : hard;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return SOFT_NOFILE_DEFAULT;
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

/** Two numbers for one open file: somebody's dup2, not Node's doing. */
function isShared(posix: Posix, a: number, b: number): boolean {
  if (a === b || !posix.isOpen(a) || !posix.isOpen(b)) return false;
  return posix.isSameOpenFile(a, b) !== false;
}

/** What a descriptor refers to: "" when it is closed, undefined when that is not ours to know. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return errnoOf(error) === "ENOENT" ? "" : undefined;
  }
}
