/**
 * A super-server as a resident: take over the listening sockets, announce readiness, and serve until it
 * is told to stop. Of which family the sockets are is the plan's business.
 */

import { descriptorAt, EXIT } from "../chain/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import { announce } from "../host/index.ts";
import type { Resident, Stop } from "../host/index.ts";
import { encodeBytes, SystemError } from "../posix/index.ts";
import type { Fd, Posix, SocketAddress } from "../posix/index.ts";
import { isListener, takeExtraListeners } from "./extra-listeners.ts";
import { speaker } from "./serverd-log.ts";
import type { Say } from "./serverd-log.ts";
import { childService } from "./serving/child-service.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import type { ServerEvents } from "./serving/connection-server.ts";
import { previewLaunch } from "./serving/protocol.ts";
import type { Protocol } from "./serving/protocol.ts";

/** A super-server of one family, as its command line has it. */
export interface ServerdPlan<Peer, Local> {
  /** The command in whose name it reports. */
  readonly name: string;
  readonly protocol: Protocol<Peer, Local>;
  /** The sockets that it serves, as they are told: "stdin is not a KIND socket". */
  readonly socketKind: string;
  readonly verbosity: number;
  readonly maxConnections: number;
  readonly maxPerKey: number;
  /** Tell each connection its own local address, not that of the listener. */
  readonly asksLocalAddress: boolean;
  /** Milliseconds that draining waits for connections; undefined and Infinity: without end. */
  readonly drain: number | undefined;
  /** Tell readiness on descriptor 1: if it is open, or else not start at all. */
  readonly announces: "no" | "ifOpen" | "always";
  /** Close the listening sockets when none are accepted any more, rather than with the process. */
  readonly closesListeners: boolean;
  /** The signals that end a connection, as the log writes them. */
  readonly endingSignals: string;
  /** The end of the log's first line, "starting...". */
  starting(local: Local): string;
  /** Written to descriptor 1 to tell readiness. */
  announcement(local: Local): string;
  /** The events of connections, in the world that the resident is given. */
  events(context: LinkContext): ServerEvents<Peer, Local>;
}

const STDIN = 0 as Fd;
const STDOUT = 1 as Fd;

const SIGKILL = 9;
const SIGTERM = 15;
const SIGCONT = 18;

type State = "starting" | "serving" | "draining" | "done";

/** Serves the listening socket on descriptor 0, and those that the environment names. */
export class Serverd<Peer, Local> implements Resident {
  readonly name: string;
  readonly done: Promise<number>;
  readonly #launch: Launch;
  readonly #plan: ServerdPlan<Peer, Local>;
  readonly #context: LinkContext;
  readonly #say: Say;
  #state: State = "starting";
  #listeners: readonly Fd[] = [];
  #server: ConnectionServer<Peer, Local> | undefined;
  #resolve: (exitCode: number) => void = () => undefined;

  constructor(launch: Launch, plan: ServerdPlan<Peer, Local>, context: LinkContext) {
    this.name = plan.name;
    this.#launch = launch;
    this.#plan = plan;
    this.#context = context;
    this.#say = speaker(plan.name, plan.verbosity, context);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  get isDraining(): boolean {
    return this.#state === "draining";
  }

  /** The number of connections that are alive. */
  get connections(): number {
    return this.#server?.connections ?? 0;
  }

