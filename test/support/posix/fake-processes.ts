/** Processes of the fake kernel: children that tests end by hand, and the attributes of its own. */

import { splitBlock } from "../../../src/posix/bytes.ts";
import type {
  Child,
  Fd,
  Gid,
  Limit,
  Pid,
  Resource,
  SpawnRequest,
  SystemError,
  Uid,
  WaitStatus,
} from "../../../src/posix/posix.ts";
import { FakeChild } from "./fake-child.ts";
import { FdTable, OpenFile } from "./fake-file.ts";
import { OWN_PID, systemError } from "./fake-kernel.ts";
import { FakeSockets } from "./fake-sockets.ts";

const SIGKILL = 9;

/** What `execve` throws in place of becoming another program. */
export class FakeExecution extends Error {
  override readonly name = "FakeExecution";
  readonly files: readonly string[];
  readonly argv: readonly string[];
  readonly environment: readonly string[];

  constructor(files: Uint8Array, argv: Uint8Array, environment: Uint8Array) {
    const words = splitBlock(argv);
    super(`executed ${words.join(" ")}`);
    this.files = splitBlock(files);
    this.argv = words;
    this.environment = splitBlock(environment);
  }
}

export class FakeProcesses extends FakeSockets {
  readonly children: FakeChild[] = [];
  /** Children stay on the way to their programs. */
  holdsBirths = false;
  hasPidfds = true;
  /** Does /proc tell of children? */
  hasProc = true;
  readonly signals: { readonly pid: number; readonly signal: number }[] = [];
  readonly limits = new Map<Resource, Limit>();
  directory = "/";
  /** The session or process group calls made, oldest first. */
  readonly sessionCalls: string[] = [];
  /** What programs are to be born with. */
  adoptedSignals = { ignored: 0n, blocked: 0n };
  readonly #reaped = new Set<FakeChild>();
  #lastPid: number = OWN_PID;

  /** The child of this pid. */
  child(pid: Pid): FakeChild {
    const child = this.children.find((candidate) => candidate.pid === pid);
    if (child === undefined) throw new Error(`fake: there is no child ${pid}`);
    return child;
  }

  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never {
    this.mayFail("execve");
    throw new FakeExecution(files, argv, environment);
  }

  prepareSpawns(): void {
    this.mayFail("prepareSpawns");
  }

