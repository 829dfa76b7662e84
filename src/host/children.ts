/**
 * The children of a process, from their birth to their end. They are waited for by pid, so that neither
 * the embedding program's children nor libuv's are touched: a pidfd in the event loop where the system
 * has them, SIGCHLD and the known pids elsewhere. A child that is stopped before it has executed its
 * program is killed after a while, for it keeps memory of ours.
 */

import type { Clock, Timer } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Child, Fd, Pid, Posix, WaitStatus, Watch } from "../posix/index.ts";

/** How a child ended. */
export interface ChildEnd {
  readonly status: WaitStatus;
  /**
   * Why it never executed its program: a step that failed, or a signal that came first. Undefined when
   * it did, or when nobody can tell.
   */
  readonly unexecuted: SystemError | "killed" | undefined;
}

/** What whoever made a child hears of it. */
export interface ChildEvents {
  /** It has executed its program: told once, of children made with `tellsExec` only. */
  executed?(): void;
  /** It has ended and was reaped: told once, last. */
  ended(end: ChildEnd): void;
}

export interface WatchOptions {
  /** Does the event loop live as long as the child? It does unless this is false. */
  readonly keepsAlive?: boolean;
}

export interface ChildrenOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly signals: {
    on(names: readonly NodeJS.Signals[], handler: () => void): () => void;
  };
}

/** A child whose birth takes longer than this is killed, at twice this time at the latest. */
export const BIRTH_MS_MAX = 5_000;

/** A child that somebody else has reaped: how it ended is lost. */
const LOST: WaitStatus = { kind: "exited", exitCode: 111 };

const SIGKILL = 9;

/** One child that has not been reaped. */
interface Watched {
  readonly child: Child;
  readonly events: ChildEvents;
  pidfdWatch: Watch | undefined;
  tellerWatch: Watch | undefined;
  /** Is `executed` still to be told? */
  awaitsExec: boolean;
  hasExecuted: boolean;
  failure: SystemError | undefined;
}

export class Children {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #signals: ChildrenOptions["signals"];
  readonly #byPid = new Map<Pid, Watched>();
  /** Those without a pidfd. */
  readonly #bySignal = new Map<Pid, Watched>();
  #stopSignals: (() => void) | undefined;
  #birthTimer: Timer | undefined;
  /** The births that were in flight when the timer fired last. */
  #longBirths: ReadonlySet<number> = new Set();

  constructor({ posix, clock, signals }: ChildrenOptions) {
    this.#posix = posix;
    this.#clock = clock;
    this.#signals = signals;
  }

  /** Is this a child of ours that has not been reaped? */
  has(pid: Pid): boolean {
    return this.#byPid.has(pid);
  }

  /**
   * Wait for the child, and reap it. Takes over its descriptors. A child that does not keep the event
   * loop alive is one that whoever made it asks for signs of life: nobody looks after its birth here.
   */
  watch(child: Child, events: ChildEvents, { keepsAlive = true }: WatchOptions = {}): void {
    const watched: Watched = {
      child,
      events,
      pidfdWatch: undefined,
      tellerWatch: undefined,
      awaitsExec: child.teller !== undefined,
      hasExecuted: false,
      failure: undefined,
    };
    this.#byPid.set(child.pid, watched);
    watched.pidfdWatch = this.#tryWatch(child.pidfd, () => this.#reap(watched));
    if (watched.pidfdWatch === undefined) this.#watchBySignal(watched);
    if (child.teller !== undefined) {
      watched.tellerWatch = this.#tryWatch(child.teller, () => this.#hearOfExec(watched));
    }
    if (keepsAlive) {
      this.#birthTimer ??= this.#clock.setTimer(BIRTH_MS_MAX, () => this.#checkBirths());
    } else {
      watched.pidfdWatch?.keepAlive(false);
      watched.tellerWatch?.keepAlive(false);
    }
  }

  /** Forget the child and close its descriptors: it outlives us, or is somebody else's to reap. */
  release({ pid }: Child): void {
    const watched = this.#byPid.get(pid);
    if (watched !== undefined) this.#forget(watched);
  }

