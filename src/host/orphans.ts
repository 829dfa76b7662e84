/**
 * Orphans: processes whose parents have ended, which the kernel gives to pid 1 and to subreapers, and
 * children that were there before the exec that started us. Somebody has to reap them. That is for a
 * program that owns its process; a library in somebody's process must not, for it cannot know what
 * other code there waits for. Left alone are the children of `isOurs` and those of Node's child_process.
 */

import { subscribe } from "node:diagnostics_channel";
import type { ChildProcess } from "node:child_process";
import type { Clock, Timer } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Pid, Posix } from "../posix/index.ts";
import type { ChildrenOptions } from "./children.ts";
import type { Signals } from "./signals.ts";

/** Ends that come together are looked for together. */
const DELAY_MS = 50;

/** The least time between readings of the list of all children: it may be long. */
const LIST_MS = 1_000;

/** The number that is reaped in one turn of the event loop. */
const BATCH_MAX = 1_000;

export interface OrphanReaperOptions extends ChildrenOptions {
  /** Is this a child that somebody here waits for? */
  isOurs(pid: Pid): boolean;
}

/**
 * Reap orphans from now on, if this process may have any: as pid 1, as a subreaper, or with children from
 * before the exec that started it. To be called before it makes any. Returns what ends it.
 */
export function reapOrphans({ posix, clock, signals }: ChildrenOptions): () => void {
  if (posix.getpid() !== 1 && !posix.isSubreaper() && !posix.hasChildren()) return () => undefined;
  const isOurs = (pid: Pid): boolean => posix.isSpawned(pid);
  const reaper = new OrphanReaper({ posix, clock, signals, isOurs });
  reaper.start();
  return () => reaper.stop();
}

/** Reaps from `start` to `stop`. */
export class OrphanReaper {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #signals: Signals;
  readonly #isOurs: (pid: Pid) => boolean;
  readonly #ofNode = new Set<ChildProcess>();
  #stopSignals: (() => void) | undefined;
  #timer: Timer | undefined;
  #nextListMs = -Infinity;

  constructor({ posix, clock, signals, isOurs }: OrphanReaperOptions) {
    this.#posix = posix;
    this.#clock = clock;
    this.#signals = signals;
    this.#isOurs = isOurs;
    // From the beginning: a child of Node's that we had not heard of would be taken for an orphan.
    subscribe("child_process", (message) => this.#noteChildOfNode(message));
  }

  start(): void {
    this.#stopSignals ??= this.#signals.on(["SIGCHLD"], () => this.#schedule());
    this.#schedule();
  }

  stop(): void {
    this.#stopSignals?.();
    this.#stopSignals = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #noteChildOfNode(message: unknown): void {
    const { process: child } = message as { readonly process: ChildProcess };
    this.#ofNode.add(child);
    child.once("exit", () => this.#ofNode.delete(child));
    child.once("error", () => {
      if (child.pid === undefined) this.#ofNode.delete(child);
    });
  }

  #schedule(): void {
    this.#timer ??= this.#clock.setTimer(DELAY_MS, () => {
      this.#timer = undefined;
      if (this.#reapSome()) this.#schedule();
    });
  }

  /** True when there may be more. */
  #reapSome(): boolean {
    for (let reaped = 0; reaped < BATCH_MAX; reaped += 1) {
      const first = this.#posix.peekEndedChild();
      if (first === undefined) return false;
      if (!this.#isOrphan(first)) {
        this.#reapListed();
        return true;
      }
      this.#reap(first);
    }
    return true;
  }

  /** An ended child that is not an orphan hides those behind it, unless there is a list. */
  #reapListed(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextListMs) return;
    this.#nextListMs = nowMs + LIST_MS;
    for (const pid of this.#posix.childPids() ?? []) if (this.#isOrphan(pid)) this.#reap(pid);
  }

  #isOrphan(pid: Pid): boolean {
    if (this.#isOurs(pid)) return false;
    for (const child of this.#ofNode) if (child.pid === pid) return false;
    return true;
  }

  /** Unless it still runs. */
  #reap(pid: Pid): void {
    try {
      this.#posix.reap(pid);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ECHILD")) throw error;
    }
  }
}
