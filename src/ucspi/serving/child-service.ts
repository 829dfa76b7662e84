/**
 * Serves each connection with a child: runs the links at the head of the chain, spawns the program
 * with the connection on its descriptors 0 and 1, and waits for it.
 */

import { abandon, Spawner } from "../../chain/index.ts";
import type {
  Companion,
  Ended,
  Environment,
  Launch,
  LinkContext,
  Prepared,
  Source,
  Spawned,
} from "../../chain/index.ts";
import { Children } from "../../host/index.ts";
import { formatIp, tcpLocalEdits, tcpPeerEdits } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { WaitStatus } from "../../posix/index.ts";
import type { Connection, Service, Serving } from "./connection.ts";

/** Failures to make a process that pass by themselves when something else ends. */
const PASSING: ReadonlySet<string> = new Set(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"]);

const SIGKILL = 9;
const SIGTERM = 15;

/** How long a connection waits between attempts to make its process, and how often at most. */
const RETRY_MS = 100;
const RETRIES_MAX = 50;

/** What a connection ends with that was told to go before it had a child. */
const TERMINATED: WaitStatus = { kind: "killed", signal: SIGTERM, coreDumped: false };

export interface ChildServiceOptions {
  /** Begin a connection only when its program was executed; otherwise as soon as there is a child. */
  readonly awaitsExec: boolean;
  /** Told once when processes cannot be made for the moment: "unable to …, retrying". */
  struggles(text: string): void;
}

/** The service that runs `launch` (its argv is the chain) for each connection. */
export function childService(
  server: string,
  launch: Launch,
  context: LinkContext,
  options: ChildServiceOptions,
): Service {
  const service = new ChildService(server, launch, { ...context, isBecoming: false }, options);
  return (connection, serving) => service.serve(connection, serving);
}

class ChildService {
  readonly #context: LinkContext;
  readonly #launch: Launch;
  readonly #spawner: Spawner;
  readonly #children: Children;
  readonly #awaitsExec: boolean;
  /** The environment that all connections to one local address share, marshalled once. */
  readonly #environments = new Map<string, Environment>();
  readonly #struggles: (text: string) => void;
  readonly #inherited: readonly (readonly [number, Source])[];
  #isStruggling = false;

  constructor(server: string, launch: Launch, context: LinkContext, options: ChildServiceOptions) {
    this.#context = context;
    this.#launch = launch;
    this.#children = new Children(context);
    this.#awaitsExec = options.awaitsExec;
    this.#spawner = new Spawner(server, context, { children: this.#children });
    this.#struggles = (text) => options.struggles(text);
    this.#inherited = [...launch.descriptors].filter(([target]) => target > 1);
  }

  serve(connection: Connection, serving: Serving): void {
    const attempt = new Attempt(connection, serving, this.#launchFor(connection, serving));
    this.#try(attempt);
  }

  #try(attempt: Attempt): void {
    const prepared = this.#spawner.prepare(attempt.launch);
    if (!(prepared instanceof Promise)) {
      this.#settle(attempt, prepared);
      return;
    }
    attempt.wait(() => this.#turnAway(attempt));
    prepared.then(
      (later) => this.#settle(attempt, later),
      (error: unknown) => this.#giveUp(attempt, String(error)),
    );
  }

  #settle(attempt: Attempt, prepared: Prepared | Ended): void {
    if (prepared.kind === "program") {
      this.#create(attempt, prepared);
      return;
    }
    this.#context.posix.close(attempt.connection.fd);
    attempt.serving.end(exited(prepared.exitCode));
  }

  #create(attempt: Attempt, prepared: Prepared): void {
    const { posix } = this.#context;
    if (attempt.isCancelled) {
      posix.close(attempt.connection.fd);
      abandon(prepared.launch);
      return;
    }
    const result = this.#spawner.create(prepared);
    if (result.kind === "failed" && this.#retries(attempt, prepared, result.error)) return;
    posix.close(attempt.connection.fd);
    if (result.kind === "child") {
      this.#isStruggling = false;
      this.#follow(attempt, result);
      return;
    }
    abandon(prepared.launch);
    attempt.serving.drop(this.#failure(result.error));
  }

  #follow({ serving }: Attempt, spawned: Spawned): void {
    const { posix } = this.#context;
    const { child, companions } = spawned;
    let signal = (number: number): void => posix.kill(child.pid, number);
    const begin = (): void => serving.begin(child.pid, (number) => signal(number));
    if (this.#awaitsExec) serving.wait((number) => signal(number));
    else begin();
    this.#spawner.follow(spawned, {
      ...(this.#awaitsExec ? { executed: begin } : {}),
      ended: (end) => {
        if (companions.length === 0) {
          this.#end(serving, end);
          return;
        }
        signal = (number) => endCompanions(companions, number);
        const over = Promise.all(companions.map(({ ended }) => ended));
        void over.then(() => this.#end(serving, end));
      },
    });
  }

  #end(serving: Serving, end: WaitStatus | SystemError): void {
    if (end instanceof SystemError) serving.drop(this.#failure(end));
    else serving.end(end);
  }

  #retries(attempt: Attempt, prepared: Prepared, error: SystemError): boolean {
    if (!PASSING.has(error.code)) return false;
    if (!this.#isStruggling) {
      this.#struggles(`unable to ${this.#failure(error)}, retrying`);
    }
    this.#isStruggling = true;
    if (!attempt.countRetry(RETRIES_MAX)) return false;
    attempt.wait(() => this.#turnAway(attempt));
    this.#context.clock.setTimer(RETRY_MS, () => this.#create(attempt, prepared));
    return true;
  }

  /** The client goes at once; the link that waits for something finds out when that is over. */
  #turnAway({ connection, serving }: Attempt): void {
    this.#context.posix.shutdown(connection.fd, "both");
    serving.end(TERMINATED);
  }

  #giveUp(attempt: Attempt, why: string): void {
    this.#context.posix.close(attempt.connection.fd);
    attempt.serving.drop(why);
  }

  #failure(error: SystemError): string {
    return `spawn ${this.#launch.argv[0] ?? ""}: ${error.message}`;
  }

  #launchFor(connection: Connection, serving: Serving): Launch {
    const { fd, local, remote, number, admission } = connection;
    const environment = this.#environmentFor(local)
      .with(tcpPeerEdits(remote, number))
      .with(admission?.edits ?? []);
    const descriptors = new Map<number, Source>(this.#inherited).set(0, fd).set(1, fd);
    const argv = admission?.words ?? this.#launch.argv;
    return { ...this.#launch, argv, environment, descriptors, connection: serving };
  }

  #environmentFor(local: Connection["local"]): Environment {
    const key = `${formatIp(local.address)}_${local.port}`;
    const known = this.#environments.get(key);
    if (known !== undefined) return known;
    const environment = this.#launch.environment.with(tcpLocalEdits(local)).flattened();
    if (this.#environments.size >= ENVIRONMENTS_MAX) this.#environments.clear();
    this.#environments.set(key, environment);
    return environment;
  }
}

/** A host has few local addresses; a prefix routed to it may have very many. */
const ENVIRONMENTS_MAX = 256;

/** One connection on its way to a child. */
class Attempt {
  readonly connection: Connection;
  readonly serving: Serving;
  readonly launch: Launch;
  isCancelled = false;
  #retries = 0;

  constructor(connection: Connection, serving: Serving, launch: Launch) {
    this.connection = connection;
    this.serving = serving;
    this.launch = launch;
  }

  /** While links or a shortage are waited out, the server itself stands in for the child. */
  wait(turnAway: () => void): void {
    this.serving.wait((signal) => {
      if (this.isCancelled || (signal !== SIGTERM && signal !== SIGKILL)) return;
      this.isCancelled = true;
      turnAway();
    });
  }

  countRetry(most: number): boolean {
    this.#retries += 1;
    return this.#retries <= most;
  }
}

/** The program is gone, but not yet all that it wrote. */
function endCompanions(companions: readonly Companion[], signal: number): void {
  if (signal !== SIGTERM && signal !== SIGKILL) return;
  for (const companion of companions) companion.abort();
}

function exited(exitCode: number): WaitStatus {
  return { kind: "exited", exitCode };
}
