/**
 * The server on Unix-domain sockets as a library: a chain of words or a JavaScript function for each
 * connection, under access rules for users and groups, and limits.
 */

import { openRules } from "../../access/index.ts";
import type { Rules } from "../../access/index.ts";
import type { Claim, Launch, LinkContext } from "../../chain/index.ts";
import type { Fd, SystemError, WaitStatus } from "../../posix/index.ts";
import {
  adoptListener,
  BACKLOG_DEFAULT,
  CHAIN_CONNECTIONS_DEFAULT,
  chainLaunch,
  LibraryServer,
  prepareChain,
} from "../library-server.ts";
import type { LibrarySystem } from "../library-server.ts";
import { childService } from "../serving/child-service.ts";
import type { Service } from "../serving/connection.ts";
import { ConnectionServer } from "../serving/connection-server.ts";
import { handlerService } from "../serving/handler-service.ts";
import { clientOf, localView } from "../serving/local-connection.ts";
import type { LocalClient, LocalConnection, LocalHandler } from "../serving/local-connection.ts";
import { UNIX } from "../serving/unix.ts";
import type { UnixPeer } from "../serving/unix.ts";
import type { RulesOption } from "../tcp-server.ts";
import { decideByIds } from "./admit.ts";
import { bindLocal } from "./bind.ts";
import { PERMISSIONS_DEFAULT } from "./options.ts";

/**
 * A place to listen: a path, 107 bytes at most, with the permissions of its socket (0o777 unless given; who
 * may write to it may connect); a name of the abstract space; or a listening socket of the caller.
 */
export type LocalListenTarget =
  | { readonly path: string; readonly mode?: number }
  | { readonly abstract: string }
  | { readonly fd: number };

export interface LocalServerOptions {
  readonly listen: LocalListenTarget | readonly LocalListenTarget[];
  /** The words of a chain, run as a process for each connection; or a function. */
  readonly serve: readonly string[] | LocalHandler;
  /**
   * The rules on clients by user and group. Without rules every client may connect. Rules that cannot be read,
   * and a client that no rule names, refuse.
   */
  readonly rules?: RulesOption;
  /** Connections at a time; more wait in the kernel. 40 for a chain, without limit for a function. */
  readonly maxConnections?: number;
  /** Connections at a time of one user; more are closed at once. By default `maxConnections`. */
  readonly maxPerUser?: number;
  /** The number of connections that the kernel keeps waiting, 4096 by default. */
  readonly backlog?: number;
  /** The environment of the programs of a chain; that of this process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** For functions: do not end the stream when the client has ended its side. */
  readonly allowHalfOpen?: boolean;
  /** Aborting it closes the server and its connections. */
  readonly signal?: AbortSignal;
  /** A client was refused: by which rule, or for which other reason. */
  onRefused?(refusal: { readonly client: LocalClient; readonly reason: string }): void;
  /** A connection is over: how its program ended; exit code 0 for a function. */
  onEnd?(client: LocalClient, status: WaitStatus): void;
  /** An error after which the server goes on: accepting, making a process, a function. */
  onError?(error: unknown, connection?: LocalConnection): void;
}

export class LocalServer extends LibraryServer<UnixPeer, string> {
  readonly #options: LocalServerOptions;
  #chain: Launch | undefined;
  #opened: Fd[] = [];
  #claims: Claim[] = [];

  constructor(options: LocalServerOptions, system: LibrarySystem) {
    super("LocalServer", options.signal, system);
    this.#options = options;
  }

