/**
 * The TCP server as a library: a chain of words or a JavaScript function for each connection, under
 * access rules and limits.
 */

import { decide, openRules } from "../access/index.ts";
import type { CertificateRules, Rules, RulesSource } from "../access/index.ts";
import { Environment } from "../chain/index.ts";
import type { Chains, Launch, LinkContext } from "../chain/index.ts";
import type { Clock } from "../clock/index.ts";
import type { Children, Host, Report, Resident, Signals, Stop } from "../host/index.ts";
import { fromSocketAddress, parseIp, toSocketAddress } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import type { Fd, Posix, SystemError, WaitStatus } from "../posix/index.ts";
import type { TlsAcceptor, TlsOptions } from "../tls/index.ts";
import { childService } from "./serving/child-service.ts";
import type { Service } from "./serving/connection.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import { handlerService } from "./serving/handler-service.ts";
import type { Handler, TcpConnection } from "./serving/handler-service.ts";
import { previewLaunch } from "./serving/protocol.ts";
import { TCP } from "./serving/tcp.ts";

/** Where to listen: an address and a port (0: any free one), or a listening socket somebody has made. */
export type ListenTarget =
  { readonly host: string; readonly port: number } | { readonly fd: number };

/** Rules for the certificates of clients. */
export type CertificateRulesOption = RulesSource | CertificateRules;

/** The rules of an access-controlled server: a directory, a CDB file, or any other implementation. */
export type RulesOption = RulesSource | Rules;

export interface TcpServerOptions {
  readonly listen: ListenTarget | readonly ListenTarget[];
  /** The words of a chain, run as a process for each connection; or a function. */
  readonly serve: readonly string[] | Handler;
  /**
   * Who may connect, by address. Without rules everybody may. Rules that cannot be read, and a client
   * that no rule names, refuse. Names are not looked up: for rules by name put s6-tcpserver-access
   * into the chain.
   */
  readonly rules?: RulesOption;
  /** Connections at a time; more wait in the kernel. 40 for a chain, without limit for a function. */
  readonly maxConnections?: number;
  /** Connections at a time from one address; more are closed at once. By default `maxConnections`. */
  readonly maxPerAddress?: number;
  /** How many connections the kernel lets wait, 4096 by default. */
  readonly backlog?: number;
  /** Tell each connection its own local address where the listener has the wildcard. */
  readonly localAddress?: boolean;
  /** The environment of the programs of a chain; that of this process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Speak TLS: the stream of a function is a TLSSocket, a chain runs behind s6-tlsd. */
  readonly tls?: TlsOptions & {
    /** Who may connect, by the client's certificate; what `rules` says of addresses comes first. */
    readonly rules?: CertificateRulesOption;
  };
  /** For functions: do not end the stream when the client has ended its side. */
  readonly allowHalfOpen?: boolean;
  /** Aborting it closes the server and its connections. */
  readonly signal?: AbortSignal;
  /** A client was refused: by which rule, because of its handshake, or for which other reason. */
  onRefused?(refusal: { readonly remote: Endpoint; readonly reason: string }): void;
  /** A connection is over: how its program ended; exit code 0 for a function. */
  onEnd?(remote: Endpoint, status: WaitStatus): void;
  /** Something went wrong that the server survives: accepting, making a process, a function. */
  onError?(error: unknown, connection?: TcpConnection): void;
}

/** What a server works with. `ucspi` itself fills it in; tests give their own. */
export interface TcpServerSystem {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly chains: Chains;
  readonly signals: Signals;
  readonly children: Children;
  readonly host: Host;
  readonly report: Report;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

const BACKLOG_DEFAULT = 4096;
const CHAIN_CONNECTIONS_DEFAULT = 40;
const SIGKILL = 9;
const SIGTERM = 15;
const SIGCONT = 18;

type State = "new" | "serving" | "stopped";

export class TcpServer implements Resident {
  readonly name = "ucspi";
  /** Resolves, with 0, once it was stopped and needs the process no more. */
  readonly done: Promise<number>;
  readonly #options: TcpServerOptions;
  readonly #system: TcpServerSystem;
  #state: State = "new";
  #server: ConnectionServer<Endpoint, Endpoint> | undefined;
  #acceptor: TlsAcceptor | undefined;
  #chain: Launch | undefined;
  #opened: Fd[] = [];
  #addresses: readonly Endpoint[] = [];
  #finish: (exitCode: number) => void = () => undefined;
  readonly #aborted = (): void => void this.close();

