/**
 * The core of every server of connections: accepts, counts and limits, has each connection served, and
 * keeps account of it until it is over. Which family the connections are of is the protocol's business,
 * how they are served the service's.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Accepted, Fd, Posix, WaitStatus } from "../../posix/index.ts";
import type { Connection, Service } from "./connection.ts";
import { ConnectionCounts } from "./counts.ts";
import { Listener } from "./listener.ts";
import { LiveConnection } from "./live-connection.ts";
import type { ConnectionOwner } from "./live-connection.ts";
import type { Protocol } from "./protocol.ts";

/** The events of connections, for logs and metrics. All optional; one that throws is a fault. */
export interface ServerEvents<Peer, Local> {
  /**
   * Served by `pid`. When it was accepted it was one of `count` connections of its key, and of `total` in
   * all.
   */
  accepted?(connection: Connection<Peer, Local>, pid: number, count: number, total: number): void;
  ended?(
    connection: Connection<Peer, Local>,
    pid: number,
    status: WaitStatus,
    counts: EndCounts,
  ): void;
  /** Refused because `count` connections of its key are alive already. */
  rejected?(connection: Connection<Peer, Local>, count: number): void;
  /** It could not be served; `why` follows "unable to". */
  dropped?(connection: Connection<Peer, Local>, why: string): void;
  /** The limit on all connections was reached, or there is room again. */
  full?(isFull: boolean): void;
  acceptFailed?(error: SystemError): void;
  /**
   * A service or one of these functions threw, which is a fault of the program. It concerns one connection;
   * the server and its other connections go on.
   */
  faulted(error: unknown): void;
}

/** How many are alive after the end of a connection. */
export interface EndCounts {
  readonly count: number;
  readonly total: number;
}

export interface ConnectionServerOptions<Peer, Local> {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly protocol: Protocol<Peer, Local>;
  /** Bound, listening, nonblocking sockets. The server never closes them. */
  readonly listeners: readonly Fd[];
  readonly maxConnections: number;
  /** The most connections of one key at a time. */
  readonly maxPerKey: number;
  /** Ask each connection for its own local address, rather than tell that of the listener. */
  readonly asksLocalAddress: boolean;
  readonly service: Service<Peer, Local>;
  readonly events: ServerEvents<Peer, Local>;
}

/** How the kernel answers when a client has gone before it was asked who it is. */
const OF_RESET: ReadonlySet<string> = new Set(["ENOTCONN", "ECONNRESET", "EINVAL"]);

export class ConnectionServer<Peer, Local> {
  readonly options: ConnectionServerOptions<Peer, Local>;
  readonly #counts = new ConnectionCounts();
  /** Those that a link has named another key for: clients behind a proxy. */
  readonly #recounted = new ConnectionCounts();
  readonly #live = new Set<LiveConnection<Peer, Local>>();
  readonly #owner: ConnectionOwner<Peer, Local>;
  readonly #listeners: readonly Listener[];
  #idle: (() => void)[] = [];
  #isFull = false;
  #isStopped = false;

