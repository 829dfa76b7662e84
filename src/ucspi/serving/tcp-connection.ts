/** TCP connections as the functions that serve them see them. */

import type { Socket } from "node:net";
import { formatIp, tcpServerEdits } from "../../net/index.ts";
import type { Endpoint, EnvironmentEdit } from "../../net/index.ts";
import type { Secured, TlsFacts } from "../../tls/index.ts";
import type { HandlerOf } from "./handler-service.ts";
import type { AcceptedTcp } from "./tcp.ts";

/** A TCP connection as a handler sees it. */
export interface TcpConnection {
  /**
   * Closing or destroying it ends the connection; so does throwing. Input is discarded
   * once the stream was ended and the handler has returned without having begun to read.
   */
  readonly stream: Socket;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** The number of connections from the same address that were alive before this one. */
  readonly number: number;
  /** The rule that admitted the client, `ip4/10.0.0.0_8`; undefined where there are no rules. */
  readonly rule: string | undefined;
  /** The results of the handshake, where the server speaks TLS; `stream` is a tls.TLSSocket then. */
  readonly tls: TlsFacts | undefined;
  /**
   * The UCSPI variables of the connection, with the edits of the rule (undefined: removed). Made anew each
   * time it is asked for.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type Handler = HandlerOf<TcpConnection>;

/** The view of an accepted connection. */
export function tcpView(stream: Socket, connection: AcceptedTcp, secured?: Secured): TcpConnection {
  if (secured !== undefined) tellEndpoints(stream, connection);
  return new HandledConnection(stream, connection, secured);
}

/** The properties by which a socket tells its ends, for one that has only a stream below it. */
function tellEndpoints(stream: Socket, { peer, local }: AcceptedTcp): void {
  const family = ({ address }: Endpoint): string => `IPv${address.family}`;
  const values = {
    remoteAddress: formatIp(peer.address),
    remotePort: peer.port,
    remoteFamily: family(peer),
    localAddress: formatIp(local.address),
    localPort: local.port,
    localFamily: family(local),
  };
  for (const [name, value] of Object.entries(values))
    Object.defineProperty(stream, name, { value });
}

class HandledConnection implements TcpConnection {
  readonly stream: Socket;
  readonly tls: TlsFacts | undefined;
  readonly #connection: AcceptedTcp;
  readonly #edits: readonly EnvironmentEdit[];

  constructor(stream: Socket, connection: AcceptedTcp, secured?: Secured) {
    this.stream = stream;
    this.tls = secured?.facts;
    this.#connection = connection;
    this.#edits = secured?.edits ?? [];
  }

  get remote(): Endpoint {
    return this.#connection.peer;
  }

  get local(): Endpoint {
    return this.#connection.local;
  }

  get number(): number {
    return this.#connection.number;
  }

  get rule(): string | undefined {
    return this.#connection.admission?.rule;
  }

  get environment(): Record<string, string | undefined> {
    const { local, peer, number, admission } = this.#connection;
    const own = tcpServerEdits({ local, remote: peer, connectionNumber: number });
    const edits = [...own, ...(admission?.edits ?? []), ...this.#edits];
    return Object.fromEntries(edits.map(({ name, value }) => [name, value]));
  }
}
