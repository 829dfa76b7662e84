/**
 * A kernel for the tests of servers: listening sockets with a queue, children that end when the test
 * says so, and failures on demand. It knows which descriptors are open, so that a leak shows.
 */

import { parseIp, toSocketAddress } from "../../src/net/index.ts";
import { SystemError } from "../../src/posix/index.ts";
import type {
  Accepted,
  Child,
  Fd,
  Pid,
  Posix,
  Readiness,
  SocketAddress,
  SpawnRequest,
  WaitStatus,
  Watch,
} from "../../src/posix/index.ts";

interface Watched {
  readonly fd: number;
  isInterested: boolean;
  readonly ready: (readiness: Readiness) => void;
}

interface FakeListener {
  readonly address: SocketAddress;
  readonly queue: Accepted[];
}

const READABLE: Readiness = { readable: true, writable: false, hangup: false };
const WRITABLE: Readiness = { readable: false, writable: true, hangup: false };

/** More turns of the event loop than any test needs: past it, somebody is looping. */
const TURNS_MAX = 10_000;

export const SERVER_PID = 4000;

export class FakeKernel {
  readonly open = new Set<number>();
  readonly spawned: SpawnRequest[] = [];
  readonly shutDown: Fd[] = [];
  /** `PID SIGNAL`, in order. */
  readonly kills: string[] = [];
  acceptCalls = 0;
  /** The bytes that were written, by descriptor. */
  readonly written = new Map<number, string>();
  /** The descriptors with TCP_NODELAY. */
  readonly noDelay: number[] = [];
  /** The errno names that these calls fail with. */
  writeFailure: string | undefined;
  noDelayFailure: string | undefined;
  socketFailure = "ENETUNREACH";
  /** Nothing can be written any more: every wait for it times out. */
  isStuck = false;
  /** The errno names that accept and spawn fail with until they are taken away. */
  acceptFailure: string | undefined;
  spawnFailure: { readonly code: string; readonly syscall: string } | undefined;
  /** Children stay on the way to their programs, until `execute`. */
  holdsBirths = false;
  /** The errno names that watching a child, watching a listener, and signalling a pid fail with. */
  childWatchFailure: string | undefined;
  listenerWatchFailure: string | undefined;
  shutdownFailure: string | undefined;
  readonly killFailures = new Map<number, string>();
  /** The address of accepted sockets, or the errno name of the failure to report. */
  sockname: SocketAddress | string | undefined;
  readonly #listeners = new Map<number, FakeListener>();
  readonly #watches = new Set<Watched>();
  readonly #ended = new Map<number, WaitStatus>();
  readonly #children = new Set<number>();
  readonly #pidfds = new Map<number, number>();
  #nextFd = 10;
  #nextPid = SERVER_PID + 1;

  /** A bound, listening socket. */
  listener(ip = "127.0.0.1", port = 7000): Fd {
    const fd = this.#newFd();
    this.#listeners.set(fd, { address: socketAddress(ip, port), queue: [] });
    return fd;
  }

  /** A client that waits to be accepted; the descriptor it will be accepted as. */
  connect(listener: Fd, ip: string, port = 50_000): Fd {
    const fd = this.#newFd();
    this.#listeners.get(listener)?.queue.push({ fd, peer: socketAddress(ip, port) });
    return fd;
  }

  /** The number of clients that wait to be accepted. */
  waiting(listener: Fd): number {
    return this.#listeners.get(listener)?.queue.length ?? 0;
  }

  /** The number of watches. */
  get watches(): number {
    return this.#watches.size;
  }

  /** The pids of the children that have not been reaped. */
  get children(): readonly number[] {
    return [...this.#children];
  }

  endChild(pid: number, status: WaitStatus = { kind: "exited", exitCode: 0 }): void {
    this.#ended.set(pid, status);
  }

  /** End a child that could not take a step before its program, or execute that. */
  failChild(pid: number, code: string, syscall: string): void {
    this.#failures.set(pid, failure(code, syscall));
    this.endChild(pid, { kind: "exited", exitCode: 127 });
  }

  /** Have the children that wait with it (`holdsBirths`) execute their programs. */
  execute(): void {
    this.#unexecuted.clear();
  }

  /** Turn the event loop until nothing is ready any more. */
  turn(): void {
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      const ready = [...this.#watches].filter(
        (watch) => watch.isInterested && this.#isReady(watch),
      );
      if (ready.length === 0) return;
      for (const watch of ready) if (this.#watches.has(watch)) watch.ready(READABLE);
    }
    throw new Error("the event loop never comes to rest");
  }

  /** Turn the event loop once; how many watches were ready. */
  turnOnce(): number {
    const ready = [...this.#watches].filter((watch) => watch.isInterested && this.#isReady(watch));
    for (const watch of ready) watch.ready(READABLE);
    return ready.length;
  }

  /** The calls that servers make; any other is an error. */
  get posix(): Posix {
    const calls: Partial<Posix> = {
      accept: (fd, most) => this.#accept(fd, most),
      close: (fd) => this.#close(fd),
      // There are no files.
      open: () => {
        throw failure("ENOENT", "open");
      },
      getpid: () => SERVER_PID as Pid,
      getsockname: (fd) => this.#getsockname(fd),
      kill: (pid, signal) => this.#kill(pid, signal),
      reap: (pid) => this.#reap(pid),
      setNoDelay: (fd) => this.#setNoDelay(fd),
      shutdown: (fd) => this.#shutdown(fd),
      socket: () => {
        throw failure(this.socketFailure, "socket");
      },
      prepareSpawns: () => {},
      getrlimit: () => ({ soft: 1024, hard: 1024 }),
      spawn: (request) => this.#spawn(request),
      birthFailure: (birth) => this.#takeFailure(birth),
      birthsInFlight: () => [...this.#unexecuted].filter((pid) => !this.#ended.has(pid)),
      endedStatus: (pid) => this.#ended.get(pid),
      fileVersion: () => "ENOENT",
      hasExecuted: (pid) => !this.#unexecuted.has(pid),
      strerror: (code) => `strerror of ${code}`,
      waitReady: () => (this.isStuck ? undefined : WRITABLE),
      watch: (fd, interest, ready) => this.#watch(fd, interest.readable === true, ready),
      write: (fd, bytes) => this.#write(fd, bytes),
    };
    return strictly(calls);
  }

  readonly #failures = new Map<number, SystemError>();
  readonly #unexecuted = new Set<number>();

  #accept(fd: Fd, most: number): readonly Accepted[] {
    this.acceptCalls += 1;
    if (this.acceptFailure !== undefined) throw failure(this.acceptFailure, "accept4");
    return this.#listeners.get(fd)?.queue.splice(0, most) ?? [];
  }

  #close(fd: Fd): void {
    if (!this.open.delete(fd)) throw failure("EBADF", "close");
  }

  #getsockname(fd: Fd): SocketAddress {
    const address = this.#listeners.get(fd)?.address ?? this.sockname ?? "ENOTCONN";
    if (typeof address === "string") throw failure(address, "getsockname");
    return address;
  }

