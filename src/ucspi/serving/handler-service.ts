/** Serves each connection with a JavaScript function, in this process, on a net.Socket. */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { formatIp, tcpServerEdits } from "../../net/index.ts";
import type { Endpoint, EnvironmentEdit } from "../../net/index.ts";
import type { WaitStatus } from "../../posix/index.ts";
import type { Destroyable, Secured, TlsAcceptor, TlsFacts } from "../../tls/index.ts";
import type { Life, Service, Work } from "./connection.ts";
import type { AcceptedTcp } from "./tcp.ts";

/** A connection as a handler sees it. */
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

export type Handler = (connection: TcpConnection) => void | Promise<void>;

/** The parameters of a handler's service. */
export interface HandlerOptions {
  /** Keep the writing side open when the client has closed its own, until the handler ends it. */
  readonly allowHalfOpen: boolean;
  /** Does the handshake of each connection, ahead of the handler. */
  readonly acceptor: TlsAcceptor | undefined;
  /** A handshake failed, or the client's certificate was not accepted; the connection is closed. */
  refused(connection: AcceptedTcp, why: string): void;
  /** A handler threw or rejected; the connection is destroyed. */
  failed(error: unknown, connection: TcpConnection): void;
}

const SIGTERM = 15;
const SIGKILL = 9;
const DONE: WaitStatus = { kind: "exited", exitCode: 0 };

/** The service that runs `handler` for each connection. */
export function handlerService(
  handler: Handler,
  options: HandlerOptions,
): Service<Endpoint, Endpoint> {
  return (connection, life) => new HandlerWork(connection, life, handler, options);
}

/** One connection and its stream. There is no process that could be waited for, and no tunnel. */
class HandlerWork implements Work {
  readonly #connection: AcceptedTcp;
  readonly #life: Life;
  readonly #handler: Handler;
  readonly #options: HandlerOptions;
  /** TLS first: Node requires that it is destroyed before the socket below it. */
  readonly #layers: Destroyable[] = [];

  constructor(connection: AcceptedTcp, life: Life, handler: Handler, options: HandlerOptions) {
    this.#connection = connection;
    this.#life = life;
    this.#handler = handler;
    this.#options = options;
  }

  /** Give the socket to a stream, which closes it, and that to the function. */
  prepare(): void {
    const { acceptor } = this.#options;
    if (acceptor === undefined) this.#serve();
    else this.#serveSecured(acceptor);
  }

  #serve(): void {
    const connection = this.#connection;
    const { allowHalfOpen } = this.#options;
    const { fd } = connection;
    const stream = new Socket({ fd, readable: true, writable: true, allowHalfOpen });
    this.#begin(stream);
    handle(new HandledConnection(stream, connection), this.#handler, this.#options);
  }

  #serveSecured(acceptor: TlsAcceptor): void {
    const connection = this.#connection;
    const { allowHalfOpen, refused } = this.#options;
    const wire = acceptor.carry(connection.fd);
    this.#begin(wire);
    const secured = acceptor.accept(wire, connection.peer.address, (accepted) => {
      if (accepted.kind === "failed") refused(connection, accepted.why);
      else {
        const { stream } = accepted;
        stream.allowHalfOpen = allowHalfOpen;
        tellEndpoints(stream, connection);
        const view = new HandledConnection(stream, connection, accepted);
        handle(view, this.#handler, this.#options);
      }
    });
    this.#layers.unshift(secured);
  }

  /** The connection belongs to this stream now, and is over when it is closed. */
  #begin(stream: Duplex): void {
    this.#layers.push(stream);
    stream.on("close", () => this.#life.ended(DONE));
    // An error ends the connection, and "close" tells that; handlers may listen to it as well.
    stream.on("error", ignore);
    this.#life.begun();
  }

  forward(signal: number): void {
    if (signal === SIGTERM || signal === SIGKILL) this.kill();
  }

  kill(): void {
    for (const layer of this.#layers) layer.destroy();
  }

  awaitTunnels(): void {
    this.#life.tunnelsEnded();
  }

  /** The connection could not be served: nothing of its stream may be left. */
  abortTunnels(): void {
    this.kill();
  }

  // A function needs no process, so that none of these effects comes about.
  create(): void {}

  abandon(): void {}

  setRetry(): void {}

  cancelRetry(): void {}
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

function handle(view: HandledConnection, handler: Handler, options: HandlerOptions): void {
  const { stream } = view;
  const handling = run(handler, view, options);
  stream.on("finish", () => {
    if (handling === undefined) discardUnread(stream);
    else void handling.then(() => discardUnread(stream));
  });
}

/** A handler that throws and one that rejects fail alike. Undefined when it has returned at once. */
function run(
  handler: Handler,
  connection: TcpConnection,
  options: HandlerOptions,
): Promise<void> | undefined {
  try {
    const result = handler(connection);
    if (!(result instanceof Promise)) return undefined;
    return result.catch((error: unknown) => fail(error, connection, options));
  } catch (error) {
    fail(error, connection, options);
    return undefined;
  }
}

/** Bytes that are never read would hide the half-close of the client, and keep the connection for ever. */
function discardUnread(stream: Socket): void {
  if (stream.readableFlowing === null) stream.resume();
}

function ignore(): void {
  return undefined;
}

function fail(error: unknown, connection: TcpConnection, options: HandlerOptions): void {
  connection.stream.destroy();
  options.failed(error, connection);
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
