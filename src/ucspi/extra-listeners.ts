/**
 * More listening sockets than the one on stdin: `s6-tcpserver --also` binds them in the socket binder
 * and names their descriptors in a variable that the server takes out again.
 */

import type { Environment } from "../chain/index.ts";
import type { EnvironmentEdit } from "../net/index.ts";
import type { Fd, Posix } from "../posix/index.ts";

/** Descriptor numbers, comma separated. */
const VARIABLE = "UCSPI_LISTENERS";

export function extraListenersEdit(fds: readonly Fd[]): EnvironmentEdit {
  return { name: VARIABLE, value: fds.join(",") };
}

/** The sockets that were handed over, and the environment without the variable. */
export function takeExtraListeners(
  environment: Environment,
  posix: Posix,
): { readonly fds: readonly Fd[]; readonly environment: Environment } {
  const text = environment.get(VARIABLE);
  if (text === undefined) return { fds: [], environment };
  const numbers = text.split(",").filter((part) => /^[0-9]{1,9}$/.test(part));
  const fds = numbers.map(Number).filter((fd): fd is Fd => isListener(fd, posix));
  return { fds, environment: environment.with([{ name: VARIABLE, value: undefined }]) };
}

function isListener(fd: number, posix: Posix): fd is Fd {
  return posix.isOpen(fd) && posix.isSocket(fd) && posix.isListening(fd);
}
