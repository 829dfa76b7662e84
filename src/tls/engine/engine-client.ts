/**
 * A server's side of its TLS engine: starts it, makes configurations known, opens tunnels. An engine
 * that dies takes its tunnels along and nothing else; the next tunnel starts another.
 */

import type { Child, Fd, Posix } from "../../posix/index.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { Control } from "../tunnel/session.ts";
import { fdsOf } from "../tunnel/wire.ts";
import type { Ends } from "../tunnel/wire.ts";
import { Channel } from "./channel.ts";
import { configurationParts, formatMessage, parseReply } from "./messages.ts";
import type { EngineConfiguration, Reply, Request } from "./messages.ts";

/** What became of the handshake of a tunnel. */
export type Securing =
  | { readonly kind: "secured"; readonly facts: TlsFacts }
  | { readonly kind: "failed"; readonly exitCode: number };

/** A tunnel in the engine, as the server sees it. */
export interface RemoteTunnel {
  /** Has the program asked for TLS? Undefined where it was not asked, or nobody will ever know. */
  readonly decided: Promise<boolean | undefined>;
  readonly secured: Promise<Securing>;
  /** Never rejects. */
  readonly ended: Promise<void>;
  /** The program's pipes, which are the tunnel's from now on. */
  relay(local: Ends): void;
  abort(): void;
}

/** A process that runs an engine on the other end of this socket. */
export interface EngineProcess {
  readonly socket: Fd;
  readonly child: Child;
}

export interface EngineClientOptions {
  readonly posix: Posix;
  /** Make an engine; throws SystemError when there can be none. */
  start(): EngineProcess;
  /** An engine has ended, or was ended because it said something that makes no sense: `why`. */
  died(child: Child, why: string | undefined): void;
}

export class EngineClient {
  readonly #options: EngineClientOptions;
  #engine: RunningEngine | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  /** Start an engine now, rather than with the first tunnel. */
  start(): void {
    this.#running();
  }

  /**
   * Open a tunnel. All descriptors are its own from now on, and close-on-exec. Throws SystemError when
   * there is no engine and none can be had.
   */
  open(configuration: EngineConfiguration, network: Ends, control?: Control): RemoteTunnel {
    try {
      return this.#running().open(configuration, network, control);
    } catch (error) {
      const { posix } = this.#options;
      for (const fd of descriptorsOf(network, control)) posix.close(fd);
      throw error;
    }
  }

  #running(): RunningEngine {
    this.#engine?.check();
    if (this.#engine?.isAlive !== true) this.#engine = new RunningEngine(this.#options);
    return this.#engine;
  }
}

/** One process, from its start to its death. */
class RunningEngine {
  readonly #options: EngineClientOptions;
  readonly #child: Child;
  readonly #channel: Channel;
  readonly #configurations = new Map<EngineConfiguration, number>();
  readonly #tunnels = new Map<number, Tunnel>();
  #lastTunnel = 0;
  #lastConfiguration = 0;
  #isAlive = true;
  #why: string | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
    const { socket, child } = options.start();
    this.#child = child;
    this.#channel = new Channel(options.posix, socket, {
      received: (bytes, fds) => this.#receive(bytes, fds),
      closed: () => this.#died(),
    });
    this.#channel.listen(false);
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  check(): void {
    this.#channel.check();
  }

  open(configuration: EngineConfiguration, network: Ends, control?: Control): RemoteTunnel {
    const known = this.#configure(configuration);
    const id = this.#nextTunnel();
    const tunnel = new Tunnel({
      relay: ({ read, write }) => this.#send({ kind: "relay", id }, [read, write]),
      abort: () => this.#send({ kind: "abort", id }),
    });
    this.#tunnels.set(id, tunnel);
    this.#channel.listen(true);
    const request = {
      configuration: known,
      network: network.read === network.write ? 1 : 2,
      waitsForCommand: control !== undefined,
    } as const;
    this.#send({ kind: "open", id, request }, descriptorsOf(network, control));
    return tunnel;
  }

  /** The engine knows the last few configurations; one that comes back is told again. */
  #configure(configuration: EngineConfiguration): number {
    const known = this.#configurations.get(configuration);
    if (known !== undefined) return known;
    const [oldest] = this.#configurations;
    if (oldest !== undefined && this.#configurations.size >= CONFIGURATIONS_MAX) {
      this.#configurations.delete(oldest[0]);
      this.#send({ kind: "forget", id: oldest[1] });
    }
    const id = ++this.#lastConfiguration;
    this.#configurations.set(configuration, id);
    for (const part of configurationParts(id, configuration)) this.#send(part);
    return id;
  }

  /** A busy server gets round in some weeks, and a tunnel may live as long. */
  #nextTunnel(): number {
    do this.#lastTunnel = (this.#lastTunnel + 1) >>> 0;
    while (this.#tunnels.has(this.#lastTunnel));
    return this.#lastTunnel;
  }

  #send(request: Request, fds: readonly Fd[] = []): void {
    this.#channel.send(formatMessage(request), fds);
  }

  #receive(bytes: Uint8Array, fds: readonly Fd[]): void {
    for (const fd of fds) this.#options.posix.close(fd);
    try {
      this.#take(parseReply(bytes));
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof SyntaxError)) throw error;
      this.#why = error.message;
      this.#channel.close();
    }
  }

  #take(reply: Reply): void {
    const tunnel = this.#tunnels.get(reply.id);
    if (tunnel === undefined) throw new RangeError(`no tunnel ${reply.id}`);
    if (reply.kind === "ended") this.#tunnels.delete(reply.id);
    if (this.#tunnels.size === 0) this.#channel.listen(false);
    tunnel.take(reply);
  }

  #died(): void {
    this.#isAlive = false;
    this.#options.died(this.#child, this.#why);
    for (const [id, tunnel] of this.#tunnels) {
      tunnel.take({ kind: "ended", id, exitCode: TUNNEL_EXIT.system });
    }
    this.#tunnels.clear();
  }
}

/** How many configurations an engine keeps: rules may give each client its own. */
const CONFIGURATIONS_MAX = 64;

class Tunnel implements RemoteTunnel {
  readonly #deeds: Pick<RemoteTunnel, "relay" | "abort">;
  readonly decided: Promise<boolean | undefined>;
  readonly secured: Promise<Securing>;
  readonly ended: Promise<void>;
  #decide: (accepts: boolean | undefined) => void = () => undefined;
  #secure: (securing: Securing) => void = () => undefined;
  #end: () => void = () => undefined;

  constructor(deeds: Pick<RemoteTunnel, "relay" | "abort">) {
    this.#deeds = deeds;
    this.decided = new Promise((resolve) => (this.#decide = resolve));
    this.secured = new Promise((resolve) => (this.#secure = resolve));
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  relay(local: Ends): void {
    this.#deeds.relay(local);
  }

  abort(): void {
    this.#deeds.abort();
  }

  take(reply: Reply): void {
    switch (reply.kind) {
      case "accepted":
      case "declined":
        this.#decide(reply.kind === "accepted");
        break;
      case "secured":
        this.#secure({ kind: "secured", facts: reply.facts });
        break;
      case "ended":
        this.#decide(undefined);
        this.#secure({ kind: "failed", exitCode: reply.exitCode });
        this.#end();
        break;
    }
  }
}

function descriptorsOf(network: Ends, control?: Control): Fd[] {
  if (control === undefined) return fdsOf(network);
  return [...fdsOf(network), control.socket, control.local.read, control.local.write];
}
