/** An accepted connection, the work of its service, and the events that the service tells the server. */

import type { Admitted } from "../../access/index.ts";
import type { ServedConnection } from "../../chain/index.ts";
import type { Fd, Pid, WaitStatus } from "../../posix/index.ts";

/** A connection as the server knows it before it is served. */
export interface Connection<Peer, Local> {
  /** The accepted socket, blocking and close-on-exec. */
  readonly fd: Fd;
  /** The address of the listener, or the connection's own where the server was told to ask for it. */
  readonly local: Local;
  readonly peer: Peer;
  /** The key that it is counted and limited by. */
  readonly key: string;
  /** How many connections of that key were alive before this one. */
  readonly number: number;
  /** How many connections were alive in all when it was accepted, this one included. */
  readonly total: number;
  /** The decision to serve it, where the server itself has asked rules. */
  readonly admission?: Admitted;
}

/**
 * The life of a connection, as its service reports it. Nothing here throws; an event that does not fit
 * the state of the connection changes nothing.
 */
export interface Life extends ServedConnection {
  /** The links have run: a program is to be executed. */
  prepared(): void;
  /** It cannot be served; `why` follows "unable to". */
  failed(why: string): void;
  /** The system has no process for it now. */
  shortage(): void;
  /** A process was created for it; whether it executed its program is told later. */
  created(pid: Pid): void;
  /** The program was executed, or a function has the socket and will close it. */
  begun(): void;
  /** The chain has ended before a program, the process has ended, or the function's socket is closed. */
  ended(status: WaitStatus): void;
  tunnelsEnded(): void;
  retryDue(): void;
}

/** The effects on a connection that depend on how it is served. One that throws fails the connection. */
export interface Work {
  prepare(): void;
  create(): void;
  abandon(): void;
  setRetry(): void;
  cancelRetry(): void;
  /** Send this signal to the process that serves, or end the stream of a function. */
  forward(signal: number): void;
  kill(): void;
  /** Tell when the last tunnel has ended, now where there is none. */
  awaitTunnels(): void;
  abortTunnels(): void;
}

/** Serves connections, with a process each or with a function. Undefined refuses the client. */
export type Service<Peer, Local> = (
  connection: Connection<Peer, Local>,
  life: Life,
) => Work | undefined;
