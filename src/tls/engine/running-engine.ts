/**
 * One engine process as its server sees it, from its start to its end. It is trusted with nothing:
 * an invalid message, another version, or silence is the end of it, and of its tunnels.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import type { Child, Fd, Posix } from "../../posix/index.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { Control } from "../tunnel/tls-connection.ts";
import { fdsOf } from "../tunnel/wire.ts";
import type { Ends } from "../tunnel/wire.ts";
import { Channel } from "./channel.ts";
import { formatGreeting, parseGreeting, PROTOCOL_VERSION } from "./greeting.ts";
import { configurationParts, formatMessage, parseReply } from "./messages.ts";
import type { EngineConfiguration, Reply, Request } from "./messages.ts";
import { PendingTunnel } from "./remote-tunnel.ts";
import type { RemoteTunnel } from "./remote-tunnel.ts";

/** The number of configurations that an engine keeps: rules may give each client its own. */
const CONFIGURATIONS_MAX = 64;

/** The time beyond the limit of a handshake for which its server waits for a reply of the engine. */
export const HANDSHAKE_GRACE_MS = 2_000;

/** An engine that has tunnels is asked for a sign of life this often. */
export const PING_MS = 10_000;

/**
 * So many pings in a row may be unanswered. They are counted, rather than the time since the last answer:
 * where a whole container is frozen and goes on, the server's timer may fire before the engine can answer.
 */
export const PINGS_MAX = 2;

/** A process that runs an engine on the other end of this socket. */
export interface EngineProcess {
  readonly socket: Fd;
  readonly child: Child;
}

/** A tunnel that is to be opened. */
export interface NewTunnel {
  readonly network: Ends;
  /** For UCSPI-TLS. */
  readonly control?: Control;
  /** By what its handshake is counted: the peer's address, for one. */
  readonly source: string;
}

export interface RunningEngineOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  /** The engine is of no use, which its tunnels have been told: why, for the log. It is to be killed. */
  gaveUp(child: Child, why: string): void;
  /** A handshake has failed: say so in the name of `speaker`. */
  failed(speaker: string, message: string): void;
}

export class RunningEngine {
  readonly #options: RunningEngineOptions;
  readonly #child: Child;
  readonly #channel: Channel;
  readonly #ended: () => void;
  readonly #configurations = new Map<EngineConfiguration, number>();
  readonly #tunnels = new Map<number, PendingTunnel>();
  #state: "ungreeted" | "running" | "ended" = "ungreeted";
  #lastTunnel = 0;
  #lastConfiguration = 0;
  #pingTimer: Timer | undefined;
  #pingsUnanswered = 0;

