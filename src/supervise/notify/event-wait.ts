/** Waiting for events, while a program runs that may cause them (supervision.md, section 3.5). */

import type { Clock, Deadline } from "../../clock/index.ts";
import type { Signals } from "../../host/index.ts";
import type { Posix, SystemError } from "../../posix/index.ts";
import type { ListeningContext } from "./listener.ts";
import { Subscription, subscriptionProblem } from "./subscription.ts";
import type { Wanted } from "./subscription.ts";

/** The world of whoever waits for events. */
export interface WaitingContext extends ListeningContext {
  readonly clock: Clock;
  readonly signals: Signals;
}

/** The end of a wait. */
export type WaitEnd =
  /** The events that came last. */
  | { readonly kind: "matched"; readonly events: Buffer }
  | { readonly kind: "timedOut" }
  | { readonly kind: "signalled"; readonly name: NodeJS.Signals }
  | { readonly kind: "failed"; readonly wanted: Wanted; readonly error: SystemError };

/** Something that cannot be subscribed to: an expression or a directory. */
export class SubscriptionError extends Error {
  override readonly name = "SubscriptionError";
}

export interface EventWaitOptions {
  readonly wanted: readonly Wanted[];
  /** Are all of them waited for, or any? */
  readonly mode: "all" | "any";
  readonly deadline: Deadline | undefined;
  /** The signals that end the wait, so that nothing is left behind. */
  readonly signals: readonly NodeJS.Signals[];
}

/** A wait that has begun: no event that comes after its construction is lost. */
export class EventWait {
  /** Resolves once; then all subscriptions have ended. */
  readonly ended: Promise<WaitEnd>;
  #end: (end: WaitEnd) => void = () => undefined;
  readonly #subscriptions: Subscription[] = [];
  readonly #releases: (() => void)[] = [];

  /** Throws SubscriptionError, with nothing left of the other subscriptions. */
  constructor(context: WaitingContext, { wanted, mode, deadline, signals }: EventWaitOptions) {
    this.ended = new Promise((resolve) => (this.#end = resolve));
    let missing = mode === "all" ? wanted.length : 1;
    // First, so that no signal finds a fifo that nobody removes.
    this.#releases.push(
      context.signals.on(signals, (name) => this.#finish({ kind: "signalled", name })),
    );
    for (const one of wanted) {
      this.#subscribe(context, one, (events) => {
        missing -= 1;
        if (missing === 0) this.#finish({ kind: "matched", events });
      });
    }
    const timer = deadline?.setTimer(() => this.#finish({ kind: "timedOut" }));
    this.#releases.push(() => timer?.cancel());
  }

  /** Give up: `ended` does not resolve. */
  close(): void {
    for (const release of this.#releases.splice(0)) release();
    for (const subscription of this.#subscriptions.splice(0)) subscription.close();
  }

  #subscribe(context: WaitingContext, wanted: Wanted, matched: (events: Buffer) => void): void {
    try {
      const subscription: Subscription = new Subscription(context, wanted, {
        matched: (events) => {
          subscription.close();
          matched(events);
        },
        failed: (error) => this.#finish({ kind: "failed", wanted, error }),
      });
      this.#subscriptions.push(subscription);
    } catch (error) {
      this.close();
      const why = subscriptionProblem(error);
      if (why === undefined) throw error;
      const { fifodir, regex } = wanted;
      const text = `unable to subscribe to ${fifodir.path} with regexp ${regex}: ${why}`;
      throw new SubscriptionError(text, { cause: error });
    }
  }

  #finish(end: WaitEnd): void {
    this.close();
    this.#end(end);
  }
}

/** The signals that end a process of ours by default, and their numbers on all processors that Node runs on. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** Those that do, but for the ones that this process was started to ignore. */
export function endingSignals(ignored = 0n): NodeJS.Signals[] {
  const isHeard = ([, number]: [string, number]): boolean =>
    (ignored & (1n << BigInt(number - 1))) === 0n;
  return Object.entries(ENDING)
    .filter(isHeard)
    .map(([name]) => name as keyof typeof ENDING);
}

/** The exit code that shells give to a process that such a signal has ended. */
const EXIT_SIGNALLED = 128;

/**
 * End this process as the signal would have. Returns only where the kernel does not let it (pid 1): the exit
 * code then.
 */
export function dieOf(posix: Posix, name: NodeJS.Signals): number {
  const number = Object.entries(ENDING).find(([other]) => other === name)?.[1] ?? ENDING.SIGTERM;
  posix.defaultSignal(number);
  posix.kill(posix.getpid(), number);
  return EXIT_SIGNALLED + number;
}