  constructor(options: TcpServerOptions, system: TcpServerSystem) {
    this.#options = options;
    this.#system = system;
    this.done = new Promise((resolve) => (this.#finish = resolve));
  }

  /** Where the server listens, once it has started. */
  get addresses(): readonly Endpoint[] {
    return this.#addresses;
  }

  /** How many connections are alive. */
  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  /**
   * Bind, listen and begin to accept. Throws SystemError when a socket cannot be had (EADDRINUSE) or watched,
   * RangeError for a host that is no IP address, a descriptor that does not listen and a chain of no
   * words, Error for a chain that cannot work (a link has reported why) and for certificates and keys
   * that cannot be used, the signal's reason, and TypeError when it was closed before it had started. A
   * server starts once.
   */
  async start(): Promise<readonly Endpoint[]> {
    const { signal, serve, tls } = this.#options;
    if (this.#state !== "new") throw new TypeError("A TcpServer can be started only once");
    if (serve.length === 0 && typeof serve !== "function") throw new RangeError("An empty chain");
    signal?.throwIfAborted();
    this.#state = "serving";
    signal?.addEventListener("abort", this.#aborted, { once: true });
    try {
      const listeners = this.#openListeners();
      if (typeof serve !== "function") await this.#prepare(serve);
      else if (tls !== undefined) this.#acceptor = await this.#openAcceptor(tls);
      signal?.throwIfAborted();
      if (this.#isStopped()) throw new TypeError("The TcpServer was closed while it was starting");
      this.#server = this.#createServer(listeners);
      this.#server.start();
    } catch (error) {
      await this.#end();
      throw error;
    }
    return this.#addresses;
  }

  /**
   * Stop accepting and wait for the connections to end by themselves, at most `timeoutMs` (without it:
   * for as long as it takes); then end those that are left. True if none was left.
   */
  async drain(timeoutMs?: number): Promise<boolean> {
    const server = this.#stopListening();
    const isEmpty = (await server?.drain(timeoutMs)) ?? true;
    await this.close();
    return isEmpty;
  }

  /** Stop accepting, end all connections and wait until they are over. */
  async close(): Promise<void> {
    await this.#end();
    this.#finish(0);
  }

  /** As a resident: `leave` is done at once, the others when no connection is left. */
  stop(how: Stop): void {
    switch (how) {
      case "leave":
        this.#stopListening();
        this.#finish(0);
        break;
      case "drain":
        void this.drain();
        break;
      case "terminate":
        void this.close();
        break;
      case "kill":
        this.#stopListening()?.signal(SIGKILL);
        void this.close();
        break;
    }
  }

  async #end(): Promise<void> {
    const server = this.#stopListening();
    this.#options.signal?.removeEventListener("abort", this.#aborted);
    server?.signal(SIGTERM);
    server?.signal(SIGCONT);
    await server?.idle();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #stopListening(): ConnectionServer<Endpoint, Endpoint> | undefined {
    this.#state = "stopped";
    this.#server?.stop();
    for (const fd of this.#opened.splice(0)) this.#system.posix.close(fd);
    return this.#server;
  }

  #openListeners(): Fd[] {
    const { listen } = this.#options;
    const targets: readonly ListenTarget[] = "length" in listen ? listen : [listen];
    const listeners = targets.map((target) => this.#openListener(target));
    this.#addresses = listeners.map((fd) => this.#addressOf(fd));
    return listeners;
  }

  #openListener(target: ListenTarget): Fd {
    const { posix } = this.#system;
    if ("fd" in target) return this.#adopt(target.fd);
    const address = parseIp(target.host);
    if (address === undefined) throw new RangeError(`Not an IP address: ${target.host}`);
    const fd = posix.socket(address.family === 4 ? "inet" : "inet6", "stream");
    this.#opened.push(fd);
    posix.setReuseAddress(fd, true);
    posix.bind(fd, toSocketAddress({ address, port: target.port }));
    posix.listen(fd, this.#options.backlog ?? BACKLOG_DEFAULT);
    return fd;
  }

  #adopt(fd: number): Fd {
    const { posix } = this.#system;
    if (!posix.isOpen(fd) || !posix.isSocket(fd) || !posix.isListening(fd)) {
      throw new RangeError(`Not a listening socket: ${fd}`);
    }
    posix.setCloseOnExec(fd, true);
    posix.setNonblocking(fd, true);
    return fd;
  }

  #addressOf(fd: Fd): Endpoint {
    const endpoint = fromSocketAddress(this.#system.posix.getsockname(fd));
    if (endpoint === undefined) throw new RangeError(`Not an IP socket: ${fd}`);
    return endpoint;
  }

  #createServer(listeners: readonly Fd[]): ConnectionServer<Endpoint, Endpoint> {
    const options = this.#options;
    const { posix, clock } = this.#system;
    const isChain = typeof options.serve !== "function";
    const maxConnections =
      options.maxConnections ?? (isChain ? CHAIN_CONNECTIONS_DEFAULT : Infinity);
    return new ConnectionServer({
      posix,
      clock,
      protocol: TCP,
      listeners,
      maxConnections,
      maxPerKey: options.maxPerAddress ?? maxConnections,
      asksLocalAddress: options.localAddress ?? false,
      service: this.#guard(this.#service()),
      events: {
        ended: ({ peer }, _pid, status) => options.onEnd?.(peer, status),
        rejected: ({ peer: remote }, count) =>
          options.onRefused?.({ remote, reason: `${count} connections from this address` }),
        dropped: (_, why) => options.onError?.(new Error(`Unable to ${why}`)),
        acceptFailed: (error: SystemError) => options.onError?.(error),
        faulted(error) {
          if (options.onError === undefined) throw error;
          options.onError(error);
        },
      },
    });
  }

  #service(): Service<Endpoint, Endpoint> {
    const { serve, allowHalfOpen = false } = this.#options;
    if (typeof serve === "function") {
      return handlerService(serve, {
        allowHalfOpen,
        acceptor: this.#acceptor,
        refused: ({ peer: remote }, reason) => this.#options.onRefused?.({ remote, reason }),
        failed: (error, connection) => this.#options.onError?.(error, connection),
      });
    }
    const context: LinkContext = { ...this.#system, isBecoming: false };
    return childService("ucspi", this.#chain ?? this.#launch(serve, []), context, {
      protocol: TCP,
      awaitsExec: false,
      shortage: (text) => this.#options.onError?.(new Error(text)),
    });
  }

  async #behindTls(
    tls: NonNullable<TcpServerOptions["tls"]>,
    program: readonly string[],
  ): Promise<Launch> {
    const { tlsdLine } = await import("../tls/index.ts");
    const { words, variables } = tlsdLine(tls, rulesSource(tls.rules));
    const tlsd = this.#system.chains.finder.file("s6-tlsd");
    const argv = [tlsd, ...words, "--", ...program];
    return this.#launch(argv, variables);
  }

  /** A process of these words, with variables of ours on top of those it is to have. */
  #launch(argv: readonly string[], ours: Iterable<readonly [string, string]>): Launch {
    const theirs = Object.entries(this.#options.environment ?? this.#system.variables);
    const variables = new Map<string, string | undefined>([...theirs, ...ours]);
    const strings = Array.from(variables).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    );
    return {
      argv,
      environment: Environment.of(strings),
      descriptors: new Map([[2, 2 as Fd]]),
      limits: new Map(),
    };
  }

