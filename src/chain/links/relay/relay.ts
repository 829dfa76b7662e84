/**
 * Copying both ways between two pairs of descriptors. Each way is read only when all that was read
 * before has been written, so a slow reader slows the writer at the other end, and ends by itself:
 * at the end of its input the output is shut down (a socket) or closed. Reading that fails is an end as
 * well, and so is writing; both are told, but for an output that has no reader any more (EPIPE).
 */

import type { Clock, Timer } from "../../../clock/index.ts";
import { SystemError } from "../../../posix/index.ts";
import type { Fd, Posix, Readiness, Watch } from "../../../posix/index.ts";

const BUFFER_BYTES = 65_536;

/** One way to copy. */
export interface Flow {
  readonly from: Fd;
  readonly to: Fd;
}

export interface RelayOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly flows: readonly Flow[];
  /** Nothing may move for so long while nothing waits to be written; undefined is for ever. */
  readonly timeoutMs: number | undefined;
  /** One way has come to an early end. */
  failed(failure: FlowFailure): void;
}

export interface FlowFailure {
  readonly flow: Flow;
  readonly call: "read" | "write";
  readonly error: SystemError;
}

/** Every way has come to its end, some of them early; or nothing has moved for too long. */
export type RelayResult = "done" | "failed" | "timedOut";

export class Relay {
  readonly #clock: Clock;
  readonly #timeoutMs: number | undefined;
  readonly #copiers: readonly Copier[];
  #result: "done" | "failed" = "done";
  #lastMoveMs = 0;
  #timer: Timer | undefined;
  #finish: (result: RelayResult) => void = () => {};

  constructor({ posix, clock, flows, timeoutMs, failed }: RelayOptions) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    const events: CopierEvents = {
      moved: () => this.#moved(),
      failed: (failure) => {
        this.#result = "failed";
        failed(failure);
      },
      ended: (copier) => this.#ended(copier),
    };
    const all = flows.flatMap(({ from, to }) => [from, to]);
    const before = new Map(all.map((fd) => [fd, posix.isNonblocking(fd)]));
    this.#copiers = flows.map((flow) => new Copier(posix, flow, { before, events }));
  }

  /** Copy until every way has ended, or nothing has moved for too long. */
  run(): Promise<RelayResult> {
    return new Promise((resolve) => {
      this.#finish = resolve;
      this.#moved();
      this.#setTimer(this.#timeoutMs);
      for (const copier of this.#copiers) copier.start();
    });
  }

  /** Read no more; what has been read is still written. */
  stopReading(): void {
    for (const copier of this.#copiers) copier.stopReading();
  }

  #moved(): void {
    this.#lastMoveMs = this.#clock.monotonicMs();
  }

  /** A peer that is gone altogether takes no more input either: do not wait for some to come. */
  #ended(ended: Copier): void {
    for (const other of this.#copiers) {
      if (other.state !== "ended") other.becomeNonblocking();
      if (ended.hasLostPeerOf(other)) other.stopReading();
    }
    if (!this.#copiers.every((copier) => copier.state === "ended")) return;
    this.#timer?.cancel();
    this.#finish(this.#result);
  }

  #setTimer(delayMs: number | undefined): void {
    if (delayMs !== undefined) this.#timer = this.#clock.setTimer(delayMs, () => this.#expire());
  }

  /** Time passes only while there is nothing left to write. */
  #expire(): void {
    const timeoutMs = this.#timeoutMs ?? Infinity;
    if (this.#copiers.some((copier) => copier.state === "writing")) this.#moved();
    const leftMs = this.#lastMoveMs + timeoutMs - this.#clock.monotonicMs();
    if (leftMs > 0) {
      this.#setTimer(leftMs);
      return;
    }
    for (const copier of this.#copiers) copier.abandon();
    this.#finish("timedOut");
  }
}

interface CopierOptions {
  /** The descriptors that were nonblocking before. */
  readonly before: ReadonlyMap<Fd, boolean>;
  readonly events: CopierEvents;
}

interface CopierEvents {
  moved(): void;
  /** The event `ended` follows. */
  failed(failure: FlowFailure): void;
  ended(copier: Copier): void;
}

