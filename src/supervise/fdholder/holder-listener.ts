/**
 * The listening socket of an fd holder: accepts as many clients as there is room for. While there is none, it
 * looks from time to time whether anybody waits, and has room made then. A shortage of descriptors or
 * memory is told once and waited out.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix, Watch } from "../../posix/index.ts";
import type { HeldFd } from "./held-fd.ts";

export interface HolderListenerOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly listener: HeldFd;
  /** The number of clients for whom there is room now. */
  room(): number;
  /** From here on the connection is the receiver's. */
  accepted(connection: Fd): void;
  /** accept(2) failed; told once until it works again. */
  failed(error: SystemError): void;
  /** There is no room, and somebody waits. */
  makeRoom(): void;
  /** The time between two looks for somebody who waits. */
  readonly makeRoomMs: number;
}

/** The most clients that are accepted in one turn of the event loop. */
const BATCH_MAX = 16;

/** The delay after accept(2) has failed. */
const RETRY_MS = 100;

export class HolderListener {
  readonly held: HeldFd;
  readonly #options: HolderListenerOptions;
  #watch: Watch | undefined;
  #timer: Timer | undefined;
  #isPaused = false;
  #isFailing = false;

  constructor(options: HolderListenerOptions) {
    this.#options = options;
    this.held = options.listener;
  }

  start(): void {
    const { posix } = this.#options;
    posix.setNonblocking(this.held.fd, true);
    this.#watch = posix.watch(this.held.fd, { readable: true }, () => this.#accept());
  }

  /** Leave newcomers in the backlog until `resume`. */
  pause(): void {
    this.#isPaused = true;
    this.#wait(undefined);
  }

  /** Accept as far as there is room. */
  resume(): void {
    this.#isPaused = false;
    if (!this.#isFailing) this.#waitForClients();
  }

  /** Stop for good; the socket stays open. */
  stop(): void {
    this.#timer?.cancel();
    this.#watch?.close();
    this.#watch = undefined;
  }

  #accept(): void {
    const { posix, room, accepted, failed } = this.#options;
    try {
      const connections = posix.accept(this.held.fd, Math.min(room(), BATCH_MAX));
      this.#isFailing = false;
      for (const { fd } of connections) accepted(fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (!this.#isFailing) failed(error);
      this.#isFailing = true;
      return this.#wait(RETRY_MS, () => this.#accept());
    }
    if (!this.#isPaused) this.#waitForClients();
  }

  /** For the next client, or for room. */
  #waitForClients(): void {
    if (this.#watch === undefined) return;
    if (this.#options.room() > 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#watch.update({ readable: true });
    } else if (this.#timer === undefined) {
      this.#wait(this.#options.makeRoomMs, () => this.#look());
    }
  }

  #look(): void {
    const { posix, makeRoom } = this.#options;
    if (posix.waitReady(this.held.fd, { readable: true }, 0) !== undefined) makeRoom();
    this.#waitForClients();
  }

  /** Do not watch, but act after a while. */
  #wait(delayMs: number | undefined, act: () => void = () => undefined): void {
    this.#watch?.update({});
    this.#timer?.cancel();
    this.#timer = undefined;
    if (delayMs === undefined || this.#watch === undefined) return;
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      act();
    });
  }
}
