/**
 * A client of an fd holder with its socket: feeds what comes to the life of the client (client-life.ts), and
 * performs its effects. One answer is on its way at a time: while the socket has no room for it, no further
 * request is read, so a client who does not read costs what the kernel's buffers hold and one answer.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import {
  formatUnixMessage,
  UNIX_MESSAGE_HEADER_BYTES,
  UnixMessageReader,
} from "../../net/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, Gid, Posix, Readiness, Uid, Watch } from "../../posix/index.ts";
import { answerRequest } from "./answers.ts";
import type { Answer, AnswerMessage, Asking } from "./answers.ts";
import { CLIENT_START, stepClient } from "./client-life.ts";
import type { ClientEffect, ClientEvent, ClientState } from "./client-life.ts";
import type { HeldFd } from "./held-fd.ts";
import type { HolderRights } from "./rights.ts";
import { formatErrorReply } from "./wire/replies.ts";
import { HOLDER_REQUEST_BYTES_MAX, parseHolderRequest } from "./wire/requests.ts";
import type { HolderRequest } from "./wire/requests.ts";

/** The user at the other end. */
export interface HolderPeer {
  readonly uid: Uid;
  readonly gid: Gid;
}

/** The holder, as its clients see it. */
export interface ClientKeeper {
  readonly posix: Posix;
  readonly clock: Clock;
  /** The time for an answer to be taken, and for a newcomer to get one; undefined for no limit. */
  readonly answerMs: number | undefined;
  asking(client: LiveClient, rights: HolderRights | undefined): Asking;
  warn(text: string): void;
  /** A hand-over has begun, has failed, or is complete. */
  handOverBegins(client: LiveClient): void;
  resume(): void;
  commit(client: LiveClient): void;
  /** The client is over. */
  closed(client: LiveClient): void;
}

/** An answer that is on its way, from `at` on. */
interface Outgoing {
  readonly bytes: Uint8Array;
  held: readonly HeldFd[];
  at: number;
}

/** The messages that are received in one turn of the event loop, so that all others get theirs. */
const BATCH = 16;

/** The time that a successor has for taking everything. */
const HANDOVER_MS = 10_000;

/** The delay after the kernel has refused to have more descriptors on their way (ETOOMANYREFS). */
const RETRY_MS = 100;

const INPUT = Buffer.allocUnsafeSlow(UNIX_MESSAGE_HEADER_BYTES + HOLDER_REQUEST_BYTES_MAX);

export class LiveClient {
  readonly peer: HolderPeer;
  /** When it last asked for something or took an answer, on the monotonic clock. */
  activeAtMs: number;
  readonly #keeper: ClientKeeper;
  readonly #fd: Fd;
  readonly #asking: Asking;
  readonly #mayOnlyTakeOver: boolean;
  readonly #watch: Watch;
  readonly #reader = new UnixMessageReader({ bytesMax: HOLDER_REQUEST_BYTES_MAX });
  readonly #queue: Outgoing[] = [];
  #state: ClientState = CLIENT_START;
  #isFrozen = false;
  #timer: Timer | undefined;
  /** Until the kernel is asked again to send descriptors. */
  #retry: Timer | undefined;

  /**
   * `fd` is its own from now on. Without `rights` it may do nothing but take over. Throws SystemError, with
   * `fd` open, where it cannot be watched.
   */
  constructor(fd: Fd, peer: HolderPeer, rights: HolderRights | undefined, keeper: ClientKeeper) {
    this.#fd = fd;
    this.peer = peer;
    this.#keeper = keeper;
    this.#asking = keeper.asking(this, rights);
    this.#mayOnlyTakeOver = rights === undefined;
    this.activeAtMs = keeper.clock.monotonicMs();
    this.#watch = keeper.posix.watch(fd, { readable: true }, (ready) => this.#ready(ready));
    this.#limitTime(keeper.answerMs);
  }

  /** Does it wait for nothing and is nothing of it half done? */
  get isIdle(): boolean {
    return this.#state.kind === "open" && this.#queue.length === 0 && !this.#reader.isAmid;
  }

  /** Stop reading from it, or go on. */
  freeze(isFrozen: boolean): void {
    if (this.#isFrozen === isFrozen) return;
    this.#isFrozen = isFrozen;
    if (!isFrozen) this.#takeRequests();
    this.#updateWatch();
  }

  /** The holder stops: what is on its way is delivered. */
  drain(): void {
    this.take({ kind: "drain" });
  }

  /** End it now. */
  cut(): void {
    this.take({ kind: "broken" });
  }

  /** Give its connection up: the descriptor, which is the caller's. Only while it is idle. */
  detach(): Fd {
    this.#end();
    return this.#fd;
  }

  /** Send messages after those that are on their way. */
  send(messages: readonly AnswerMessage[]): void {
    for (const { body, held } of messages) {
      this.#queue.push({ bytes: formatUnixMessage(body, held.length), held, at: 0 });
    }
    this.#flush();
  }

  take(event: ClientEvent): void {
    const { state, effects } = stepClient(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (this.#state.kind === "closing" && this.#queue.length === 0 && event.kind !== "flushed") {
      this.take({ kind: "flushed" });
    }
  }

  #ready({ readable, writable, hangup }: Readiness): void {
    if (writable || (hangup && this.#queue.length > 0)) this.#goOn();
    if (readable || hangup) this.#receive();
    this.#updateWatch();
  }

  /** Send what waits, and carry out the requests that have waited for that. */
  #goOn(): void {
    this.#flush();
    this.#takeRequests();
    this.#updateWatch();
  }

  get #takesRequests(): boolean {
    const { kind } = this.#state;
    return this.#queue.length === 0 && !this.#isFrozen && kind !== "closing" && kind !== "over";
  }

  #receive(): void {
    for (let count = 0; count < BATCH && this.#takesRequests; count += 1) {
      const received = this.#attempt(() => this.#keeper.posix.receiveMessage(this.#fd, INPUT));
      if (received === "failed") return this.take({ kind: "broken" });
      if (received === undefined) return;
      const { bytes, fds, lostFds } = received;
      this.#reader.feed(INPUT.subarray(0, bytes), fds, lostFds);
      if (bytes === 0) return this.take({ kind: "ended" });
      this.#takeRequests();
      this.#reader.keep();
      if (bytes < INPUT.length) return;
    }
  }

