/**
 * Serves each connection with a process: links at the head of the chain run here, and the program gets
 * the connection on its descriptors 0 and 1.
 */

import { abandon } from "../../chain/index.ts";
import type {
  Companion,
  Ended,
  Environment,
  Launch,
  LinkContext,
  Prepared,
  Source,
} from "../../chain/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Pid, Posix, WaitStatus } from "../../posix/index.ts";
import { Births } from "./births.ts";
import type { BirthEvents, BirthsOptions, BornProcess } from "./births.ts";
import type { Connection, Life, Service, Work } from "./connection.ts";
import type { Protocol } from "./protocol.ts";
import { isPassing, retryDelayMs } from "./retry.ts";

const SIGKILL = 9;

export interface ChildServiceOptions<Peer, Local> extends BirthsOptions {
  readonly protocol: Protocol<Peer, Local>;
  /** Told when processes cannot be made for the moment, once until one is made: "unable to ..., retrying". */
  shortage(text: string): void;
}

/** The service that runs `launch` (its argv is the chain) for each connection. */
export function childService<Peer, Local>(
  server: string,
  launch: Launch,
  context: LinkContext,
  options: ChildServiceOptions<Peer, Local>,
): Service<Peer, Local> {
  const processes = new ConnectionProcesses(server, launch, context, options);
  return (connection, life) => new ChildWork(connection, life, processes);
}

/** A host has few local addresses; a prefix routed to it may have very many. */
const ENVIRONMENTS_MAX = 256;

/** The parts that the processes of all connections have in common. */
class ConnectionProcesses<Peer, Local> {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly births: Births;
  readonly #options: ChildServiceOptions<Peer, Local>;
  readonly #launch: Launch;
  readonly #inherited: readonly (readonly [number, Source])[];
  /** The environment that all connections to one local address share, marshalled once. */
  readonly #environments = new Map<string, Environment>();
  #latest: { readonly local: Local; readonly environment: Environment } | undefined;
  #isShort = false;

  constructor(
    server: string,
    launch: Launch,
    context: LinkContext,
    options: ChildServiceOptions<Peer, Local>,
  ) {
    this.posix = context.posix;
    this.clock = context.clock;
    this.births = new Births(server, { ...context, isBecoming: false }, options);
    this.#options = options;
    this.#launch = launch;
    this.#inherited = [...launch.descriptors].filter(([target]) => target > 1);
  }

  launchFor(connection: Connection<Peer, Local>, life: Life): Launch {
    const { fd, local, peer, number, admission } = connection;
    const environment = this.#environmentFor(local)
      .with(this.#options.protocol.peerEdits(peer, number))
      .with(admission?.edits ?? []);
    const descriptors = new Map<number, Source>(this.#inherited).set(0, fd).set(1, fd);
    const argv = admission?.words ?? this.#launch.argv;
    return { ...this.#launch, argv, environment, descriptors, connection: life };
  }

  /** A failure as it is told behind "unable to". */
  failure(error: SystemError): string {
    return `spawn ${this.#launch.argv[0] ?? ""}: ${error.message}`;
  }

  shortage(error: SystemError): void {
    if (!this.#isShort) this.#options.shortage(`unable to ${this.failure(error)}, retrying`);
    this.#isShort = true;
  }

  plenty(): void {
    this.#isShort = false;
  }

  /** Connections to one listener share the very address. */
  #environmentFor(local: Local): Environment {
    if (this.#latest?.local !== local) {
      this.#latest = { local, environment: this.#findEnvironment(local) };
    }
    return this.#latest.environment;
  }

  #findEnvironment(local: Local): Environment {
    const edits = this.#options.protocol.localEdits(local);
    const key = edits.map(({ value }) => value).join("\0");
    const known = this.#environments.get(key);
    if (known !== undefined) return known;
    const environment = this.#launch.environment.with(edits).flattened();
    if (this.#environments.size >= ENVIRONMENTS_MAX) this.#environments.clear();
    this.#environments.set(key, environment);
    return environment;
  }
}

/** One connection and its process. */
class ChildWork<Peer, Local> implements Work, BirthEvents {
  readonly #processes: ConnectionProcesses<Peer, Local>;
  readonly #connection: Connection<Peer, Local>;
  readonly #life: Life;
  #prepared: Prepared | undefined;
  #process: BornProcess | undefined;
  #retries = 0;
  #retry: Timer | undefined;

  constructor(
    connection: Connection<Peer, Local>,
    life: Life,
    processes: ConnectionProcesses<Peer, Local>,
  ) {
    this.#processes = processes;
    this.#connection = connection;
    this.#life = life;
  }

  prepare(): void {
    const { births } = this.#processes;
    const result = births.prepare(this.#processes.launchFor(this.#connection, this.#life));
    if (!(result instanceof Promise)) {
      this.#settle(result);
      return;
    }
    result.then(
      (later) => this.#settle(later),
      (error: unknown) => this.#life.failed(String(error)),
    );
  }

  create(): void {
    if (this.#prepared === undefined) return;
    const refusal = this.#processes.births.create(this.#prepared, this);
    if (refusal !== undefined) this.#refused(refusal);
  }

  abandon(): void {
    if (this.#prepared !== undefined) abandon(this.#prepared.launch);
    this.#prepared = undefined;
  }

  setRetry(): void {
    const delayMs = retryDelayMs(this.#retries) ?? 0;
    this.#retries += 1;
    this.#retry = this.#processes.clock.setTimer(delayMs, () => this.#life.retryDue());
  }

  cancelRetry(): void {
    this.#retry?.cancel();
  }

  forward(signal: number): void {
    if (this.#process !== undefined) sendSignal(this.#process.pid, signal, this.#processes.posix);
  }

  kill(): void {
    this.forward(SIGKILL);
  }

  awaitTunnels(): void {
    if (this.#tunnels.length === 0) {
      this.#life.tunnelsEnded();
      return;
    }
    const over = Promise.all(this.#tunnels.map(({ ended }) => ended));
    void over.then(() => this.#life.tunnelsEnded());
  }

  abortTunnels(): void {
    for (const tunnel of this.#tunnels) tunnel.abort();
  }

  created(born: BornProcess): void {
    this.#processes.plenty();
    this.#prepared = undefined;
    this.#process = born;
    this.#life.created(born.pid);
  }

  begun(): void {
    this.#life.begun();
  }

  failed(error: SystemError): void {
    this.#life.failed(this.#processes.failure(error));
  }

  ended(status: WaitStatus): void {
    this.#life.ended(status);
  }

  get #tunnels(): readonly Companion[] {
    return this.#process?.tunnels ?? [];
  }

  #settle(result: Prepared | Ended): void {
    if (result.kind === "ended") {
      this.#life.ended(exited(result));
      return;
    }
    this.#prepared = result;
    this.#life.prepared();
  }

  /** The system has refused a process: for now, or for good. */
  #refused(error: SystemError): void {
    const isOnlyNow = isPassing(error);
    if (isOnlyNow) this.#processes.shortage(error);
    if (isOnlyNow && retryDelayMs(this.#retries) !== undefined) this.#life.shortage();
    else this.failed(error);
  }
}

function exited({ exitCode }: Ended): WaitStatus {
  return { kind: "exited", exitCode };
}

function sendSignal(pid: Pid, signal: number, posix: Posix): void {
  try {
    posix.kill(pid, signal);
  } catch (error) {
    // EPERM: the program has taken an identity that this process may not signal.
    if (!(error instanceof SystemError)) throw error;
  }
}