  /** Throws SystemError and TypeError for a listener that has no address of the protocol's family. */
  constructor(options: ConnectionServerOptions<Peer, Local>) {
    this.options = options;
    const { posix, clock, protocol } = options;
    this.#owner = this.#createOwner();
    this.#listeners = [...new Set(options.listeners)].map((fd) => {
      const local = protocol.local(posix.getsockname(fd));
      if (local === undefined) throw new TypeError(`Descriptor ${fd} listens to another family`);
      return new Listener(fd, posix, clock, {
        room: () => options.maxConnections - this.#counts.total,
        accepted: (accepted) => this.#take(accepted, local),
        failed: (error) => this.#tell(() => options.events.acceptFailed?.(error)),
      });
    });
  }

  /** How many connections are alive. */
  get connections(): number {
    return this.#counts.total;
  }

  /** Begin to accept. Throws SystemError when a listener cannot be watched; none is watched then. */
  start(): void {
    try {
      for (const listener of this.#listeners) listener.start();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Accept no more. Connections that are alive go on. */
  stop(): void {
    this.#isStopped = true;
    for (const listener of this.#listeners) listener.stop();
  }

  /** Send a signal to the processes of all connections; SIGTERM and SIGKILL end one that has none yet. */
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

  /** Serve a connection, or close it. Does not throw: the next one of its batch is waiting. */
  #take(accepted: Accepted, listenerAddress: Local): void {
    const connection = this.#introduce(accepted, listenerAddress);
    if (connection === undefined) return this.#close(accepted.fd);
    const { maxPerKey, events, service } = this.options;
    if (connection.number >= maxPerKey) {
      this.#close(accepted.fd);
      return this.#tell(() => events.rejected?.(connection, connection.number));
    }
    this.#counts.add(connection.key);
    const live = new LiveConnection(connection, this.#owner);
    this.#live.add(live);
    this.#checkFull();
    live.start(service);
  }

  /** Who it is. Undefined when it was reset before it could be asked. */
  #introduce(accepted: Accepted, listenerAddress: Local): Connection<Peer, Local> | undefined {
    const { posix, protocol, asksLocalAddress, events } = this.options;
    const { fd } = accepted;
    try {
      const peer = protocol.peer(accepted, posix);
      const local = asksLocalAddress ? protocol.local(posix.getsockname(fd)) : listenerAddress;
      if (peer === undefined || local === undefined) return undefined;
      const key = protocol.key(peer);
      const { total } = this.#counts;
      return { fd, local, peer, key, number: this.#counts.of(key), total: total + 1 };
    } catch (error) {
      if (!(error instanceof SystemError)) this.#fault(error);
      else if (!OF_RESET.has(error.code)) this.#tell(() => events.acceptFailed?.(error));
      return undefined;
    }
  }

  #close(fd: Fd): void {
    this.#tell(() => this.options.posix.close(fd));
  }

  #createOwner(): ConnectionOwner<Peer, Local> {
    const { posix, events } = this.options;
    return {
      posix,
      accepted: (connection, pid) =>
        events.accepted?.(connection, pid, connection.number + 1, connection.total),
      ended: (connection, pid, status) =>
        events.ended?.(connection, pid, status, this.#countsOf(connection)),
      dropped: (connection, why) => events.dropped?.(connection, why),
      free: (live) => this.#free(live),
      recount: (before, key) => this.#recount(before, key),
      faulted: (error) => this.#fault(error),
    };
  }

  #countsOf({ key }: Connection<Peer, Local>): EndCounts {
    return { count: this.#counts.of(key), total: this.#counts.total };
  }

  #recount(before: string | undefined, key: string): number {
    if (before !== undefined) this.#recounted.remove(before);
    const number = this.#recounted.of(key);
    this.#recounted.add(key);
    return number;
  }

  #free(live: LiveConnection<Peer, Local>): void {
    this.#live.delete(live);
    if (live.countedAs !== undefined) this.#recounted.remove(live.countedAs);
    this.#counts.remove(live.connection.key);
    this.#checkFull();
    if (this.#counts.total === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #checkFull(): void {
    const isFull = this.#counts.total >= this.options.maxConnections;
    if (isFull === this.#isFull || this.#isStopped) return;
    this.#isFull = isFull;
    for (const listener of this.#listeners) {
      if (isFull) listener.pause();
      else listener.resume();
    }
    this.#tell(() => this.options.events.full?.(isFull));
  }

  /** Call a function of the service or of the events: an exception is told, and goes no further. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#fault(error);
    }
  }

  #fault(error: unknown): void {
    try {
      this.options.events.faulted(error);
    } catch (again) {
      // Nobody is left to hear of it here, and neither may the connections suffer. A host takes what a
      // timer throws for a fault of this server; elsewhere it is an uncaught exception.
      this.options.clock.setTimer(0, () => {
        throw again;
      });
    }
  }
}
