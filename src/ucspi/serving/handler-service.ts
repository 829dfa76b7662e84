/** Serves each connection with a JavaScript function, in this process, on a net.Socket. */

import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { IpAddress } from "../../net/index.ts";
import type { WaitStatus } from "../../posix/index.ts";
import type { Destroyable, Secured, TlsAcceptor } from "../../tls/index.ts";
import type { Connection, Life, Service, Work } from "./connection.ts";

/** A function that serves connections; `View` is one of them as it sees it. */
export type HandlerOf<View> = (connection: View) => void | Promise<void>;

/** The parameters of a handler's service. */
export interface HandlerOptions<Peer, Local, View> {
  /** A connection as the handler sees it, with the result of its handshake where there was one. */
  view(stream: Socket, connection: Connection<Peer, Local>, secured?: Secured): View;
  /** Keep the writing side open when the client has closed its own, until the handler ends it. */
  readonly allowHalfOpen: boolean;
  /** Does the handshake of each connection, ahead of the handler; undefined: the server speaks no TLS. */
  readonly tls: HandlerTls<Peer> | undefined;
  /** A handshake failed, or the client's certificate was not accepted; the connection is closed. */
  refused(connection: Connection<Peer, Local>, why: string): void;
  /** A handler threw or rejected; the connection is destroyed. */
  failed(error: unknown, view: View): void;
}

export interface HandlerTls<Peer> {
  readonly acceptor: TlsAcceptor;
  /** The address by which the acceptor knows a client. */
  address(peer: Peer): IpAddress;
}

const SIGTERM = 15;
const SIGKILL = 9;
const DONE: WaitStatus = { kind: "exited", exitCode: 0 };

/** The service that runs `handler` for each connection. */
export function handlerService<Peer, Local, View extends Viewed>(
  handler: HandlerOf<View>,
  options: HandlerOptions<Peer, Local, View>,
): Service<Peer, Local> {
  return (connection, life) => new HandlerWork(connection, life, handler, options);
}

interface Viewed {
  readonly stream: Socket;
}

/** One connection and its stream. There is no process that could be waited for, and no tunnel. */
class HandlerWork<Peer, Local, View extends Viewed> implements Work {
  readonly #connection: Connection<Peer, Local>;
  readonly #life: Life;
  readonly #handler: HandlerOf<View>;
  readonly #options: HandlerOptions<Peer, Local, View>;
  /** TLS first: Node requires that it is destroyed before the socket below it. */
  readonly #layers: Destroyable[] = [];

  constructor(
    connection: Connection<Peer, Local>,
    life: Life,
    handler: HandlerOf<View>,
    options: HandlerOptions<Peer, Local, View>,
  ) {
    this.#connection = connection;
    this.#life = life;
    this.#handler = handler;
    this.#options = options;
  }

  /** Give the socket to a stream, which closes it, and that to the function. */
  prepare(): void {
    const { tls } = this.#options;
    if (tls === undefined) this.#serve();
    else this.#serveSecured(tls);
  }

  #serve(): void {
    const connection = this.#connection;
    const { allowHalfOpen, view } = this.#options;
    const { fd } = connection;
    const stream = new Socket({ fd, readable: true, writable: true, allowHalfOpen });
    this.#begin(stream);
    handle(view(stream, connection), this.#handler, this.#options);
  }

  #serveSecured({ acceptor, address }: HandlerTls<Peer>): void {
    const connection = this.#connection;
    const { allowHalfOpen, refused, view } = this.#options;
    const wire = acceptor.carry(connection.fd);
    this.#begin(wire);
    const secured = acceptor.accept(wire, address(connection.peer), (accepted) => {
      if (accepted.kind === "failed") refused(connection, accepted.why);
      else {
        const { stream } = accepted;
        stream.allowHalfOpen = allowHalfOpen;
        handle(view(stream, connection, accepted), this.#handler, this.#options);
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

/** The part of the options that handling takes. */
type Failing<View> = Pick<HandlerOptions<never, never, View>, "failed">;

function handle<View extends Viewed>(
  view: View,
  handler: HandlerOf<View>,
  options: Failing<View>,
): void {
  const { stream } = view;
  const handling = run(handler, view, options);
  stream.on("finish", () => {
    if (handling === undefined) discardUnread(stream);
    else void handling.then(() => discardUnread(stream));
  });
}

/** A handler that throws and one that rejects fail alike. Undefined when it has returned at once. */
function run<View extends Viewed>(
  handler: HandlerOf<View>,
  view: View,
  options: Failing<View>,
): Promise<void> | undefined {
  try {
    const result = handler(view);
    if (!(result instanceof Promise)) return undefined;
    return result.catch((error: unknown) => fail(error, view, options));
  } catch (error) {
    fail(error, view, options);
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

function fail<View extends Viewed>(error: unknown, view: View, options: Failing<View>): void {
  view.stream.destroy();
  options.failed(error, view);
}
