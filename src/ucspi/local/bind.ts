/**
 * Binding Unix-domain sockets (local-services.md, section 6.1). The file of a socket outlives its server, and
 * the next one has to replace it; but only a socket that no process has open any more, and nothing that is no
 * socket. Servers that are about to do so exclude each other by a lock beside the path, which those of
 * the C suite take too.
 */

import type { Claim } from "../../chain/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, HeldLock, LockTable, Posix, SocketType } from "../../posix/index.ts";
import { addressOf, problemOfName, tellName } from "./address.ts";
import type { LocalName } from "./address.ts";

export interface BindRequest extends LocalName {
  readonly type: Exclude<SocketType, "seqpacket">;
  /** Connections that the kernel keeps waiting; 0: do not listen. */
  readonly backlog: number;
  /** The permission bits of the path, whatever the umask. */
  readonly mode: number;
  /** Replace a socket that no process has open, under the lock. */
  readonly replacesStale: boolean;
}

/** A nonblocking socket, and what keeps others from replacing its path, if anything does. */
export interface BoundSocket {
  readonly fd: Fd;
  readonly claim: Claim | undefined;
}

/** The parts of a host that binding takes. */
export interface Binding {
  readonly posix: Posix;
  readonly locks: LockTable;
}

/** A socket could not be bound; the message says what was tried, and why it failed. */
export class BindError extends Error {
  override readonly name = "BindError";
}

const LOCK_MODE = 0o600;
const FILE_TYPE = 0o170000;
const SOCKET = 0o140000;

/**
 * Bind a socket. Throws BindError; nothing has changed then, except that a socket which no process had open may
 * be gone.
 */
export function bindLocal(request: BindRequest, binding: Binding): BoundSocket {
  const { posix } = binding;
  checkRequest(request, posix);
  const claim = request.replacesStale ? claimPath(request, binding) : undefined;
  try {
    if (claim !== undefined) removeStale(request, posix);
    return { fd: openSocket(request, posix), claim };
  } catch (error) {
    claim?.release();
    throw error;
  }
}

function checkRequest(request: BindRequest, posix: Posix): void {
  const problem = problemOfName(request, posix);
  if (problem !== undefined) refuse(request, problem);
  if (request.type !== "datagram" || request.backlog === 0) return;
  throw new BindError(`unable to listen to ${tellName(request)}: ${posix.strerror("EOPNOTSUPP")}`);
}

/** Undefined for a name of the abstract space, which ends with its socket. */
function claimPath(request: BindRequest, { posix, locks }: Binding): Claim | undefined {
  if (request.isAbstract) return undefined;
  const file = `${request.name}.lock`;
  const options = { create: LOCK_MODE, nonblocking: true, noFollow: true };
  const fd = attempt(request, `open ${file}`, () => posix.open(file, "write", options));
  try {
    const outcome = attempt(request, `lock ${file}`, () => locks.take(fd, "exclusive", file));
    if (outcome.kind === "taken") return claimOf(outcome.lock, fd, posix);
    const owner = outcome.kind === "heldElsewhere" ? outcome.owner : posix.getpid();
    const holder = typeof owner === "number" ? `process ${owner}` : "another process";
    refuse(request, `${posix.strerror("EBUSY")} (${holder} has locked ${file})`);
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

function claimOf(lock: HeldLock, fd: Fd, posix: Posix): Claim {
  let isHeld = true;
  return {
    release() {
      if (!isHeld) return;
      isHeld = false;
      lock.release();
      posix.close(fd);
    },
  };
}

/** Make room for a socket, if only a socket that no process has open is in the way. */
function removeStale(request: BindRequest, posix: Posix): void {
  const { name } = request;
  const found = posix.linkVersion(name);
  if (found === "ENOENT") return;
  if (typeof found === "string") refuse(request, posix.strerror(found));
  if ((found.mode & FILE_TYPE) !== SOCKET) {
    refuse(request, `${posix.strerror("EEXIST")} (it is not a socket)`);
  }
  switch (probe(request, posix)) {
    case "open":
      return refuse(request, `${posix.strerror("EADDRINUSE")} (a process has this socket open)`);
    case "gone":
      return;
    case "stale":
      attempt(request, `remove ${name}`, () => posix.unlink(name));
  }
}

/** What the kernel says of connecting a datagram socket to a path, and what that tells of the path. */
const ANSWERS: ReadonlyMap<string | undefined, "open" | "stale" | "gone"> = new Map([
  ["EPROTOTYPE", "open"], // it is a socket of connections
  ["EPERM", "open"], // it receives datagrams from one sender only
  ["ECONNREFUSED", "stale"],
  ["ENOENT", "gone"],
]);

/**
 * Has any process the socket of a path open? Connecting another kind of socket to it tells so, and the server
 * does not notice; datagrams have no connections, so that a server of those does not notice either.
 */
function probe(request: BindRequest, posix: Posix): "open" | "stale" | "gone" {
  const fd = attempt(request, "create socket", () => posix.socket("unix", "datagram"));
  try {
    posix.connect(fd, addressOf(request));
    return "open";
  } catch (error) {
    const answer = ANSWERS.get(errnoOf(error));
    if (answer !== undefined) return answer;
    if (!(error instanceof SystemError)) throw error;
    return refuse(request, `unable to find out whether it is in use: ${error.message}`, error);
  } finally {
    posix.close(fd);
  }
}

function openSocket(request: BindRequest, posix: Posix): Fd {
  const fd = attempt(request, "create socket", () => posix.socket("unix", request.type));
  try {
    attempt(request, undefined, () => bindWithMode(fd, request, posix));
    if (request.backlog > 0) listen(fd, request, posix);
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

/** The mode belongs to the path from its first moment on: the umask is what bind(2) takes it from. */
function bindWithMode(fd: Fd, request: BindRequest, posix: Posix): void {
  const before = posix.umask(~request.mode & 0o777);
  try {
    posix.bind(fd, addressOf(request));
  } finally {
    posix.umask(before);
  }
}

function listen(fd: Fd, request: BindRequest, posix: Posix): void {
  try {
    posix.listen(fd, request.backlog);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    if (!request.isAbstract) posix.unlink(request.name);
    throw new BindError(`unable to listen to ${tellName(request)}: ${error.message}`, {
      cause: error,
    });
  }
}

/** Do a part of binding; `part` is told where it is more than the bind itself. */
function attempt<T>(request: BindRequest, part: string | undefined, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return refuse(
      request,
      part === undefined ? error.message : `unable to ${part}: ${error.message}`,
      error,
    );
  }
}

function refuse(request: LocalName, why: string, cause?: SystemError): never {
  throw new BindError(`unable to bind to ${tellName(request)}: ${why}`, { cause });
}