  spawn(request: SpawnRequest): Child {
    this.mayFail("spawn");
    const fds = new FdTable();
    for (const fd of this.fds.numbers) {
      if (!this.fds.isCloseOnExec(fd)) fds.place(this.opened(fd, "spawn"), fd, false);
    }
    const { descriptors } = request;
    for (let i = 0; i + 1 < descriptors.length; i += 2) {
      const [target = -1, source = -1] = descriptors.slice(i, i + 2);
      if (source < 0) fds.remove(target);
      else fds.place(this.opened(source, "dup3"), target, false);
    }
    const child = new FakeChild(++this.#lastPid as Pid, request, fds);
    child.hasExecuted = !this.holdsBirths;
    this.children.push(child);
    const pidfd = new OpenFile("read");
    pidfd.hasEnded = () => child.status !== undefined;
    return {
      pid: child.pid,
      pidfd: this.hasPidfds ? this.fds.add(pidfd, 3) : (-1 as Fd),
      birth: child.birth,
    };
  }

  birthFailure(birth: number): SystemError | undefined {
    const child = this.children.find((candidate) => candidate.birth === birth);
    const failure = child?.failure;
    if (child !== undefined) child.failure = undefined;
    return failure;
  }

  birthsInFlight(): readonly number[] {
    return this.children
      .filter((child) => !child.hasExecuted && child.status === undefined)
      .map(({ birth }) => birth);
  }

  endedStatus(pid: Pid): WaitStatus | undefined {
    this.mayFail("endedStatus");
    const child = this.children.find((one) => one.pid === pid && !this.#reaped.has(one));
    if (child === undefined) throw systemError("ECHILD", "waitid");
    return child.status;
  }

  hasExecuted(pid: Pid): boolean | undefined {
    return this.hasProc ? this.child(pid).hasExecuted : undefined;
  }

  childPids(): readonly Pid[] | undefined {
    if (!this.hasProc) return undefined;
    return this.children.filter((child) => !this.#reaped.has(child)).map(({ pid }) => pid);
  }

  reap(pid: Pid): WaitStatus | undefined {
    this.mayFail("reap");
    const index = this.children.findIndex((child) => child.pid === pid && !this.#reaped.has(child));
    const child = this.children[index];
    if (child === undefined) throw systemError("ECHILD", "waitpid");
    if (child.status !== undefined) this.#reaped.add(child);
    return child.status;
  }

  isSpawned(pid: Pid): boolean {
    return this.children.some((child) => child.pid === pid && !this.#reaped.has(child));
  }

  hasChildren(): boolean {
    return this.children.some((child) => !this.#reaped.has(child));
  }

  isSubreaper(): boolean {
    return false;
  }

  peekEndedChild(): Pid | undefined {
    this.mayFail("peekEndedChild");
    return this.children.find((child) => child.status !== undefined && !this.#reaped.has(child))
      ?.pid;
  }

  kill(pid: Pid | number, signal: number): void {
    this.mayFail("kill");
    const child = this.children.find((one) => one.pid === Math.abs(pid) && !this.#reaped.has(one));
    if (child === undefined && pid !== OWN_PID) throw systemError("ESRCH", "kill");
    this.signals.push({ pid, signal });
    child?.signals.push(signal);
    if (signal === SIGKILL) child?.end({ kind: "killed", signal, coreDumped: false });
  }

  adoptSignals(sets: { readonly ignored: bigint; readonly blocked: bigint }): void {
    this.mayFail("adoptSignals");
    this.adoptedSignals = sets;
  }

  defaultSignal(): void {
    this.mayFail("defaultSignal");
  }

  getpid(): Pid {
    return OWN_PID;
  }

  setsid(): void {
    this.mayFail("setsid");
    this.sessionCalls.push("setsid");
  }

  setpgid(pid: number, pgid: number): void {
    this.mayFail("setpgid");
    this.sessionCalls.push(`setpgid ${pid} ${pgid}`);
  }

  tcsetpgrp(fd: Fd, pgid: number): void {
    this.mayFail("tcsetpgrp");
    this.opened(fd, "tcsetpgrp");
    this.sessionCalls.push(`tcsetpgrp ${fd} ${pgid}`);
  }

  getuid(): Uid {
    return this.identity.uid;
  }

  getgid(): Gid {
    return this.identity.gid;
  }

  geteuid(): Uid {
    return this.identity.uid;
  }

  getegid(): Gid {
    return this.identity.gid;
  }

  setgroups(gids: readonly Gid[]): void {
    this.mayFail("setgroups");
    this.needRoot("setgroups");
    this.identity = { ...this.identity, groups: [...gids] };
  }

  setgid(gid: Gid): void {
    this.mayFail("setgid");
    if (gid !== this.identity.gid) this.needRoot("setgid");
    this.identity = { ...this.identity, gid };
  }

  setuid(uid: Uid): void {
    this.mayFail("setuid");
    if (uid !== this.identity.uid) this.needRoot("setuid");
    this.identity = { ...this.identity, uid };
  }

  getrlimit(resource: Resource): Limit {
    this.mayFail("getrlimit");
    return this.limits.get(resource) ?? { soft: Infinity, hard: Infinity };
  }

  setrlimit(resource: Resource, limit: Limit): void {
    this.mayFail("setrlimit");
    if (limit.soft > limit.hard) throw systemError("EINVAL", "setrlimit");
    if (limit.hard > this.getrlimit(resource).hard) this.needRoot("setrlimit");
    this.limits.set(resource, limit);
  }

  umask(mask: number): number {
    const before = this.mask;
    this.mask = mask & 0o777;
    return before;
  }

  chdir(directory: string): void {
    this.mayFail("chdir");
    this.directory = directory;
  }

  chdirTo(fd: Fd): void {
    this.mayFail("chdirTo");
    const { file } = this.opened(fd, "fchdir");
    if (file?.kind !== "directory") throw systemError("ENOTDIR", "fchdir");
    this.directory = this.tree.pathOf(file);
  }
}
