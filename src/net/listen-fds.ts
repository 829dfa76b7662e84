/**
 * Listening sockets that a service manager has opened for a program: descriptors from 3 on, as LISTEN_FDS,
 * LISTEN_PID and LISTEN_FDNAMES tell (sd_listen_fds(3) of systemd).
 */

import { VariableError } from "./environment.ts";
import type { EnvironmentEdit, Variables } from "./environment.ts";
import { parseUnsigned } from "./numbers.ts";

/** A descriptor that was passed. */
export interface PassedFd {
  readonly number: number;
  /** Undefined where it was given none; systemd calls such a one `unknown`. */
  readonly name: string | undefined;
}

/** The first number. */
const FIRST = 3;

/** The most descriptors that are believed to have been passed. */
const LISTEN_FDS_MAX = 4096;

/** Taking the variables away, so that no other program takes the descriptors for its own. */
export const LISTEN_FDS_REMOVED: readonly EnvironmentEdit[] = [
  { name: "LISTEN_PID", value: undefined },
  { name: "LISTEN_FDS", value: undefined },
  { name: "LISTEN_FDNAMES", value: undefined },
];

/**
 * The descriptors that were passed to the process `pid`. Throws VariableError where a variable is missing or
 * malformed, or names another process.
 */
export function readListenFds(variables: Variables, pid: number): readonly PassedFd[] {
  const listenPid = number(variables, "LISTEN_PID");
  if (listenPid !== pid) throw new VariableError("LISTEN_PID", "invalid");
  const count = number(variables, "LISTEN_FDS");
  if (count > LISTEN_FDS_MAX) throw new VariableError("LISTEN_FDS", "invalid");
  const text = variables("LISTEN_FDNAMES");
  const names = text === undefined || count === 0 ? [] : text.split(":");
  if (names.length > 0 && names.length !== count) {
    throw new VariableError("LISTEN_FDNAMES", "invalid");
  }
  return Array.from({ length: count }, (_, index) => {
    return { number: FIRST + index, name: names[index] || undefined };
  });
}

function number(variables: Variables, name: string): number {
  const text = variables(name);
  if (text === undefined) throw new VariableError(name, "missing");
  const value = parseUnsigned(text);
  if (value === undefined) throw new VariableError(name, "invalid");
  return value;
}
