/**
 * Waiting for children by pid, so that neither the embedding program's children nor libuv's are
 * touched: a pidfd in the event loop where the system has them, SIGCHLD and the known pids elsewhere.
 */

import type { Signals } from "../host/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Child, Pid, Posix, WaitStatus } from "../posix/index.ts";

type Ended = (status: WaitStatus) => void;

/** A child that somebody else has reaped: how it ended is lost. */
const LOST: WaitStatus = { kind: "exited", exitCode: 111 };

export class Children {
  readonly #posix: Posix;
  readonly #signals: Signals;
  readonly #byPid = new Map<Pid, Ended>();
  #stopSignals: (() => void) | undefined;

  constructor(posix: Posix, signals: Signals) {
    this.#posix = posix;
    this.#signals = signals;
  }

  /** Call `ended` once, when the child has ended and been reaped. Takes over the pidfd. */
  watch({ pid, pidfd }: Child, ended: Ended): void {
    if (pidfd < 0) {
      this.#watchByPid(pid, ended);
      return;
    }
    const watch = this.#posix.watch(pidfd, { readable: true }, () => {
      const status = this.#reap(pid);
      if (status === undefined) return;
      watch.close();
      this.#posix.close(pidfd);
      ended(status);
    });
  }

  #watchByPid(pid: Pid, ended: Ended): void {
    this.#byPid.set(pid, ended);
    this.#stopSignals ??= this.#signals.on(["SIGCHLD"], () => this.#reapKnown());
    queueMicrotask(() => this.#reapKnown());
  }

  #reapKnown(): void {
    for (const [pid, ended] of this.#byPid) {
      const status = this.#reap(pid);
      if (status === undefined) continue;
      this.#byPid.delete(pid);
      ended(status);
    }
    if (this.#byPid.size > 0) return;
    this.#stopSignals?.();
    this.#stopSignals = undefined;
  }

  #reap(pid: Pid): WaitStatus | undefined {
    try {
      return this.#posix.reap(pid);
    } catch (error) {
      if (error instanceof SystemError && error.code === "ECHILD") return LOST;
      throw error;
    }
  }
}
