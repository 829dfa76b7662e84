/** Processes: becoming another program, waiting for children, signals, sessions. */

import { readChildPids } from "./child-pids.ts";
import type { Fd, Pid } from "./kernel.ts";

/** The end of a process, as wait(2) reports it. */
export type WaitStatus =
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "killed"; readonly signal: number; readonly coreDumped: boolean };

/** Calls on processes. */
export interface Processes {
  /**
   * execve(2), trying each of `files` as execvp(3) would (going on after ENOENT, EACCES, EPERM,
   * EISDIR and ENOTDIR; the error reported is the last that was not ENOENT, if there was one). Just
   * before, the signals and the mask become what `adoptSignals` was told, by default nothing ignored
   * and nothing blocked. Returns only by throwing.
   */
  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never;
  /** waitpid(2) with WNOHANG for one child; undefined while it runs. ECHILD throws. */
  reap(pid: Pid): WaitStatus | undefined;
  /** As `reap`, but the child is left to be reaped (waitid with WNOWAIT). */
  endedStatus(pid: Pid): WaitStatus | undefined;
  /**
   * Has this child of ours executed a program since it was created? Answers for one that has ended, but
   * was not reaped, too. Undefined where /proc does not tell.
   */
  hasExecuted(pid: Pid): boolean | undefined;
  /** The children of this process, ended ones included; undefined where /proc does not tell. */
  childPids(): readonly Pid[] | undefined;
  /** Has this process children at all, ended or not? */
  hasChildren(): boolean;
  /** Is this process given the orphans among its descendants (PR_SET_CHILD_SUBREAPER)? */
  isSubreaper(): boolean;
  /** The pid of any child of ours that has ended, left unreaped (waitid with WNOWAIT). */
  peekEndedChild(): Pid | undefined;
  kill(pid: Pid | number, signal: number): void;
  /**
   * The signal settings that programs are started with, here or in children: bit N - 1 stands for
   * signal N. The ignored ones are ignored in this process too from now on, but for those of faults and
   * SIGCHLD, unless they are handled later.
   */
  adoptSignals(sets: { readonly ignored: bigint; readonly blocked: bigint }): void;
  /** Have a signal do to this process what it does to one that does not care (SIG_DFL). */
  defaultSignal(signal: number): void;
  getpid(): Pid;
  setsid(): void;
  setpgid(pid: number, pgid: number): void;
  /** tcsetpgrp(3); `ignoreTtou` keeps SIGTTOU away while it runs. */
  tcsetpgrp(fd: Fd, pgid: number, ignoreTtou: boolean): void;
}

/** The exports of C for this family (`native/`). */
export interface ProcessesAddon {
  execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never;
  reap(pid: number): number;
  endedStatus(pid: number): number;
  hasExecuted(pid: number): boolean | undefined;
  hasChildren(): boolean;
  isSubreaper(): boolean;
  peekEndedChild(): number;
  kill(pid: number, signal: number): void;
  adoptSignals(ignored: bigint, blocked: bigint): void;
  defaultSignal(signal: number): void;
  getpid(): number;
  setsid(): void;
  setpgid(pid: number, pgid: number): void;
  tcsetpgrp(fd: number, pgid: number, ignoreTtou: boolean): void;
}

/** The calls of this kernel on processes. A child that is reaped is taken out of `spawned`. */
export function nativeProcesses(addon: ProcessesAddon, spawned: Set<number>): Processes {
  return {
    execve(files: Uint8Array, argv: Uint8Array, environment: Uint8Array): never {
      return addon.execve(files, argv, environment);
    },

    reap(pid: Pid): WaitStatus | undefined {
      const status = addon.reap(pid);
      if (status < 0) return undefined;
      spawned.delete(pid);
      return waitStatus(status);
    },

    endedStatus(pid: Pid): WaitStatus | undefined {
      const status = addon.endedStatus(pid);
      return status < 0 ? undefined : waitStatus(status);
    },

    hasExecuted(pid: Pid): boolean | undefined {
      return addon.hasExecuted(pid);
    },

    childPids(): readonly Pid[] | undefined {
      return readChildPids(addon.getpid());
    },

    hasChildren(): boolean {
      return addon.hasChildren();
    },

    isSubreaper(): boolean {
      return addon.isSubreaper();
    },

    peekEndedChild(): Pid | undefined {
      const pid = addon.peekEndedChild();
      return pid === 0 ? undefined : (pid as Pid);
    },

    kill(pid: Pid | number, signal: number): void {
      addon.kill(pid, signal);
    },

    adoptSignals({ ignored, blocked }): void {
      addon.adoptSignals(BigInt.asIntN(64, ignored), BigInt.asIntN(64, blocked));
    },

    defaultSignal(signal: number): void {
      addon.defaultSignal(signal);
    },

    getpid(): Pid {
      return addon.getpid() as Pid;
    },

    setsid(): void {
      addon.setsid();
    },

    setpgid(pid: number, pgid: number): void {
      addon.setpgid(pid, pgid);
    },

    tcsetpgrp(fd: Fd, pgid: number, ignoreTtou: boolean): void {
      addon.tcsetpgrp(fd, pgid, ignoreTtou);
    },
  };
}

/** The status of waitpid(2), by the layout that all Linux architectures share. */
function waitStatus(status: number): WaitStatus {
  const signal = status & 0x7f;
  if (signal === 0) return { kind: "exited", exitCode: (status >> 8) & 0xff };
  return { kind: "killed", signal, coreDumped: (status & 0x80) !== 0 };
}