  /**
   * Bind, listen and begin to accept. The socket of a server that has ended is replaced. Throws BindError when a
   * socket cannot be bound, for one that another process has open for instance; RangeError for a
   * descriptor that does not listen and a chain of no words; Error for a chain that cannot work (a link has
   * reported why); the signal's reason; and TypeError for a socket of another family, and when it was closed
   * before it had started. A server starts once.
   */
  async start(): Promise<void> {
    await this.begin(this.#options.serve);
  }

  protected override async open(): Promise<() => ConnectionServer<UnixPeer, string>> {
    const { listen, serve } = this.#options;
    const targets: readonly LocalListenTarget[] = "length" in listen ? listen : [listen];
    const listeners = targets.map((target) => this.#openListener(target));
    if (typeof serve !== "function") {
      this.#chain = chainLaunch(serve, this.#options.environment ?? this.system.variables, []);
      await prepareChain(UNIX, this.#chain, this.system);
    }
    return () => this.#createServer(listeners);
  }

  protected override release(): void {
    for (const fd of this.#opened.splice(0)) this.system.posix.close(fd);
    for (const claim of this.#claims.splice(0)) claim.release();
  }

  #openListener(target: LocalListenTarget): Fd {
    const { posix, host } = this.system;
    if ("fd" in target) return adoptListener(target.fd, posix);
    const isAbstract = "abstract" in target;
    const request = {
      name: isAbstract ? target.abstract : target.path,
      isAbstract,
      type: "stream",
      backlog: this.#options.backlog ?? BACKLOG_DEFAULT,
      mode: (isAbstract ? undefined : target.mode) ?? PERMISSIONS_DEFAULT,
      replacesStale: true,
    } as const;
    const { fd, claim } = bindLocal(request, { posix, locks: host.locks });
    this.#opened.push(fd);
    if (claim !== undefined) this.#claims.push(claim);
    return fd;
  }

  #createServer(listeners: readonly Fd[]): ConnectionServer<UnixPeer, string> {
    const options = this.#options;
    const { posix, clock } = this.system;
    const isChain = typeof options.serve !== "function";
    const maxConnections =
      options.maxConnections ?? (isChain ? CHAIN_CONNECTIONS_DEFAULT : Infinity);
    return new ConnectionServer({
      posix,
      clock,
      protocol: UNIX,
      listeners,
      maxConnections,
      maxPerKey: options.maxPerUser ?? maxConnections,
      asksLocalAddress: false,
      service: this.#guard(this.#service()),
      events: {
        ended: ({ peer }, _pid, status) => options.onEnd?.(clientOf(peer), status),
        rejected: ({ peer }, count) =>
          options.onRefused?.({
            client: clientOf(peer),
            reason: `${count} connections of this user`,
          }),
        dropped: (_, why) => options.onError?.(new Error(`Unable to ${why}`)),
        acceptFailed: (error: SystemError) => options.onError?.(error),
        faulted(error) {
          if (options.onError === undefined) throw error;
          options.onError(error);
        },
      },
    });
  }

  #service(): Service<UnixPeer, string> {
    const { serve, allowHalfOpen = false } = this.#options;
    if (typeof serve === "function") {
      return handlerService(serve, {
        view: localView,
        allowHalfOpen,
        tls: undefined,
        refused: () => undefined,
        failed: (error, connection) => this.#options.onError?.(error, connection),
      });
    }
    if (this.#chain === undefined) throw new TypeError("The chain has not been prepared");
    const context: LinkContext = { ...this.system, isBecoming: false };
    return childService("ucspi", this.#chain, context, {
      protocol: UNIX,
      awaitsExec: false,
      shortage: (text) => this.#options.onError?.(new Error(text)),
    });
  }

  /** Put the rules in front of a service. */
  #guard(service: Service<UnixPeer, string>): Service<UnixPeer, string> {
    const { rules: option, onRefused } = this.#options;
    if (option === undefined) return service;
    const { posix } = this.system;
    const rules: Rules = openRules(option, posix);
    return (connection, life) => {
      const client = clientOf(connection.peer);
      const admission = decideByIds(rules, client, posix);
      if (admission.kind === "admit") return service({ ...connection, admission }, life);
      onRefused?.({ client, reason: admission.reason });
      return undefined;
    };
  }
}
