/**
 * The children of a process, of all who live in it, from their birth to their end. They are waited for by pid, so that neither
 * the embedding program's children nor libuv's are touched: a pidfd in the event loop where the system
 * has them, SIGCHLD and the known pids elsewhere. A child that is stopped before it has executed its
 * program is killed after a while, for it keeps memory of ours.
 */

import type { Clock, Timer } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Child, Fd, Pid, Posix, WaitStatus, Watch } from "../posix/index.ts";
import type { Signals } from "./signals.ts";

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
  /**
   * It has executed its program: told once, a few milliseconds after that, and before its end.
   */
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
  readonly signals: Signals;
}

/** Waits for children, in the name of whoever made them. */
export interface Children {
  /** Is this a child of ours that has not been reaped? */
  has(pid: Pid): boolean;
  /**
   * Wait for the child, and reap it. Takes over its pidfd. A child that does not keep the event loop alive
   * is one that whoever made it asks for signs of life: nobody looks after its birth here.
   */
  watch(child: Child, events: ChildEvents, options?: WatchOptions): void;
  /** Forget the child and close its pidfd: it outlives us, or is somebody else's to reap. */
  release(child: Child): void;
  /**
   * Tell now who has executed its program by now: for a log in which that comes before what a client of
   * that program does next.
   */
  tellExecs(): void;
}

/** A child whose birth takes longer than this is killed, at twice this time at the latest. */
export const BIRTH_MS_MAX = 5_000;

/** How often births are looked at that somebody waits for: at first, and when they take long. */
const LOOK_MS_MIN = 1;
const LOOK_MS_MAX = 64;

/** A child that somebody else has reaped: how it ended is lost. */
const LOST: WaitStatus = { kind: "exited", exitCode: 111 };

const SIGKILL = 9;

/** One child that has not been reaped. */
interface Watched {
  readonly child: Child;
  readonly events: ChildEvents;
  readonly keepsAlive: boolean;
  watch: Watch | undefined;
  /** Has `executed` been told? */
  isTold: boolean;
  failure: SystemError | undefined;
}

/** The children of all who live in one process. */
export class ChildRegistry implements Children {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #signals: Signals;
  readonly #byPid = new Map<Pid, Watched>();
  /** Those without a pidfd. */
  readonly #bySignal = new Map<Pid, Watched>();
  #stopSignals: (() => void) | undefined;
  /** Those of whom somebody waits to hear that they have executed their program. */
  readonly #awaited = new Set<Watched>();
  #lookTimer: Timer | undefined;
  #lookMs = LOOK_MS_MIN;
  #birthTimer: Timer | undefined;
  /** How many there are that keep the event loop alive: the timer of births does too. */
  #keptAlive = 0;
  /** The births that were in flight when the timer fired last. */
  #longBirths: ReadonlySet<number> = new Set();

  constructor({ posix, clock, signals }: ChildrenOptions) {
    this.#posix = posix;
    this.#clock = clock;
    this.#signals = signals;
  }

  has(pid: Pid): boolean {
    return this.#byPid.has(pid);
  }

  watch(child: Child, events: ChildEvents, { keepsAlive = true }: WatchOptions = {}): void {
    const watched: Watched = {
      child,
      events,
      keepsAlive,
      watch: undefined,
      isTold: false,
      failure: undefined,
    };
    this.#byPid.set(child.pid, watched);
    watched.watch = this.#tryWatch(child.pidfd, () => this.#reap(watched));
    if (watched.watch === undefined) this.#watchBySignal(watched);
    if (events.executed !== undefined) this.#await(watched);
    if (keepsAlive) {
      this.#keptAlive += 1;
      this.#birthTimer ??= this.#clock.setTimer(BIRTH_MS_MAX, () => this.#checkBirths());
    } else {
      watched.watch?.keepAlive(false);
    }
  }

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

  /** A birth takes a fraction of a millisecond, and one look, at all at once, costs next to nothing. */
  #await(watched: Watched): void {
    this.#awaited.add(watched);
    if (this.#lookTimer !== undefined && this.#lookMs === LOOK_MS_MIN) return;
    this.#lookMs = LOOK_MS_MIN;
    this.#lookTimer?.cancel();
    this.#lookTimer = this.#clock.setTimer(LOOK_MS_MIN, () => this.#look());
  }

  tellExecs(): void {
    if (this.#awaited.size === 0) return;
    const inFlight = new Set(this.#posix.birthsInFlight());
    for (const watched of this.#awaited) {
      if (!inFlight.has(watched.child.birth)) this.#settleBirth(watched);
    }
  }

  #look(): void {
    this.#lookTimer = undefined;
    this.tellExecs();
    if (this.#awaited.size === 0) return;
    this.#lookMs = Math.min(2 * this.#lookMs, LOOK_MS_MAX);
    this.#lookTimer ??= this.#clock.setTimer(this.#lookMs, () => this.#look());
  }

  /** A child that has ended by now is told of when it is reaped. */
  #settleBirth(watched: Watched): void {
    const { child } = watched;
    this.#awaited.delete(watched);
    watched.failure ??= this.#posix.birthFailure(child.birth);
    const hasEnded = watched.failure !== undefined || this.#endedStatus(child.pid) !== undefined;
    if (!hasEnded) this.#tellExec(watched);
  }

  #tellExec(watched: Watched): void {
    if (watched.isTold) return;
    watched.isTold = true;
    watched.events.executed?.();
  }

  #reap(watched: Watched): void {
    const { child, events } = watched;
    const status = this.#endedStatus(child.pid);
    if (status === undefined || !this.#byPid.has(child.pid)) return;
    const unexecuted = this.#whyUnexecuted(watched, status);
    if (status !== LOST) this.#posix.reap(child.pid);
    this.#forget(watched);
    if (unexecuted === undefined) this.#tellExec(watched);
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
    const failure = watched.failure ?? this.#posix.birthFailure(birth);
    if (failure !== undefined) return failure;
    const isKilled = status.kind === "killed" && this.#posix.hasExecuted(pid) === false;
    return isKilled ? "killed" : undefined;
  }

  #forget(watched: Watched): void {
    const { pid, pidfd } = watched.child;
    this.#byPid.delete(pid);
    if (watched.keepsAlive) this.#keptAlive -= 1;
    this.#awaited.delete(watched);
    if (watched.watch !== undefined) {
      watched.watch.close();
      this.#posix.close(pidfd);
    }
    this.#bySignal.delete(pid);
    if (this.#bySignal.size === 0) {
      this.#stopSignals?.();
      this.#stopSignals = undefined;
    }
    if (this.#awaited.size === 0) {
      this.#lookTimer?.cancel();
      this.#lookTimer = undefined;
    }
    if (this.#keptAlive === 0) {
      this.#birthTimer?.cancel();
      this.#birthTimer = undefined;
    }
  }

  /** One that was in flight the last time too is stuck. */
  #checkBirths(): void {
    this.#birthTimer = undefined;
    const inFlight = new Set(this.#posix.birthsInFlight());
    const stuck = new Set([...inFlight].filter((birth) => this.#longBirths.has(birth)));
    if (stuck.size > 0) {
      for (const { child } of this.#byPid.values()) {
        if (stuck.has(child.birth)) this.#kill(child.pid);
      }
    }
    this.#longBirths = inFlight;
    if (inFlight.size === 0) return;
    this.#birthTimer ??= this.#clock.setTimer(BIRTH_MS_MAX, () => this.#checkBirths());
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
