/** A subscription: a fifo in the event loop, and the expression that its events have to match. */

import { encodeBytes, SystemError } from "../../posix/index.ts";
import type { Watch } from "../../posix/index.ts";
import { PosixRegex, RegexError } from "../../regex/index.ts";
import type { Fifodir } from "./fifodir.ts";
import { FifoListener } from "./listener.ts";
import type { ListeningContext } from "./listener.ts";
import { EventMatcher } from "./matcher.ts";

/** What is listened for. */
export interface Wanted {
  readonly fifodir: Fifodir;
  /** A POSIX extended regular expression. */
  readonly regex: string;
}

/** The events of a subscription. */
export interface SubscriptionEvents {
  /** All events since the last match, or since the subscription. */
  matched(events: Buffer): void;
  /** The fifo cannot be read; the subscription is closed. */
  failed(error: SystemError): void;
}

const READ_BYTES = 4096;

/** From its construction on no event is lost, as long as the fifo (64 KiB) is not full. */
export class Subscription {
  readonly #listener: FifoListener;
  readonly #matcher: EventMatcher;
  readonly #events: SubscriptionEvents;
  readonly #watch: Watch;
  #isOpen = true;

  /** Throws RegexError for a bad expression, and SystemError where no fifo can be made. */
  constructor(context: ListeningContext, { fifodir, regex }: Wanted, events: SubscriptionEvents) {
    this.#matcher = new EventMatcher(new PosixRegex(encodeBytes(regex).toString("latin1")));
    this.#events = events;
    this.#listener = FifoListener.open(context, fifodir);
    try {
      this.#watch = context.posix.watch(this.#listener.fd, READABLE, () => this.#read());
    } catch (error) {
      this.#listener.close();
      throw error;
    }
  }

  /** Stop reading: events are in the fifo meanwhile, until it is full. */
  pause(): void {
    this.#watch.update({});
  }

  resume(): void {
    this.#watch.update(READABLE);
  }

  /** Remove the fifo. Nothing is told any more. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#watch.close();
    this.#listener.close();
  }

  #read(): void {
    const into = new Uint8Array(READ_BYTES);
    let count: number | undefined;
    try {
      count = this.#listener.read(into);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.close();
      this.#events.failed(error);
      return;
    }
    if (count === undefined) return;
    for (const events of this.#matcher.take(into.subarray(0, count))) {
      if (this.#isOpen) this.#events.matched(events);
    }
  }
}

const READABLE = { readable: true } as const;

/** The reason why something cannot be subscribed to; undefined for what is no such error. */
export function subscriptionProblem(error: unknown): string | undefined {
  return error instanceof RegexError || error instanceof SystemError ? error.message : undefined;
}
