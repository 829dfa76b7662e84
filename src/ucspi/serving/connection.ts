/** One accepted connection, as the server knows it before anyone serves it. */

import type { Admitted } from "../../access/index.ts";
import type { ServedConnection } from "../../chain/index.ts";
import type { Endpoint } from "../../net/index.ts";
import type { Fd, WaitStatus } from "../../posix/index.ts";

export interface Connection {
  /** The accepted socket, blocking and close-on-exec; whoever serves it closes it. */
  readonly fd: Fd;
  /** The address of the listener, or the connection's own where the server was told to ask for it. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** The remote address as text: what counts and limits go by. */
  readonly address: string;
  /** How many connections from that address were alive before this one. */
  readonly number: number;
  /** The decision to serve it, where the server itself has asked rules. */
  readonly admission?: Admitted;
}

/** How the serving of a connection is told to the server. Calls after the first `end` do nothing. */
export interface Serving extends ServedConnection {
  /** Something has to be waited for first; meanwhile signals go to `signal`. */
  wait(signal: (number: number) => void): void;
  /** Somebody serves the connection now: as `pid`, and reachable by signals. */
  begin(pid: number, signal: (number: number) => void): void;
  /** The connection is over. Without `begin` before, it was served within the server itself. */
  end(status: WaitStatus): void;
  /** The client was refused before anybody served it. */
  refuse(): void;
  /** The connection could not be served at all; `why` follows "unable to". */
  drop(why: string): void;
}

/** Serves connections: with a child each, or with a function. Must not throw. */
export type Service = (connection: Connection, serving: Serving) => void;
