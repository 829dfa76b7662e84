/**
 * The host: owns what a process has only once (signals, the log), and runs any number of residents. The
 * fault of one costs no other. The working directory is nobody's.
 */

import type { Clock, Timer } from "../clock/index.ts";
import type { Posix } from "../posix/index.ts";
import { guard } from "./faces.ts";
import type { Faces } from "./faces.ts";
import { step } from "./life.ts";
import type { Effect, End, Event, State } from "./life.ts";
import type { Log } from "./log.ts";
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
}

export class ProcessHost implements Host {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly signals: Signals;
  readonly log: Log;

  constructor({ posix, clock, signals, log }: ProcessHostOptions) {
    this.#posix = posix;
    this.#clock = clock;
    this.signals = signals;
    this.log = log;
  }

  run<R extends Resident>(create: (faces: Faces) => R): Hosted<R> {
    const tenancy = new Tenancy<R>(this.#clock, this.log);
    const all = { posix: this.#posix, clock: this.#clock, signals: this.signals };
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
