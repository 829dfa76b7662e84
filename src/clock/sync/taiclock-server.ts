/**
 * The TAICLOCK server: answers each request with the time, in as many bytes as it had, so that nobody
 * can use it to amplify traffic.
 */

import { fromSocketAddress, toSocketAddress } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { errnoOf } from "../../posix/index.ts";
import type { Fd, Posix, SocketAddress, Watch } from "../../posix/index.ts";
import { taiFromUnix } from "../index.ts";
import type { Clock } from "../index.ts";
import { RateLimit } from "./rate-limit.ts";
import { answerTaiclock, TAICLOCK_REQUEST_BYTES_MAX } from "./taiclock-packet.ts";

export interface TaiclockServerOptions {
  /** The most requests of one client that are answered each second; undefined answers all. */
  readonly ratePerClient?: number | undefined;
  /** Called for failures while it serves: for each kind of failure once. */
  readonly onError?: (action: "receive" | "send", error: Error) => void;
}

interface Listener {
  readonly fd: Fd;
  readonly watch: Watch;
}

/** The most datagrams that are taken from one socket before others get their turn. */
const BATCH = 64;

export class TaiclockServer {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #options: TaiclockServerOptions;
  readonly #limit: RateLimit | undefined;
  readonly #packet = new Uint8Array(TAICLOCK_REQUEST_BYTES_MAX);
  readonly #failures = new Set<string>();
  readonly #listeners: Listener[] = [];

  /** The wall clock of `clock` is the time that is told (`systemClockWith`). */
  constructor(posix: Posix, clock: Clock, options: TaiclockServerOptions = {}) {
    this.#posix = posix;
    this.#clock = clock;
    this.#options = options;
    const { ratePerClient } = options;
    this.#limit = ratePerClient === undefined ? undefined : new RateLimit(clock, ratePerClient);
  }

  /**
   * Serve at an address too, until `stop`; port 0 leaves the choice to the kernel. The endpoint with its
   * real port. Throws SystemError when it cannot be bound.
   */
  listen(endpoint: Endpoint): Endpoint {
    const posix = this.#posix;
    const fd = posix.socket(endpoint.address.family === 4 ? "inet" : "inet6", "datagram");
    try {
      posix.bind(fd, toSocketAddress(endpoint));
      const bound = fromSocketAddress(posix.getsockname(fd)) ?? endpoint;
      const watch = posix.watch(fd, { readable: true }, () => this.#serve(fd));
      this.#listeners.push({ fd, watch });
      return bound;
    } catch (error) {
      posix.close(fd);
      throw error;
    }
  }

  /** Close all sockets. */
  stop(): void {
    for (const { fd, watch } of this.#listeners.splice(0)) {
      watch.close();
      this.#posix.close(fd);
    }
  }

  #serve(fd: Fd): void {
    for (let count = 0; count < BATCH; count += 1) {
      try {
        const message = this.#posix.receiveMessage(fd, this.#packet);
        if (message === undefined) return;
        if (message.from !== undefined) this.#answer(fd, message.from, message.bytes);
      } catch (error) {
        this.#tell("receive", error);
        return;
      }
    }
  }

  #answer(fd: Fd, from: SocketAddress, length: number): void {
    const packet = this.#packet.subarray(0, length);
    if (!answerTaiclock(packet, taiFromUnix(this.#clock.realtimeNs()))) return;
    const client = fromSocketAddress(from);
    if (client === undefined || this.#limit?.admits(client.address) === false) return;
    try {
      this.#posix.sendMessage(fd, packet, [], from); // what the kernel has no room for is lost
    } catch (error) {
      this.#tell("send", error);
    }
  }

  #tell(action: "receive" | "send", error: unknown): void {
    const code = errnoOf(error);
    if (code === undefined || !(error instanceof Error)) throw error;
    const failure = `${action} ${code}`;
    if (this.#failures.has(failure)) return;
    this.#failures.add(failure);
    this.#options.onError?.(action, error);
  }
}
