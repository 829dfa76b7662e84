/**
 * The life of a server of the library: it is started once, serves, and stops in several ways. Of which family
 * its connections are, and how they are served, is known to the class above.
 */

import { Environment } from "../chain/index.ts";
import type { Chains, Launch, LinkContext } from "../chain/index.ts";
import type { Clock } from "../clock/index.ts";
import type { Children, Host, Report, Resident, Signals, Stop } from "../host/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import type { ConnectionServer } from "./serving/connection-server.ts";
import { previewLaunch } from "./serving/protocol.ts";
import type { Protocol } from "./serving/protocol.ts";

/** The surroundings of a server. `ucspi` itself fills them in; tests give their own. */
export interface LibrarySystem {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly chains: Chains;
  readonly signals: Signals;
  readonly children: Children;
  readonly host: Host;
  readonly report: Report;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

export const BACKLOG_DEFAULT = 4096;
export const CHAIN_CONNECTIONS_DEFAULT = 40;

const SIGKILL = 9;
const SIGTERM = 15;
const SIGCONT = 18;

type State = "new" | "serving" | "stopped";

export abstract class LibraryServer<Peer, Local> implements Resident {
  readonly name = "ucspi";
  /** Resolves, with 0, once it was stopped and needs the process no more. */
  readonly done: Promise<number>;
  protected readonly system: LibrarySystem;
  readonly #kind: string;
  readonly #signal: AbortSignal | undefined;
  #state: State = "new";
  #server: ConnectionServer<Peer, Local> | undefined;
  #finish: (exitCode: number) => void = () => undefined;
  readonly #aborted = (): void => void this.close();

  /** `kind` is the name of the class, for messages. */
  constructor(kind: string, signal: AbortSignal | undefined, system: LibrarySystem) {
    this.#kind = kind;
    this.#signal = signal;
    this.system = system;
    this.done = new Promise((resolve) => (this.#finish = resolve));
  }

  /** The number of connections that are alive. */
  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  /** Begin to accept. See `start` of the servers. */
  abstract start(): Promise<unknown>;

  /**
   * Open what it listens to, and find out that it can serve; the result makes the server, if it is still wanted
   * then. What `release` gives back may be open after a throw.
   */
  protected abstract open(): Promise<() => ConnectionServer<Peer, Local>>;

  /** Give back what it listens to. May be called again. */
  protected abstract release(): void;

  protected async begin(serve: { readonly length: number } | Function): Promise<void> {
    if (this.#state !== "new") throw new TypeError(`A ${this.#kind} can be started only once`);
    if (serve.length === 0 && typeof serve !== "function") throw new RangeError("An empty chain");
    this.#signal?.throwIfAborted();
    this.#state = "serving";
    this.#signal?.addEventListener("abort", this.#aborted, { once: true });
    try {
      const create = await this.open();
      this.#signal?.throwIfAborted();
      if (this.#isStopped()) {
        throw new TypeError(`The ${this.#kind} was closed while it was starting`);
      }
      this.#server = create();
      this.#server.start();
    } catch (error) {
      await this.#end();
      throw error;
    }
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #end(): Promise<void> {
    const server = this.#stopListening();
    this.#signal?.removeEventListener("abort", this.#aborted);
    server?.signal(SIGTERM);
    server?.signal(SIGCONT);
    await server?.idle();
  }

  #isStopped(): boolean {
    return this.#state === "stopped";
  }

  #stopListening(): ConnectionServer<Peer, Local> | undefined {
    this.#state = "stopped";
    this.#server?.stop();
    this.release();
    return this.#server;
  }
}

/** A process of these words, with variables of ours on top of those it is to have. */
export function chainLaunch(
  argv: readonly string[],
  theirs: Readonly<Record<string, string | undefined>>,
  ours: Iterable<readonly [string, string]>,
): Launch {
  const variables = new Map<string, string | undefined>([...Object.entries(theirs), ...ours]);
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

/** Work out what a chain is, and that it works. Throws Error when it cannot; a link has reported why. */
export async function prepareChain<Peer, Local>(
  protocol: Protocol<Peer, Local>,
  chain: Launch,
  system: LibrarySystem,
): Promise<void> {
  const context: LinkContext = { ...system, isBecoming: false };
  const launch = previewLaunch(protocol, chain, chain.argv);
  const exitCode = await system.chains.prepare(launch, context);
  if (exitCode !== undefined) throw new Error(`The chain would end with exit code ${exitCode}`);
}

/** A socket of the caller, made ready to be listened to. Throws RangeError where it does not listen. */
export function adoptListener(fd: number, posix: Posix): Fd {
  if (!posix.isOpen(fd) || !posix.isSocket(fd) || !posix.isListening(fd)) {
    throw new RangeError(`Not a listening socket: ${fd}`);
  }
  posix.setCloseOnExec(fd, true);
  posix.setNonblocking(fd, true);
  return fd;
}