  #reap(pid: Pid): WaitStatus | undefined {
    const status = this.#ended.get(pid);
    if (status === undefined) return undefined;
    this.#ended.delete(pid);
    this.#children.delete(pid);
    for (const [fd, child] of this.#pidfds) if (child === pid) this.#pidfds.delete(fd);
    return status;
  }

  #spawn(request: SpawnRequest): Child {
    if (this.spawnFailure !== undefined) {
      throw failure(this.spawnFailure.code, this.spawnFailure.syscall);
    }
    this.spawned.push(request);
    const pid = this.#nextPid as Pid;
    this.#nextPid += 1;
    this.#children.add(pid);
    const pidfd = this.#newFd();
    this.#pidfds.set(pidfd, pid);
    if (this.holdsBirths) this.#unexecuted.add(pid);
    return { pid, pidfd, birth: pid };
  }

  #takeFailure(birth: number): SystemError | undefined {
    const found = this.#failures.get(birth);
    this.#failures.delete(birth);
    return found;
  }

  #shutdown(fd: Fd): void {
    if (this.shutdownFailure !== undefined) throw failure(this.shutdownFailure, "shutdown");
    this.shutDown.push(fd);
  }

  #kill(pid: number, signal: number): void {
    const code = this.killFailures.get(pid);
    if (code !== undefined) throw failure(code, "kill");
    this.kills.push(`${pid} ${signal}`);
  }

  #watch(fd: number, isInterested: boolean, ready: Watched["ready"]): Watch {
    const code = this.#listeners.has(fd) ? this.listenerWatchFailure : this.childWatchFailure;
    if (code !== undefined) throw failure(code, "epoll_ctl");
    const watched: Watched = { fd, isInterested, ready };
    this.#watches.add(watched);
    return {
      update: ({ readable = false }) => {
        const fails = readable && this.#listeners.has(fd) ? this.listenerWatchFailure : undefined;
        if (fails !== undefined) throw failure(fails, "epoll_ctl");
        watched.isInterested = readable;
      },
      keepAlive: () => undefined,
      close: () => this.#watches.delete(watched),
    };
  }

  #isReady({ fd }: Watched): boolean {
    const listener = this.#listeners.get(fd);
    if (listener !== undefined) return listener.queue.length > 0;
    return this.#ended.has(this.#pidfds.get(fd) ?? -1);
  }

  #setNoDelay(fd: Fd): void {
    if (this.noDelayFailure !== undefined) throw failure(this.noDelayFailure, "setsockopt");
    this.noDelay.push(fd);
  }

  /** Takes 100 bytes at a time. */
  #write(fd: Fd, bytes: Uint8Array): number {
    if (this.writeFailure !== undefined) throw failure(this.writeFailure, "write");
    const some = Buffer.from(bytes.subarray(0, 100));
    this.written.set(fd, (this.written.get(fd) ?? "") + some.toString("latin1"));
    return some.length;
  }

  #newFd(): Fd {
    const fd = this.#nextFd as Fd;
    this.#nextFd += 1;
    this.open.add(fd);
    return fd;
  }
}

export function socketAddress(ip: string, port: number): SocketAddress {
  const address = parseIp(ip);
  if (address === undefined) throw new TypeError(`Not an IP address: ${ip}`);
  return toSocketAddress({ address, port });
}

function failure(code: string, syscall: string): SystemError {
  return new SystemError(code, 1, syscall, `strerror of ${code}`);
}

/** The calls that are given, and an error that names it for any other. */
function strictly(calls: Partial<Posix>): Posix {
  return new Proxy(calls as Posix, {
    get(target, name): unknown {
      const call: unknown = Reflect.get(target, name);
      if (call === undefined) throw new Error(`the fake kernel has no ${String(name)}`);
      return call;
    },
  });
}