  /** Carry out the requests that have come whole, until an answer has to wait. */
  #takeRequests(): void {
    while (this.#takesRequests) {
      const progress = this.#reader.next();
      if (progress.kind === "more") return;
      if (progress.kind === "invalid") return this.take({ kind: "malformed", why: progress.why });
      this.activeAtMs = this.#keeper.clock.monotonicMs();
      const { body, fds, lostFds } = progress;
      const request = lostFds ? undefined : parseHolderRequest(body, fds);
      if (request !== undefined && this.#mayAsk(request)) {
        this.take({ kind: "request", request });
        continue;
      }
      for (const fd of fds) this.#keeper.posix.close(fd);
      if (lostFds) this.take({ kind: "lostFds" });
      else if (request === undefined) this.take({ kind: "malformed", why: "a malformed request" });
      else this.take({ kind: "malformed", why: "a request that no rule allows it" });
    }
  }

  #mayAsk({ kind }: HolderRequest): boolean {
    return !this.#mayOnlyTakeOver || kind === "handOver" || kind === "commit";
  }

  #perform(effect: ClientEffect): void {
    switch (effect.do) {
      case "answer":
        return this.#answer(effect.request, effect.isLast);
      case "discard":
        return this.#discard(effect.request);
      case "refuse":
        return this.send([{ body: formatErrorReply(effect.code), held: [] }]);
      case "warn":
        return this.#keeper.warn(`uid ${this.peer.uid} gid ${this.peer.gid} ${effect.text}`);
      case "commit":
        return this.#keeper.commit(this);
      case "resume":
        return this.#keeper.resume();
      case "close":
        this.#end();
        this.#keeper.posix.close(this.#fd);
    }
  }

  #answer(request: HolderRequest, isLast: boolean): void {
    const answer: Answer = answerRequest(request, isLast, this.#asking);
    if (answer.event !== undefined) this.take(answer.event);
    if (answer.event?.kind === "handOverBegins") {
      this.#keeper.handOverBegins(this);
      this.#limitTime(HANDOVER_MS);
    }
    this.send(answer.messages);
  }

  #discard(request: HolderRequest): void {
    const { posix } = this.#keeper;
    if (request.kind === "store") posix.close(request.fd);
    if (request.kind === "dumpData") for (const { fd } of request.entries) posix.close(fd);
  }

  #flush(): void {
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const sent = this.#sendSome(head);
      if (sent === "failed") return this.take({ kind: "broken" });
      if (sent === undefined) break;
      for (const held of head.held) held.release();
      head.held = [];
      head.at += sent;
      if (head.at === head.bytes.length) this.#queue.shift();
    }
    this.#updateWatch();
    if (this.#state.kind === "handing") return;
    if (this.#queue.length > 0) {
      if (this.#timer === undefined) this.#limitTime(this.#keeper.answerMs);
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#state.kind === "closing") this.take({ kind: "flushed" });
  }

  #sendSome({ bytes, held, at }: Outgoing): number | undefined | "failed" {
    const fds = held.map(({ fd }) => fd);
    const { posix, clock } = this.#keeper;
    try {
      return posix.sendMessage(this.#fd, bytes.subarray(at), fds);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (errnoOf(error) !== "ETOOMANYREFS") return "failed";
      this.#retry ??= clock.setTimer(RETRY_MS, () => {
        this.#retry = undefined;
        this.#goOn();
      });
      return undefined;
    }
  }

  #updateWatch(): void {
    if (this.#state.kind === "over") return;
    this.#watch.update({
      readable: this.#takesRequests,
      writable: this.#queue.length > 0 && this.#retry === undefined,
    });
  }

  #limitTime(ms: number | undefined): void {
    this.#timer?.cancel();
    this.#timer =
      ms === undefined
        ? undefined
        : this.#keeper.clock.setTimer(ms, () => {
            this.#timer = undefined;
            this.take({ kind: "late", unsent: this.#queue.length > 0 });
          });
  }

  /** Let go of everything but the socket. */
  #end(): void {
    this.#state = { kind: "over" };
    this.#timer?.cancel();
    this.#retry?.cancel();
    this.#watch.close();
    for (const fd of this.#reader.takeFds()) this.#keeper.posix.close(fd);
    for (const { held } of this.#queue.splice(0)) for (const one of held) one.release();
    this.#keeper.closed(this);
  }

  #attempt<T>(call: () => T): T | "failed" {
    try {
      return call();
    } catch (error) {
      if (error instanceof SystemError) return "failed";
      throw error;
    }
  }
}
