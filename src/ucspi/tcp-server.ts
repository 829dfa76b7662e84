/**
 * The TCP server as a library: a chain of words or a JavaScript function for each connection, under
 * access rules and limits.
 */

import { decide, openRules } from "../access/index.ts";
import type { CertificateRules, Rules, RulesSource } from "../access/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import { fromSocketAddress, parseIp, toSocketAddress } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import type { Fd, SystemError, WaitStatus } from "../posix/index.ts";
import type { TlsAcceptor, TlsOptions } from "../tls/index.ts";
import {
  adoptListener,
  BACKLOG_DEFAULT,
  CHAIN_CONNECTIONS_DEFAULT,
  chainLaunch,
  LibraryServer,
  prepareChain,
} from "./library-server.ts";
import type { LibrarySystem } from "./library-server.ts";
import { childService } from "./serving/child-service.ts";
import type { Service } from "./serving/connection.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import { handlerService } from "./serving/handler-service.ts";
import { tcpView } from "./serving/tcp-connection.ts";
import type { Handler, TcpConnection } from "./serving/tcp-connection.ts";
import { TCP } from "./serving/tcp.ts";

/** A place to listen: an address and a port (0: any free one), or a listening socket of the caller. */
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
   * The rules on clients by address. Without rules every client may connect. Rules that cannot be read,
   * and a client that no rule names, refuse. Names are not looked up: for rules by name put
   * s6-tcpserver-access into the chain.
   */
  readonly rules?: RulesOption;
  /** Connections at a time; more wait in the kernel. 40 for a chain, without limit for a function. */
  readonly maxConnections?: number;
  /** Connections at a time from one address; more are closed at once. By default `maxConnections`. */
  readonly maxPerAddress?: number;
  /** The number of connections that the kernel keeps waiting, 4096 by default. */
  readonly backlog?: number;
  /** Tell each connection its own local address where the listener has the wildcard. */
  readonly localAddress?: boolean;
  /** The environment of the programs of a chain; that of this process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Speak TLS: the stream of a function is a TLSSocket, a chain runs behind s6-tlsd. */
  readonly tls?: TlsOptions & {
    /** The rules on clients by certificate; the rules on addresses in `rules` come first. */
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
  /** An error after which the server goes on: accepting, making a process, a function. */
  onError?(error: unknown, connection?: TcpConnection): void;
}

/** The surroundings of a server. `ucspi` itself fills them in; tests give their own. */
export type TcpServerSystem = LibrarySystem;

export class TcpServer extends LibraryServer<Endpoint, Endpoint> {
  readonly #options: TcpServerOptions;
  #acceptor: TlsAcceptor | undefined;
  #chain: Launch | undefined;
  #opened: Fd[] = [];
  #addresses: readonly Endpoint[] = [];

  constructor(options: TcpServerOptions, system: TcpServerSystem) {
    super("TcpServer", options.signal, system);
    this.#options = options;
  }

  /** The addresses at which the server listens, once it has started. */
  get addresses(): readonly Endpoint[] {
    return this.#addresses;
  }

  /**
   * Bind, listen and begin to accept. Throws SystemError when a socket cannot be bound (EADDRINUSE) or watched,
   * RangeError for a host that is no IP address, a descriptor that does not listen and a chain of no
   * words, Error for a chain that cannot work (a link has reported why) and for certificates and keys
   * that cannot be used, the signal's reason, and TypeError when it was closed before it had started. A
   * server starts once.
   */
  async start(): Promise<readonly Endpoint[]> {
    await this.begin(this.#options.serve);
    return this.#addresses;
  }

  protected override async open(): Promise<() => ConnectionServer<Endpoint, Endpoint>> {
    const { serve, tls } = this.#options;
    const listeners = this.#openListeners();
    if (typeof serve !== "function") await this.#prepare(serve);
    else if (tls !== undefined) this.#acceptor = await this.#openAcceptor(tls);
    return () => this.#createServer(listeners);
  }

  protected override release(): void {
    for (const fd of this.#opened.splice(0)) this.system.posix.close(fd);
  }

  #openListeners(): Fd[] {
    const { listen } = this.#options;
    const targets: readonly ListenTarget[] = "length" in listen ? listen : [listen];
    const listeners = targets.map((target) => this.#openListener(target));
    this.#addresses = listeners.map((fd) => this.#addressOf(fd));
    return listeners;
  }

  #openListener(target: ListenTarget): Fd {
    const { posix } = this.system;
    if ("fd" in target) return adoptListener(target.fd, posix);
    const address = parseIp(target.host);
    if (address === undefined) throw new RangeError(`Not an IP address: ${target.host}`);
    const fd = posix.socket(address.family === 4 ? "inet" : "inet6", "stream");
    this.#opened.push(fd);
    posix.setReuseAddress(fd, true);
    posix.bind(fd, toSocketAddress({ address, port: target.port }));
    posix.listen(fd, this.#options.backlog ?? BACKLOG_DEFAULT);
    return fd;
  }

  #addressOf(fd: Fd): Endpoint {
    const endpoint = fromSocketAddress(this.system.posix.getsockname(fd));
    if (endpoint === undefined) throw new RangeError(`Not an IP socket: ${fd}`);
    return endpoint;
  }

  #createServer(listeners: readonly Fd[]): ConnectionServer<Endpoint, Endpoint> {
    const options = this.#options;
    const { posix, clock } = this.system;
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
        view: tcpView,
        allowHalfOpen,
        tls: this.#acceptor && { acceptor: this.#acceptor, address: ({ address }) => address },
        refused: ({ peer: remote }, reason) => this.#options.onRefused?.({ remote, reason }),
        failed: (error, connection) => this.#options.onError?.(error, connection),
      });
    }
    const context: LinkContext = { ...this.system, isBecoming: false };
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
    const tlsd = this.system.chains.finder.file("s6-tlsd");
    const argv = [tlsd, ...words, "--", ...program];
    return this.#launch(argv, variables);
  }

  #launch(argv: readonly string[], ours: Iterable<readonly [string, string]>): Launch {
    return chainLaunch(argv, this.#options.environment ?? this.system.variables, ours);
  }

  async #openAcceptor(tls: NonNullable<TcpServerOptions["tls"]>): Promise<TlsAcceptor> {
    const { posix, clock } = this.system;
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
    const { tls } = this.#options;
    this.#chain = tls === undefined ? this.#launch(words, []) : await this.#behindTls(tls, words);
    await prepareChain(TCP, this.#chain, this.system);
  }

  /** Put the rules in front of a service. */
  #guard(service: Service<Endpoint, Endpoint>): Service<Endpoint, Endpoint> {
    const { rules: option, onRefused } = this.#options;
    if (option === undefined) return service;
    const { posix } = this.system;
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

/** The warnings of these rules for a command. */
function rulesSource(rules: CertificateRulesOption | undefined): RulesSource | undefined {
  if (rules === undefined || "directory" in rules || "cdb" in rules) return rules;
  throw new TypeError("The certificate rules of a chain are a directory or a CDB file");
}
