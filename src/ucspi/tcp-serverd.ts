/**
 * s6-tcpserverd as a resident: take over the listening sockets, announce readiness, and serve until it
 * is told to stop (networking.md, section 5).
 */

import { EXIT } from "../chain/index.ts";
import type { Launch, LinkContext } from "../chain/index.ts";
import { announce } from "../host/index.ts";
import type { Resident, Stop } from "../host/index.ts";
import { formatIp } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { encodeBytes } from "../posix/index.ts";
import type { Fd, Posix, SocketAddress } from "../posix/index.ts";
import { isListener, takeExtraListeners } from "./extra-listeners.ts";
import { logEvents, speaker } from "./serverd-log.ts";
import type { LogOptions, Say } from "./serverd-log.ts";
import { childService } from "./serving/child-service.ts";
import { ConnectionServer } from "./serving/connection-server.ts";
import { previewLaunch } from "./serving/protocol.ts";
import { TCP } from "./serving/tcp.ts";

export const TCPSERVERD = "s6-tcpserverd";

export interface ServeOptions extends LogOptions {
  readonly announces: boolean;
  /** Milliseconds that draining waits for connections; undefined and Infinity: without end. */
  readonly drain: number | undefined;
  readonly localAddress: boolean;
}

const STDIN = 0 as Fd;
const STDOUT = 1 as Fd;

const SIGKILL = 9;
const SIGTERM = 15;
const SIGCONT = 18;

type State = "starting" | "serving" | "draining" | "done";

/** Serves the listening socket on descriptor 0, and those that the environment names. */
export class TcpServerd implements Resident {
  readonly name = TCPSERVERD;
  readonly done: Promise<number>;
  readonly #launch: Launch;
  readonly #options: ServeOptions;
  readonly #context: LinkContext;
  readonly #say: Say;
  #state: State = "starting";
  #server: ConnectionServer<Endpoint, Endpoint> | undefined;
  #resolve: (exitCode: number) => void = () => undefined;

  constructor(launch: Launch, options: ServeOptions, context: LinkContext) {
    this.#launch = launch;
    this.#options = options;
    this.#context = context;
    this.#say = speaker(TCPSERVERD, options.verbosity, context);
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
    const problem = problemOf(STDIN, posix);
    if (problem !== undefined) {
      report(TCPSERVERD, "fatal", problem);
      this.#finish(EXIT.usage);
      return;
    }
    const { environment } = this.#launch;
    const extra = takeExtraListeners(environment, STDIN, isTcp, posix);
    if (extra.warning !== undefined) this.#say(1, "warning", extra.warning);
    const listeners: [Fd, ...Fd[]] = [STDIN, ...extra.fds];
    const local = prepareListeners(listeners, posix);
    const served = { ...this.#launch, environment: extra.environment };
    const inner = { ...this.#context, isBecoming: false };
    const failed = await chains.prepare(tcpPreview(served, served.argv), inner);
    if (failed !== undefined) this.#finish(failed);
    else if (this.#state === "starting") this.#serve(listeners, local, served);
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

  #serve(listeners: readonly Fd[], local: Endpoint, served: Launch): void {
    const { maxConnections, announces } = this.#options;
    this.#say(2, "info", `starting - bound to ip ${formatIp(local.address)} port ${local.port}`);
    this.#server = this.#createServer(listeners, served);
    this.#state = "serving";
    this.#server.start();
    this.#announce(announces ? local.port : undefined);
    this.#say(2, "info", `status: 0/${maxConnections}`);
  }

  #createServer(listeners: readonly Fd[], served: Launch): ConnectionServer<Endpoint, Endpoint> {
    const options = this.#options;
    const { posix, clock } = this.#context;
    return new ConnectionServer({
      posix,
      clock,
      protocol: TCP,
      listeners,
      maxConnections: options.maxConnections,
      maxPerKey: Math.min(options.maxPerAddress, options.maxConnections),
      asksLocalAddress: options.localAddress,
      service: childService(TCPSERVERD, served, this.#context, {
        protocol: TCP,
        // A log of every connection says "accept" only of programs that could be executed.
        awaitsExec: options.verbosity >= 2,
        shortage: (text) => this.#say(1, "warning", text),
      }),
      events: logEvents(TCPSERVERD, options, this.#context),
    });
  }

  /** Tell readiness, if it is to be told, on descriptor 1, which is closed in any case. */
  #announce(port: number | undefined): void {
    if (!this.#context.posix.isOpen(STDOUT)) return;
    announce(this.#context, {
      fd: STDOUT,
      bytes: encodeBytes(port === undefined ? "" : `${port}\n`),
      failed: (why) => this.#say(0, "warning", `unable to write to stdout: ${why}`),
    });
  }

  async #drain(): Promise<void> {
    this.#state = "draining";
    const { drain } = this.#options;
    const isEmpty = (await this.#server?.drain(drain === Infinity ? undefined : drain)) ?? true;
    if (this.#state === "draining") this.stop(isEmpty ? "leave" : "terminate");
  }

  #finish(exitCode: number): void {
    this.#state = "done";
    this.#server?.stop();
    this.#resolve(exitCode);
  }
}

/** The launch of the program of a connection to the socket on descriptor 0. */
export function tcpPreview(launch: Launch, program: readonly string[]): Launch {
  return previewLaunch(TCP, launch, program);
}

/** The reason why the socket on standard input cannot be served; undefined when it can. */
function problemOf(stdin: Fd, posix: Posix): string | undefined {
  if (!posix.isOpen(stdin) || !posix.isSocket(stdin)) return "stdin is not a socket";
  if (!isTcp(posix.getsockname(stdin))) return "stdin is not a TCP socket";
  return isListener(stdin, isTcp, posix) ? undefined : "stdin is not a listening socket";
}

function isTcp(address: SocketAddress): boolean {
  return TCP.local(address) !== undefined;
}

/** Make the sockets ours alone; the address of the first. */
function prepareListeners(listeners: readonly [Fd, ...Fd[]], posix: Posix): Endpoint {
  for (const fd of listeners) {
    posix.setCloseOnExec(fd, true);
    posix.setNonblocking(fd, true);
  }
  const local = TCP.local(posix.getsockname(listeners[0]));
  if (local === undefined) throw new TypeError("The first listener has changed its family");
  return local;
}