/** One way: waiting to read, waiting to write, or at its end. */
class Copier {
  readonly #posix: Posix;
  readonly #flow: Flow;
  readonly #events: CopierEvents;
  readonly #isFromSocket: boolean;
  readonly #isToSocket: boolean;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  readonly #before: ReadonlyMap<Fd, boolean>;
  #pending: Uint8Array = new Uint8Array(0);
  #state: "idle" | "reading" | "writing" | "ended" = "idle";
  #isLastPiece = false;
  #hasHungUp = false;
  #source: Watch | undefined;
  #sink: Watch | undefined;

  constructor(posix: Posix, flow: Flow, { before, events }: CopierOptions) {
    this.#posix = posix;
    this.#flow = flow;
    this.#before = before;
    this.#events = events;
    this.#isFromSocket = posix.isSocket(flow.from);
    this.#isToSocket = posix.isSocket(flow.to);
  }

  get state(): "idle" | "reading" | "writing" | "ended" {
    return this.#state;
  }

  /** Anew whenever another way has ended: it may share open files with this one. */
  becomeNonblocking(): void {
    this.#attempt(() => this.#posix.setNonblocking(this.#flow.from, true));
    this.#attempt(() => this.#posix.setNonblocking(this.#flow.to, true));
  }

  start(): void {
    const { from, to } = this.#flow;
    this.becomeNonblocking();
    this.#state = "reading";
    this.#source = this.#posix.watch(from, { readable: true }, (ready) => this.#read(ready));
    this.#sink = this.#posix.watch(to, {}, () => this.#write());
  }

  stopReading(): void {
    if (this.#state === "reading") this.#end();
    else this.#isLastPiece = true;
  }

  /** End here and now, whatever is left. */
  abandon(): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#source?.close();
    this.#sink?.close();
    this.#restore();
  }

  /** Did the source of this way hang up, and is it the connection that `other` writes to? */
  hasLostPeerOf(other: Copier): boolean {
    if (!this.#hasHungUp || other === this || other.state === "ended") return false;
    if (!this.#isFromSocket || !other.#isToSocket) return false;
    return this.#posix.isSameOpenFile(this.#flow.from, other.#flow.to) !== false;
  }

  #read({ hangup }: Readiness): void {
    const count = this.#attempt(() => this.#posix.read(this.#flow.from, this.#buffer));
    if (count === undefined) return;
    if (count === 0 || count instanceof SystemError) {
      if (count instanceof SystemError) this.#fail("read", count);
      this.#hasHungUp = hangup;
      this.#end();
      return;
    }
    this.#events.moved();
    this.#pending = this.#buffer.subarray(0, count);
    this.#state = "writing";
    this.#write();
  }

  #write(): void {
    if (this.#state !== "writing") return;
    const count = this.#attempt(() => this.#posix.write(this.#flow.to, this.#pending));
    if (count instanceof SystemError) {
      if (count.code !== "EPIPE") this.#fail("write", count);
      this.#refuse();
      return;
    }
    if (count !== undefined) {
      this.#events.moved();
      this.#pending = this.#pending.subarray(count);
    }
    this.#settle();
  }

  /** All written: go on reading. Otherwise wait until there is room again. */
  #settle(): void {
    const isEmpty = this.#pending.length === 0;
    this.#source?.update({ readable: isEmpty });
    this.#sink?.update({ writable: !isEmpty });
    if (!isEmpty) return;
    this.#state = "reading";
    if (this.#isLastPiece) this.#end();
  }

  /** Its target takes no more bytes: close its source, so that the writer gets EPIPE. */
  #refuse(): void {
    const { from } = this.#flow;
    if (this.#isFromSocket) this.#attempt(() => this.#posix.shutdown(from, "read"));
    this.#end();
  }

  #fail(call: FlowFailure["call"], error: SystemError): void {
    this.#events.failed({ flow: this.#flow, call, error });
  }

  #end(): void {
    const { from, to } = this.#flow;
    this.abandon();
    if (this.#isToSocket) this.#attempt(() => this.#posix.shutdown(to, "write"));
    else this.#attempt(() => this.#posix.close(to));
    if (!this.#isFromSocket) this.#attempt(() => this.#posix.close(from));
    this.#events.ended(this);
  }

  /** Others may share these descriptors and outlive us. */
  #restore(): void {
    for (const fd of [this.#flow.from, this.#flow.to]) {
      this.#attempt(() => this.#posix.setNonblocking(fd, this.#before.get(fd) ?? false));
    }
  }

  #attempt<T>(call: () => T): T | SystemError {
    try {
      return call();
    } catch (error) {
      if (error instanceof SystemError) return error;
      throw error;
    }
  }
}
