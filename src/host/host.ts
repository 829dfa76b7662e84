/**
 * The host: owns what a process has only once (signals, the log, children, record locks and, in a process
 * of our own, orphans), and runs any number of residents. The fault of one costs no other. The working
 * directory is nobody's.
 */

import type { Clock, Timer } from "../clock/index.ts";
import { LockTable } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";
import { ChildRegistry } from "./children.ts";
import type { Children } from "./children.ts";
import { guard } from "./faces.ts";
import type { Faces } from "./faces.ts";
import { step } from "./life.ts";
import type { Effect, End, Event, State } from "./life.ts";
import type { Log } from "./log.ts";
import { reapOrphans } from "./orphans.ts";
import type { Resident, Stop } from "./resident.ts";
import type { Signals } from "./signals.ts";

/** How long a resident that was killed for a fault has to end, in milliseconds. */
export const FAULTY_MS = 5_000;

/** A resident at its host. */
export interface Hosted<R extends Resident> {
  readonly resident: R;
  /** Tell the resident to stop. */
  readonly stop: (how: Stop) => void;
  /** How its life ended; never rejects. */
  readonly ended: Promise<End>;
}

/** Owns what a process has only once. */
export interface Host {
  readonly signals: Signals;
  readonly log: Log;
  /** Those of this process, for whoever is no resident. */
  readonly children: Children;
  /** The record locks that this process holds, by file: of all who live in it, and of its chain. */
  readonly locks: LockTable;
  /**
   * Make a resident, which uses the process through the faces that it is given, and start it. Throws
   * what `create` throws.
   */
  run<R extends Resident>(create: (faces: Faces) => R): Hosted<R>;
}

export interface ProcessHostOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly signals: Signals;
  readonly log: Log;
  /**
   * Is the process ours? Then the host reaps its orphans as soon as anything resides in it. A library in
   * somebody's process must not.
   */
  readonly ownsProcess?: boolean;
}

export class ProcessHost implements Host {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly signals: Signals;
  readonly log: Log;
  readonly children: Children;
  readonly locks: LockTable;
  /** A duty that is still to be taken on. */
  #reapsOrphans: boolean;

  constructor({ posix, clock, signals, log, ownsProcess = false }: ProcessHostOptions) {
    this.#posix = posix;
    this.#clock = clock;
    this.signals = signals;
    this.log = log;
    this.children = new ChildRegistry({ posix, clock, signals });
    this.locks = new LockTable(posix);
    this.#reapsOrphans = ownsProcess;
  }

  run<R extends Resident>(create: (faces: Faces) => R): Hosted<R> {
    const tenancy = new Tenancy<R>(this.#clock, this.log);
    const { signals, children } = this;
    const all = { posix: this.#posix, clock: this.#clock, signals, children };
    if (this.#reapsOrphans) reapOrphans(all);
    this.#reapsOrphans = false;
    tenancy.begin(create(guard(all, (error) => tenancy.take({ kind: "fault", error }))));
    return tenancy;
  }
}

class Tenancy<R extends Resident> implements Hosted<R> {
  readonly ended: Promise<End>;
  readonly #clock: Clock;
  readonly #log: Log;
  #resident: R | undefined;
  #state: State = "starting";
  #expiry: Timer | undefined;
  #end: (end: End) => void = () => undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  get resident(): R {
    if (this.#resident === undefined) throw new Error("a resident used while it was being made");
    return this.#resident;
  }

  readonly stop = (how: Stop): void => {
    this.take({ kind: "told", how });
  };

  begin(resident: R): void {
    this.#resident = resident;
    const fault = (error: unknown): void => this.take({ kind: "fault", error });
    resident.done.then((exitCode) => this.take({ kind: "done", exitCode }), fault);
    void startOf(resident).then(
      () => this.take({ kind: "started" }),
      (error: unknown) => this.take({ kind: "notStarted", error }),
    );
  }

  take(event: Event): void {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case "stop":
        this.#stop(effect.how);
        break;
      case "reportFault":
        this.#reportFault(effect.error);
        break;
      case "limitTime":
        this.#expiry = this.#clock.setTimer(FAULTY_MS, () => this.take({ kind: "expired" }));
        break;
      case "end":
        this.#expiry?.cancel();
        this.#end(effect.end);
        break;
    }
  }

  #stop(how: Stop): void {
    try {
      this.resident.stop(how);
    } catch (error) {
      this.take({ kind: "fault", error });
    }
  }

  #reportFault(error: unknown): void {
    const text = error instanceof Error ? error.stack : String(error);
    this.#log.report(this.resident.name, "fatal", `internal error: ${text}`);
  }
}

/** What starting comes to; a promise in any case. */
async function startOf(resident: Resident): Promise<void> {
  await resident.start();
}