  /** Sockets that cannot be served and chains that cannot work are reported, and end it. */
  async start(): Promise<void> {
    const { posix, chains, report } = this.#context;
    const problem = this.#problem();
    if (problem !== undefined) {
      report(this.name, "fatal", problem);
      this.#finish(EXIT.usage);
      return;
    }
    const { environment } = this.#launch;
    const extra = takeExtraListeners(environment, STDIN, this.#isOurs, posix);
    if (extra.warning !== undefined) this.#say(1, "warning", extra.warning);
    const listeners: [Fd, ...Fd[]] = [STDIN, ...extra.fds];
    this.#listeners = listeners;
    const local = this.#prepareListeners(listeners);
    const served = { ...this.#launch, environment: extra.environment };
    const inner = { ...this.#context, isBecoming: false };
    const preview = previewLaunch(this.#plan.protocol, served, served.argv);
    const failed = await chains.prepare(preview, inner);
    if (failed !== undefined) this.#finish(failed);
    else if (this.#state === "starting") this.#serve(local, served);
  }

  /** A second `drain` changes nothing; the others end it whatever it was told before. */
  stop(how: Stop): void {
    if (this.#state === "done") return;
    switch (how) {
      case "drain":
        if (this.#state !== "draining") void this.#drain();
        return;
      case "terminate":
        this.endConnections();
        break;
      case "kill":
        this.#server?.signal(SIGKILL);
        break;
      case "leave":
        break;
    }
    this.#finish(EXIT.ok);
  }

  /** Ask the programs of all connections to end; new ones are served as before. */
  endConnections(): void {
    this.#server?.signal(SIGTERM);
    this.#server?.signal(SIGCONT);
  }

  /** The reason why the socket on standard input cannot be served; undefined when it can. */
  #problem(): string | undefined {
    const { posix } = this.#context;
    const { socketKind, announces } = this.#plan;
    if (!posix.isOpen(STDIN) || !posix.isSocket(STDIN)) return "stdin is not a socket";
    if (!this.#isOurs(posix.getsockname(STDIN))) return `stdin is not a ${socketKind} socket`;
    if (!isListener(STDIN, this.#isOurs, posix)) return "stdin is not a listening socket";
    if (announces !== "always" || posix.isOpen(descriptorAt(this.#launch, 1))) return undefined;
    return `called with option -1 but stdout said: ${posix.strerror("EBADF")}`;
  }

  readonly #isOurs = (address: SocketAddress): boolean => {
    return this.#plan.protocol.local(address) !== undefined;
  };

  /** Make the sockets ours alone; the address of the first. */
  #prepareListeners(listeners: readonly [Fd, ...Fd[]]): Local {
    const { posix } = this.#context;
    for (const fd of listeners) {
      posix.setCloseOnExec(fd, true);
      posix.setNonblocking(fd, true);
    }
    const local = this.#plan.protocol.local(posix.getsockname(listeners[0]));
    if (local === undefined) throw new TypeError("The first listener has changed its family");
    return local;
  }

  #serve(local: Local, served: Launch): void {
    const { maxConnections, announces, starting, announcement } = this.#plan;
    this.#say(2, "info", `starting${starting(local)}`);
    this.#server = this.#createServer(served);
    this.#state = "serving";
    this.#server.start();
    this.#announce(announces === "no" ? "" : announcement(local));
    this.#say(2, "info", `status: 0/${maxConnections}`);
  }

  #createServer(served: Launch): ConnectionServer<Peer, Local> {
    const { posix, clock } = this.#context;
    const { protocol, maxConnections, maxPerKey, asksLocalAddress, verbosity } = this.#plan;
    return new ConnectionServer({
      posix,
      clock,
      protocol,
      listeners: this.#listeners,
      maxConnections,
      maxPerKey,
      asksLocalAddress,
      service: childService(this.name, served, this.#context, {
        protocol,
        // A log of every connection says "accept" only of programs that could be executed.
        awaitsExec: verbosity >= 2,
        shortage: (text) => this.#say(1, "warning", text),
      }),
      events: this.#plan.events(this.#context),
    });
  }

  /** Tell readiness, if it is to be told, on descriptor 1, which is closed in any case. */
  #announce(text: string): void {
    if (!this.#context.posix.isOpen(STDOUT)) return;
    announce(this.#context, {
      fd: STDOUT,
      bytes: encodeBytes(text),
      failed: (why) => this.#say(0, "warning", `unable to write to stdout: ${why}`),
    });
  }

  async #drain(): Promise<void> {
    this.#state = "draining";
    const { drain } = this.#plan;
    const drained = this.#server?.drain(drain === Infinity ? undefined : drain);
    this.#letGo();
    const isEmpty = (await drained) ?? true;
    if (this.#state === "draining") this.stop(isEmpty ? "leave" : "terminate");
  }

  #finish(exitCode: number): void {
    this.#state = "done";
    this.#server?.stop();
    this.#letGo();
    this.#resolve(exitCode);
  }

  /** Let another server have the sockets' addresses, as far as it is ours to say. */
  #letGo(): void {
    if (!this.#plan.closesListeners) return;
    for (const fd of this.#listeners) closeListener(fd, this.#context.posix);
    this.#listeners = [];
    this.#launch.claim?.release();
  }
}

/** Close a listener that is watched no more. Descriptor 0 stays open: the number is no other file's. */
function closeListener(fd: Fd, posix: Posix): void {
  if (fd !== STDIN) return posix.close(fd);
  try {
    const nothing = posix.open("/dev/null", "read");
    posix.dup2(nothing, STDIN, true);
    posix.close(nothing);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    posix.close(STDIN); // no /dev/null, or no descriptor for it
  }
}
