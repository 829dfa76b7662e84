/** Connecting to a Unix-domain socket (local-services.md, section 6.5). */

import { deadlineAfter } from "../../clock/index.ts";
import type { Clock, Deadline } from "../../clock/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { addressOf, problemOfName, tellName } from "./address.ts";
import type { LocalName } from "./address.ts";

export interface LocalConnectRequest extends LocalName {
  /** The path that the client's own socket is bound to, if it is to be. */
  readonly bindPath: string | undefined;
  /** The time for which a server may have no room; undefined: without end. */
  readonly timeoutMs: number | undefined;
}

/** A connection could not be made; the message says what was tried, and why it failed. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
}

/** The delays between two attempts while the server's backlog is full: the kernel does not tell when it is not. */
const RETRY_MS = [1, 2, 5, 10, 20] as const;

/** A nonblocking, connected socket. Throws ConnectError; a path that it has bound is gone then. */
export async function connectLocal(
  request: LocalConnectRequest,
  { posix, clock }: { readonly posix: Posix; readonly clock: Clock },
): Promise<Fd> {
  const problem = problemOfName(request, posix);
  if (problem !== undefined) throw new ConnectError(failure("connect", tellName(request), problem));
  const deadline = deadlineAfter(clock, request.timeoutMs);
  const fd = openSocket(request, posix);
  try {
    await connect(fd, request, deadline, { posix, clock });
    return fd;
  } catch (error) {
    posix.close(fd);
    if (request.bindPath !== undefined) removeOwn(request.bindPath, posix);
    if (!(error instanceof SystemError)) throw error;
    throw new ConnectError(failure("connect", tellName(request), error.message), { cause: error });
  }
}

function removeOwn(path: string, posix: Posix): void {
  try {
    posix.unlink(path);
  } catch (error) {
    // Somebody else has removed it, or keeps us from it: that there is no connection says more.
    if (!(error instanceof SystemError)) throw error;
  }
}

function openSocket({ bindPath }: LocalConnectRequest, posix: Posix): Fd {
  if (bindPath === undefined) return posix.socket("unix", "stream");
  const own = { name: bindPath, isAbstract: false };
  const problem = problemOfName(own, posix);
  if (problem !== undefined) throw new ConnectError(failure("bind", bindPath, problem));
  const fd = posix.socket("unix", "stream");
  try {
    posix.bind(fd, addressOf(own));
    return fd;
  } catch (error) {
    posix.close(fd);
    if (!(error instanceof SystemError)) throw error;
    throw new ConnectError(failure("bind", bindPath, error.message), { cause: error });
  }
}

async function connect(
  fd: Fd,
  request: LocalConnectRequest,
  deadline: Deadline | undefined,
  { posix, clock }: { readonly posix: Posix; readonly clock: Clock },
): Promise<void> {
  for (let attempts = 0; ; attempts += 1) {
    try {
      posix.connect(fd, addressOf(request));
      return;
    } catch (error) {
      if (errnoOf(error) !== "EAGAIN") throw error;
    }
    if (deadline?.hasPassed() === true) {
      const why = `${posix.strerror("ETIMEDOUT")} (its backlog is full)`;
      throw new ConnectError(failure("connect", tellName(request), why));
    }
    const delayMs = RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)] ?? 0;
    const leftMs = deadline?.remainingMs() ?? Infinity;
    await new Promise<void>((resolve) => clock.setTimer(Math.min(delayMs, leftMs), resolve));
  }
}

function failure(action: "bind" | "connect", where: string, why: string): string {
  return `unable to ${action} to ${where}: ${why}`;
}
