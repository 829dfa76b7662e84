/**
 * A connection that is alive: takes the events of its life, and performs the effects that `life.ts` has
 * decided on. The server keeps account, the service does the work.
 *
 * A connection is in its next state before the first effect takes place, so that events which an effect
 * brings about at once are taken like any others. An effect that throws does not keep others from taking
 * place.
 */

import { SystemError } from "../../posix/index.ts";
import type { Fd, Pid, Posix, WaitStatus } from "../../posix/index.ts";
import type { Connection, Life, Service, Work } from "./connection.ts";
import { actionFor } from "./life.ts";
import type { Effect, Event, State } from "./life.ts";

const SIGKILL = 9;
const SIGTERM = 15;

/** How a connection ends that a signal has ended before it had a process. */
const TERMINATED: WaitStatus = { kind: "killed", signal: SIGTERM, coreDumped: false };

/** The part of the server that its connections need. */
export interface ConnectionOwner<Peer, Local> {
  readonly posix: Posix;
  /** `pid` serves the connection. */
  accepted(connection: Connection<Peer, Local>, pid: Pid): void;
  /** It is over; its slot is free by now. */
  ended(connection: Connection<Peer, Local>, pid: Pid, status: WaitStatus): void;
  dropped(connection: Connection<Peer, Local>, why: string): void;
  /** Give the slot back. */
  free(live: LiveConnection<Peer, Local>): void;
  /** Count a connection under another key than `before` as well; how many others have it. */
  recount(before: string | undefined, key: string): number;
  /** An effect threw: a fault of the program. */
  faulted(error: unknown): void;
}

export class LiveConnection<Peer, Local> implements Life {
  readonly connection: Connection<Peer, Local>;
  /** The key that a link has named, by which it is counted too. */
  countedAs: string | undefined;
  readonly #owner: ConnectionOwner<Peer, Local>;
  #state: State = "accepted";
  #work: Work | undefined;
  #pid: Pid | undefined;
  #status: WaitStatus | undefined;
  #why = "";

  constructor(connection: Connection<Peer, Local>, owner: ConnectionOwner<Peer, Local>) {
    this.connection = connection;
    this.#owner = owner;
  }

  /** Have it served. */
  start(service: Service<Peer, Local>): void {
    try {
      this.#work = service(this.connection, this);
    } catch (error) {
      this.failed(String(error));
      return;
    }
    this.#take(this.#work === undefined ? "refused" : "start");
  }

  prepared(): void {
    this.#take("prepared");
  }

  failed(why: string): void {
    this.#why = why;
    this.#take("failed");
  }

  shortage(): void {
    this.#take("shortage");
  }

  created(pid: Pid): void {
    this.#pid = pid;
    this.#take("created");
  }

  begun(): void {
    this.#take("begun");
  }

  ended(status: WaitStatus): void {
    this.#status ??= status;
    this.#take("ended");
  }

  tunnelsEnded(): void {
    this.#take("tunnelsEnded");
  }

  retryDue(): void {
    this.#take("retryDue");
  }

  signal(number: number): void {
    this.#take(number === SIGTERM || number === SIGKILL ? "terminate" : "signal", number);
  }

  countAs(key: string): number {
    // A link that still waited when its connection was ended has nothing to count any more.
    if (this.#state === "cancelled" || this.#state === "over") return 0;
    const number = this.#owner.recount(this.countedAs, key);
    this.countedAs = key;
    return number;
  }

  #take(event: Event, signal = 0): void {
    const action = actionFor(this.#state, event);
    if (action === undefined) return;
    this.#state = action.next;
    for (const effect of action.effects) this.#attempt(effect, signal);
  }

  #attempt(effect: Effect, signal: number): void {
    try {
      this.#perform(effect, signal);
    } catch (error) {
      if (effect === "prepare" || effect === "create") this.failed(String(error));
      else this.#owner.faulted(error);
    }
  }

  #perform(effect: Effect, signal: number): void {
    const { connection } = this;
    const { posix } = this.#owner;
    switch (effect) {
      case "closeSocket":
        return posix.close(connection.fd);
      case "shutSocket":
        return shutDown(connection.fd, posix);
      case "free":
        return this.#owner.free(this);
      case "tellAccepted":
        return this.#owner.accepted(connection, this.#servedBy);
      case "tellEnded":
        return this.#owner.ended(connection, this.#servedBy, this.#status ?? TERMINATED);
      case "tellDropped":
        return this.#owner.dropped(connection, this.#why);
      case "forward":
        return this.#work?.forward(signal);
      case "prepare":
      case "create":
      case "abandon":
      case "setRetry":
      case "cancelRetry":
      case "kill":
      case "awaitTunnels":
      case "abortTunnels":
        return this.#work?.[effect]();
    }
  }

  /** Without a process of its own, a connection is served by the server itself. */
  get #servedBy(): Pid {
    return this.#pid ?? this.#owner.posix.getpid();
  }
}

function shutDown(fd: Fd, posix: Posix): void {
  try {
    posix.shutdown(fd, "both");
  } catch (error) {
    // ENOTCONN: the client has gone before.
    if (!(error instanceof SystemError)) throw error;
  }
}