  /** `ended` is told once, when there is no use of it any more. */
  constructor({ socket, child }: EngineProcess, options: RunningEngineOptions, ended: () => void) {
    this.#options = options;
    this.#child = child;
    this.#ended = ended;
    this.#channel = new Channel(options.posix, socket, {
      received: (bytes, fds) => this.#receive(bytes, fds),
      closed: () => this.#end(TUNNEL_EXIT.system),
    });
    this.#channel.keepAlive(false);
    this.#channel.send(formatGreeting(PROTOCOL_VERSION));
  }

  /** Is there still something to be expected from it? */
  get isAlive(): boolean {
    return this.#state !== "ended";
  }

  /** Notice an end that the event loop has not told of yet. */
  check(): void {
    this.#channel.check();
  }

  /** All descriptors are the engine's from now on. The tunnel of an engine that has ended has, too. */
  open(configuration: EngineConfiguration, opened: NewTunnel): RemoteTunnel {
    const { network, control, source } = opened;
    const id = this.#nextTunnel();
    const tunnel = new PendingTunnel({
      secure: (now) => this.#secure(id, now),
      relay: ({ read, write }) => this.#send({ kind: "relay", id }, [read, write]),
      abort: () => this.#send({ kind: "abort", id }),
    });
    const descriptors = descriptorsOf(opened);
    if (!this.isAlive) {
      for (const fd of descriptors) this.#options.posix.close(fd);
      tunnel.end(TUNNEL_EXIT.system);
      return tunnel;
    }
    // From here on it ends with the engine, which may turn out to be gone with the first message.
    this.#tunnels.set(id, tunnel);
    this.#channel.keepAlive(true);
    this.#pingTimer ??= this.#setPingTimer();
    const request = {
      configuration: this.#configure(configuration),
      network: network.read === network.write ? 1 : 2,
      waitsForCommand: control !== undefined,
      source,
    } as const;
    if (control === undefined) this.#limitHandshake(tunnel, configuration);
    this.#send({ kind: "open", id, request }, descriptors);
    return tunnel;
  }

  /** An engine that does not run cannot keep to the limit that it was given. */
  #limitHandshake(tunnel: PendingTunnel, { settings, speaker }: EngineConfiguration): void {
    const { handshakeTimeoutMs, tellsTimeout } = settings;
    if (handshakeTimeoutMs === undefined) return;
    const timer = this.#options.clock.setTimer(handshakeTimeoutMs + HANDSHAKE_GRACE_MS, () => {
      if (tellsTimeout) this.#options.failed(speaker, "handshake timed out");
      tunnel.failHandshake(TUNNEL_EXIT.tls);
      tunnel.abort();
    });
    void tunnel.secured.then(() => timer.cancel());
  }

  /** The tunnel may have ended meanwhile, with the engine or without it. */
  #secure(id: number, configuration: EngineConfiguration): void {
    if (!this.#tunnels.has(id)) return;
    this.#send({ kind: "secure", id, configuration: this.#configure(configuration) });
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

  /** A busy server uses all numbers up in some weeks, and a tunnel may live as long. */
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
    this.#pingsUnanswered = 0;
    if (this.#state === "ungreeted") {
      this.#greet(parseGreeting(bytes));
      return;
    }
    try {
      this.#take(parseReply(bytes));
    } catch (error) {
      if (!(error instanceof RangeError) && !(error instanceof SyntaxError)) throw error;
      this.#giveUp(`it sent an invalid message: ${error.message}`, TUNNEL_EXIT.system);
    }
  }

  #greet(version: number | undefined): void {
    if (version === PROTOCOL_VERSION) {
      this.#state = "running";
    } else if (version === undefined) {
      this.#giveUp("it sent an invalid message: not a greeting", TUNNEL_EXIT.system);
    } else {
      const versions = `it speaks version ${version} of the protocol, and this server ${PROTOCOL_VERSION}`;
      this.#giveUp(
        `${versions}: the installed package was replaced, restart the server`,
        TUNNEL_EXIT.engine,
      );
    }
  }

  #take(reply: Reply): void {
    if (reply.kind === "pong") return;
    const tunnel = this.#tunnels.get(reply.id);
    if (tunnel === undefined) throw new RangeError(`no tunnel ${reply.id}`);
    if (reply.kind === "ended") this.#forget(reply.id);
    tunnel.take(reply);
  }

  #forget(id: number): void {
    this.#tunnels.delete(id);
    if (this.#tunnels.size > 0) return;
    this.#channel.keepAlive(false);
    this.#stopPinging();
  }

  #setPingTimer(): Timer {
    return this.#options.clock.setTimer(PING_MS, () => this.#ping());
  }

  #ping(): void {
    if (this.#pingsUnanswered >= PINGS_MAX) {
      const seconds = (PINGS_MAX * PING_MS) / 1000;
      this.#giveUp(`it has not answered for ${seconds} seconds`, TUNNEL_EXIT.system);
      return;
    }
    this.#pingsUnanswered += 1;
    this.#send({ kind: "ping", id: 0 });
    this.#pingTimer = this.#setPingTimer();
  }

  #stopPinging(): void {
    this.#pingTimer?.cancel();
    this.#pingTimer = undefined;
    this.#pingsUnanswered = 0;
  }

  #giveUp(why: string, exitCode: number): void {
    this.#options.gaveUp(this.#child, why);
    this.#end(exitCode);
    this.#channel.close();
  }

  #end(exitCode: number): void {
    if (this.#state === "ended") return;
    this.#state = "ended";
    this.#stopPinging();
    this.#ended();
    for (const tunnel of this.#tunnels.values()) tunnel.end(exitCode);
    this.#tunnels.clear();
  }
}

/** All descriptors that a new tunnel takes over. */
export function descriptorsOf({ network, control }: NewTunnel): Fd[] {
  if (control === undefined) return fdsOf(network);
  return [...fdsOf(network), control.socket, control.local.read, control.local.write];
}