  async #openAcceptor(tls: NonNullable<TcpServerOptions["tls"]>): Promise<TlsAcceptor> {
    const { posix, clock } = this.#system;
    const { TlsAcceptor } = await import("../tls/index.ts");
    const rules = tls.rules && openRules(tls.rules, posix);
    return new TlsAcceptor({
      posix,
      clock,
      tls,
      admit: rules && ((peer) => decide(rules.checkClientCertificate(peer), posix)),
      warn: (text) => this.#options.onError?.(new Error(text)),
    });
  }

  /** Work out what the chain is, with TLS ahead of it where that is spoken, and that it works. */
  async #prepare(words: readonly string[]): Promise<void> {
    const context: LinkContext = { ...this.#system, isBecoming: false };
    const { tls } = this.#options;
    this.#chain = tls === undefined ? this.#launch(words, []) : await this.#behindTls(tls, words);
    const launch = previewLaunch(TCP, this.#chain, this.#chain.argv);
    const exitCode = await this.#system.chains.prepare(launch, context);
    if (exitCode !== undefined) throw new Error(`The chain would end with exit code ${exitCode}`);
  }

  /** Put the rules in front of a service. */
  #guard(service: Service<Endpoint, Endpoint>): Service<Endpoint, Endpoint> {
    const { rules: option, onRefused } = this.#options;
    if (option === undefined) return service;
    const { posix } = this.#system;
    const rules: Rules = openRules(option, posix);
    return (connection, life) => {
      const { peer: remote } = connection;
      const admission = decide(rules.checkIp(remote.address), posix);
      if (admission.kind === "admit") return service({ ...connection, admission }, life);
      onRefused?.({ remote, reason: admission.reason });
      return undefined;
    };
  }
}

/** What a command can be told of these rules. */
function rulesSource(rules: CertificateRulesOption | undefined): RulesSource | undefined {
  if (rules === undefined || "directory" in rules || "cdb" in rules) return rules;
  throw new TypeError("The certificate rules of a chain are a directory or a CDB file");
}
