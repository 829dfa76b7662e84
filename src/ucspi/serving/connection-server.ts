/**
 * The engine of every TCP server here: accepts, counts and limits, hands each connection to a service,
 * and keeps account of it until it is over. What serving means is the service's business.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { formatIp, fromSocketAddress } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Accepted, Fd, Posix, WaitStatus } from "../../posix/index.ts";
import type { Connection, Service, Serving } from "./connection.ts";
import { ConnectionCounts } from "./counts.ts";
import { Listener } from "./listener.ts";

/** What happens to connections, for logs and metrics. All optional; none may throw. */
export interface ServerEvents {
  /** Served by `pid`: `count` connections from its address, `total` in all, this one included. */
  accepted?(connection: Connection, pid: number, count: number, total: number): void;
  ended?(connection: Connection, pid: number, status: WaitStatus, counts: EndCounts): void;
  /** Refused because its address has `count` connections already. */
  rejected?(connection: Connection, count: number): void;
  dropped?(connection: Connection, why: string): void;
  /** The limit on all connections was reached, or there is room again. */
  full?(isFull: boolean): void;
  acceptFailed?(error: SystemError): void;
}

export interface EndCounts {
  readonly count: number;
  readonly total: number;
}

export interface ConnectionServerOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  /** Bound, listening, nonblocking sockets. The server never closes them. */
  readonly listeners: readonly Fd[];
  readonly maxConnections: number;
  readonly maxPerAddress: number;
  /** Ask each connection for its own local address, rather than tell that of the listener. */
  readonly asksLocalAddress: boolean;
  readonly service: Service;
  readonly events: ServerEvents;
}

export class ConnectionServer {
  readonly options: ConnectionServerOptions;
  readonly #counts = new ConnectionCounts();
  /** Those of clients whom a proxy has announced, by their own addresses. */
  readonly #announced = new ConnectionCounts();
  readonly #live = new Set<LiveConnection>();
  readonly #listeners: readonly Listener[];
  #idle: (() => void)[] = [];
  #isFull = false;
  #isStopped = false;

  constructor(options: ConnectionServerOptions) {
    this.options = options;
    const { posix, clock } = options;
    this.#listeners = options.listeners.map((fd) => {
      const local = endpointOf(posix, fd);
      return new Listener(fd, posix, clock, {
        room: () => options.maxConnections - this.#counts.total,
        accepted: (accepted) => this.#take(accepted, local),
        failed: (error) => options.events.acceptFailed?.(error),
      });
    });
  }

  /** How many connections are alive. */
  get connections(): number {
    return this.#counts.total;
  }

  start(): void {
    for (const listener of this.#listeners) listener.start();
  }

  /** Accept no more. Connections that are alive go on. */
  stop(): void {
    this.#isStopped = true;
    for (const listener of this.#listeners) listener.stop();
  }

  /** Send a signal to everyone who serves a connection. */
  signal(number: number): void {
    for (const connection of this.#live) connection.signal(number);
  }

  /** Resolves once no connection is alive. */
  async idle(): Promise<void> {
    if (this.#counts.total > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Stop accepting and wait until all connections are over, at most `timeoutMs` (undefined: for as
   * long as it takes). True when none was left.
   */
  async drain(timeoutMs: number | undefined): Promise<boolean> {
    this.stop();
    if (timeoutMs === undefined) {
      await this.idle();
      return true;
    }
    let timer: Timer | undefined;
    const expiry = new Promise<void>((resolve) => {
      timer = this.options.clock.setTimer(timeoutMs, resolve);
    });
    await Promise.race([this.idle(), expiry]);
    timer?.cancel();
    return this.#counts.total === 0;
  }

  #take({ fd, peer }: Accepted, listenerAddress: Endpoint): void {
    const { posix, maxPerAddress, events, service } = this.options;
    const remote = fromSocketAddress(peer);
    const local = remote === undefined ? undefined : this.#localAddress(fd, listenerAddress);
    if (remote === undefined || local === undefined) {
      posix.close(fd); // reset before we came to it
      return;
    }
    const address = formatIp(remote.address);
    const number = this.#counts.of(address);
    const connection: Connection = { fd, local, remote, address, number };
    if (number >= maxPerAddress) {
      posix.close(fd);
      events.rejected?.(connection, number);
      return;
    }
    this.#counts.add(address);
    const live = new LiveConnection(connection, this);
    this.#live.add(live);
    this.#checkFull();
    service(connection, live);
  }

  #localAddress(fd: Fd, listenerAddress: Endpoint): Endpoint | undefined {
    const { posix, asksLocalAddress } = this.options;
    if (!asksLocalAddress) return listenerAddress;
    try {
      return endpointOf(posix, fd);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return undefined;
    }
  }

  /** Account for a connection that has got somebody to serve it. */
  begun({ connection }: LiveConnection, pid: number): void {
    const count = this.#counts.of(connection.address);
    this.options.events.accepted?.(connection, pid, count, this.#counts.total);
  }

  /** Count a connection under another address than before; how many were alive from there. */
  reannounce(before: string | undefined, address: string): number {
    if (before !== undefined) this.#announced.remove(before);
    const number = this.#announced.of(address);
    this.#announced.add(address);
    return number;
  }

  /** Account for a connection that is over. */
  over(live: LiveConnection): EndCounts {
    this.#live.delete(live);
    if (live.announced !== undefined) this.#announced.remove(live.announced);
    const { address } = live.connection;
    this.#counts.remove(address);
    this.#checkFull();
    if (this.#counts.total === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
    return { count: this.#counts.of(address), total: this.#counts.total };
  }

  #checkFull(): void {
    const isFull = this.#counts.total >= this.options.maxConnections;
    if (isFull === this.#isFull || this.#isStopped) return;
    this.#isFull = isFull;
    for (const listener of this.#listeners) {
      if (isFull) listener.pause();
      else listener.resume();
    }
    this.options.events.full?.(isFull);
  }
}

/** A connection between being accepted and being over. */
class LiveConnection implements Serving {
  readonly connection: Connection;
  /** Whom a proxy has announced on it. */
  announced: string | undefined;
  readonly #server: ConnectionServer;
  #pid: number | undefined;
  #signal: ((number: number) => void) | undefined;
  #isOver = false;

  constructor(connection: Connection, server: ConnectionServer) {
    this.connection = connection;
    this.#server = server;
  }

  announce(address: string): number {
    // A link that still waited when its connection was ended has nothing to count any more.
    if (this.#isOver) return 0;
    const number = this.#server.reannounce(this.announced, address);
    this.announced = address;
    return number;
  }

  wait(signal: (number: number) => void): void {
    this.#signal = signal;
  }

  begin(pid: number, signal: (number: number) => void): void {
    this.#pid = pid;
    this.#signal = signal;
    this.#server.begun(this, pid);
  }

  end(status: WaitStatus): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { posix, events } = this.#server.options;
    const pid = this.#pid ?? posix.getpid();
    if (this.#pid === undefined) this.#server.begun(this, pid);
    const counts = this.#server.over(this);
    events.ended?.(this.connection, pid, status, counts);
  }

  refuse(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#server.over(this);
  }

  drop(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#server.options.events.dropped?.(this.connection, why);
    this.#server.over(this);
  }

  signal(number: number): void {
    this.#signal?.(number);
  }
}

function endpointOf(posix: Posix, fd: Fd): Endpoint {
  const endpoint = fromSocketAddress(posix.getsockname(fd));
  if (endpoint === undefined) throw new TypeError("the listening socket is not an IP socket");
  return endpoint;
}