  /** Undefined, and the descriptor closed, where it cannot be watched. */
  #tryWatch(fd: Fd, ready: () => void): Watch | undefined {
    if (fd < 0) return undefined;
    try {
      return this.#posix.watch(fd, { readable: true }, ready);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#posix.close(fd);
      return undefined;
    }
  }

  #watchBySignal(watched: Watched): void {
    this.#bySignal.set(watched.child.pid, watched);
    this.#stopSignals ??= this.#signals.on(["SIGCHLD"], () => this.#reapBySignal());
    this.#clock.setTimer(0, () => this.#reapBySignal()); // it may have ended already
  }

  #reapBySignal(): void {
    for (const watched of this.#bySignal.values()) this.#reap(watched);
  }

  /** The pipe was closed: the program was executed, or will never be. */
  #hearOfExec(watched: Watched): void {
    this.#closeTeller(watched);
    this.#settleBirth(watched);
  }

  #settleBirth(watched: Watched): void {
    const { child, events } = watched;
    watched.awaitsExec = false;
    watched.failure ??= this.#posix.birthFailure(child.birth);
    if (watched.failure !== undefined || this.#posix.hasExecuted(child.pid) === false) return;
    watched.hasExecuted = true;
    events.executed?.();
  }

  #reap(watched: Watched): void {
    const { child, events } = watched;
    const status = this.#endedStatus(child.pid);
    if (status === undefined || !this.#byPid.has(child.pid)) return;
    const unexecuted = this.#whyUnexecuted(watched, status);
    if (status !== LOST) this.#posix.reap(child.pid);
    this.#forget(watched);
    events.ended({ status, unexecuted });
  }

  #endedStatus(pid: Pid): WaitStatus | undefined {
    try {
      return this.#posix.endedStatus(pid);
    } catch (error) {
      if (error instanceof SystemError && error.code === "ECHILD") return LOST;
      throw error;
    }
  }

  /** Of a child that has ended, but was not reaped. */
  #whyUnexecuted(watched: Watched, status: WaitStatus): ChildEnd["unexecuted"] {
    const { pid, birth } = watched.child;
    if (watched.hasExecuted) return undefined;
    const failure = watched.failure ?? this.#posix.birthFailure(birth);
    if (failure !== undefined) return failure;
    const isKilled = status.kind === "killed" && this.#posix.hasExecuted(pid) === false;
    return isKilled ? "killed" : undefined;
  }

  #forget(watched: Watched): void {
    const { pid, pidfd } = watched.child;
    this.#byPid.delete(pid);
    this.#closeTeller(watched);
    if (watched.pidfdWatch !== undefined) {
      watched.pidfdWatch.close();
      this.#posix.close(pidfd);
    }
    this.#bySignal.delete(pid);
    if (this.#bySignal.size === 0) {
      this.#stopSignals?.();
      this.#stopSignals = undefined;
    }
    if (this.#byPid.size === 0) {
      this.#birthTimer?.cancel();
      this.#birthTimer = undefined;
    }
  }

  #closeTeller(watched: Watched): void {
    const { teller } = watched.child;
    if (watched.tellerWatch === undefined || teller === undefined) return;
    watched.tellerWatch.close();
    watched.tellerWatch = undefined;
    this.#posix.close(teller);
  }

  /** A birth takes less than a millisecond: one that was in flight the last time too is stuck. */
  #checkBirths(): void {
    this.#birthTimer = undefined;
    const inFlight = new Set(this.#posix.birthsInFlight());
    const stuck = new Set([...inFlight].filter((birth) => this.#longBirths.has(birth)));
    for (const watched of stuck.size > 0 || this.#hasUntold() ? this.#byPid.values() : []) {
      if (stuck.has(watched.child.birth)) this.#kill(watched.child.pid);
      else if (isUntold(watched) && !inFlight.has(watched.child.birth)) this.#settleBirth(watched);
    }
    this.#longBirths = inFlight;
    if (inFlight.size > 0 || this.#hasUntold()) {
      this.#birthTimer ??= this.#clock.setTimer(BIRTH_MS_MAX, () => this.#checkBirths());
    }
  }

  #hasUntold(): boolean {
    for (const watched of this.#byPid.values()) if (isUntold(watched)) return true;
    return false;
  }

  #kill(pid: Pid): void {
    try {
      this.#posix.kill(pid, SIGKILL);
    } catch (error) {
      // Without the right to, it stays what it is: a stopped child.
      if (!(error instanceof SystemError)) throw error;
    }
  }
}

/** Its pipe could not be watched, so that the timer has to find out that it has executed its program. */
function isUntold({ awaitsExec, tellerWatch }: Watched): boolean {
  return awaitsExec && tellerWatch === undefined;
}
