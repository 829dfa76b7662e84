/** Serves each connection with a JavaScript function, in this process, on a net.Socket. */

import { Socket } from "node:net";
import { tcpServerEdits } from "../../net/index.ts";
import type { Endpoint, EnvironmentEdit } from "../../net/index.ts";
import type { Pid, Posix, WaitStatus } from "../../posix/index.ts";
import type { Secured, TlsAcceptor, TlsFacts } from "../../tls/index.ts";
import type { Connection, Service, Serving } from "./connection.ts";

/** A connection as a handler sees it. */
export interface TcpConnection {
  /**
   * Closing or destroying it ends the connection; so does throwing. What the client says is thrown away
   * once the stream was ended and the handler is through without having begun to read.
   */
  readonly stream: Socket;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** How many connections from the same address were alive before this one. */
  readonly number: number;
  /** The rule that admitted the client, `ip4/10.0.0.0_8`; undefined where there are no rules. */
  readonly rule: string | undefined;
  /** What the handshake has settled, where the server speaks TLS; `stream` is a tls.TLSSocket then. */
  readonly tls: TlsFacts | undefined;
  /**
   * The UCSPI variables of the connection, with what the rule sets (undefined: removes). Made anew each
   * time it is asked for.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type Handler = (connection: TcpConnection) => void | Promise<void>;

/** What a handler's service needs to know. */
export interface HandlerOptions {
  readonly posix: Posix;
  /** Keep the writing side open when the client has closed its own, until the handler ends it. */
  readonly allowHalfOpen: boolean;
  /** Does the handshake of each connection, ahead of the handler. */
  readonly acceptor: TlsAcceptor | undefined;
  /** A handshake failed, or the client's certificate was not accepted; the connection is closed. */
  refused(connection: Connection, why: string): void;
  /** A handler threw or rejected; the connection is destroyed. */
  failed(error: unknown, connection: TcpConnection): void;
}

const SIGTERM = 15;
const SIGKILL = 9;
const DONE: WaitStatus = { kind: "exited", exitCode: 0 };

export function handlerService(handler: Handler, options: HandlerOptions): Service {
  const pid = options.posix.getpid();
  return (connection, serving) => serveOne(connection, serving, handler, options, pid);
}

function serveOne(
  connection: Connection,
  serving: Serving,
  handler: Handler,
  options: HandlerOptions,
  pid: Pid,
): void {
  const { fd } = connection;
  const stream = new Socket({
    fd,
    readable: true,
    writable: true,
    allowHalfOpen: options.allowHalfOpen,
  });
  stream.on("close", () => serving.end(DONE));
  // What goes wrong with a connection ends it, and "close" tells; handlers may listen as well.
  stream.on("error", ignore);
  // TLS first: Node does not bear it that the socket below goes before it.
  const layers: Socket[] = [stream];
  serving.begin(pid, (signal) => {
    if (signal !== SIGTERM && signal !== SIGKILL) return;
    for (const layer of layers) layer.destroy();
  });
  if (options.acceptor === undefined) {
    handle(new HandledConnection(stream, connection), handler, options);
    return;
  }
  const secured = options.acceptor.accept(stream, (accepted) => {
    if (accepted.kind === "failed") options.refused(connection, accepted.why);
    else handle(new HandledConnection(accepted.stream, connection, accepted), handler, options);
  });
  layers.unshift(secured);
}

function handle(view: HandledConnection, handler: Handler, options: HandlerOptions): void {
  const { stream } = view;
  const handling = run(handler, view, options);
  stream.on("finish", () => {
    if (handling === undefined) discardUnread(stream);
    else void handling.then(() => discardUnread(stream));
  });
}

/** A handler that throws, and one that rejects, fail alike. Undefined when it is through at once. */
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

/** Bytes that nobody will read would hide the client's end, and keep the connection for ever. */
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
  readonly #connection: Connection;
  readonly #edits: readonly EnvironmentEdit[];

  constructor(stream: Socket, connection: Connection, secured?: Secured) {
    this.stream = stream;
    this.tls = secured?.facts;
    this.#connection = connection;
    this.#edits = secured?.edits ?? [];
  }

  get remote(): Endpoint {
    return this.#connection.remote;
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
    const { local, remote, number, admission } = this.#connection;
    const own = tcpServerEdits({ local, remote, connectionNumber: number });
    const edits = [...own, ...(admission?.edits ?? []), ...this.#edits];
    return Object.fromEntries(edits.map(({ name, value }) => [name, value]));
  }
}
