/**
 * More listening sockets than the one on stdin: `s6-tcpserver --also` binds them in the socket binder
 * and names their descriptors in a variable that the server takes out again.
 */

import type { Environment } from "../chain/index.ts";
import type { EnvironmentEdit } from "../net/index.ts";
import type { Fd, Posix, SocketAddress } from "../posix/index.ts";

/** Descriptor numbers, comma separated. */
const VARIABLE = "UCSPI_LISTENERS";

/** Standard input is the first listener, and neither output can be one. */
const FD_MIN = 3;

/** So much of an invalid list is repeated to the administrator. */
const TOLD_CHARACTERS_MAX = 60;

export interface ExtraListeners {
  /** Each socket once, even if several descriptors of it were named. */
  readonly fds: readonly Fd[];
  /** The environment without the variable. */
  readonly environment: Environment;
  /** The names that cannot be listened to; undefined when all of them can. */
  readonly warning: string | undefined;
}

export function extraListenersEdit(fds: readonly Fd[]): EnvironmentEdit {
  return { name: VARIABLE, value: fds.join(",") };
}

/**
 * The sockets that were handed over besides `first`. `isUsable` tells whether an address is of the family
 * that is served. Everything else that is named is left alone: the variable may be meant for another program.
 */
export function takeExtraListeners(
  environment: Environment,
  first: Fd,
  isUsable: (address: SocketAddress) => boolean,
  posix: Posix,
): ExtraListeners {
  const text = environment.get(VARIABLE);
  if (text === undefined) return { fds: [], environment, warning: undefined };
  const fds: Fd[] = [];
  const unusable: string[] = [];
  for (const part of text.split(",").filter((word) => word !== "")) {
    const fd = listenerOf(part, isUsable, posix);
    if (fd === undefined) unusable.push(part);
    else if (!isKnown(fd, [first, ...fds], posix)) fds.push(fd);
    // It is listened to once, and is not for the programs of connections.
    else posix.setCloseOnExec(fd, true);
  }
  return {
    fds,
    environment: environment.with([{ name: VARIABLE, value: undefined }]),
    warning: unusable.length === 0 ? undefined : warningOf(unusable),
  };
}

function listenerOf(
  part: string,
  isUsable: (address: SocketAddress) => boolean,
  posix: Posix,
): Fd | undefined {
  const fd = /^[0-9]{1,9}$/.test(part) ? Number(part) : -1;
  return fd >= FD_MIN && isListener(fd, isUsable, posix) ? fd : undefined;
}

/** Is it an open socket that listens to an address that can be served? */
export function isListener(
  fd: number,
  isUsable: (address: SocketAddress) => boolean,
  posix: Posix,
): fd is Fd {
  return (
    posix.isOpen(fd) &&
    posix.isSocket(fd) &&
    posix.isListening(fd) &&
    isUsable(posix.getsockname(fd))
  );
}

function isKnown(fd: Fd, known: readonly Fd[], posix: Posix): boolean {
  return known.some((other) => other === fd || posix.isSameOpenFile(other, fd) === true);
}

function warningOf(unusable: readonly string[]): string {
  const text = unusable.join(",").replace(/[^ -~]/g, "?");
  const told =
    text.length > TOLD_CHARACTERS_MAX ? `${text.slice(0, TOLD_CHARACTERS_MAX)}...` : text;
  return `${VARIABLE} names descriptors that are not further listening sockets, ignored: ${told}`;
}
