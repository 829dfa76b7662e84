/**
 * The engine: runs the tunnels of a server in a process of its own, which needs no right but to
 * use the descriptors that it is sent. It lives as long as the server or any of its programs does.
 */

import type { Clock } from "../../clock/index.ts";
import type { Resident, Stop } from "../../host/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import type { TlsSide } from "../handshake/handshake.ts";
import { needsTrust, openSide } from "../handshake/side.ts";
import { HandshakeTurns } from "../handshake/turns.ts";
import { TlsConnection } from "../tunnel/tls-connection.ts";
import type { TlsConnectionOptions } from "../tunnel/tls-connection.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { TunnelEnd } from "../tunnel/exit.ts";
import { Channel } from "./channel.ts";
import { formatGreeting, parseGreeting, PROTOCOL_VERSION } from "./greeting.ts";
import { formatMessage, parseRequest } from "./messages.ts";
import type { EngineConfiguration, OpenRequest, Reply } from "./messages.ts";

export interface EngineOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  /** The socket to the server, nonblocking. */
  readonly socket: Fd;
  /** A tunnel has failed: say so in the name of `speaker`. */
  failed(speaker: string, message: string): void;
  /** Handshakes were refused: how many, and whose. */
  refused(message: string): void;
}

interface Configured {
  readonly configuration: EngineConfiguration;
  readonly side: TlsSide;
}

/** A connection, and the configuration that it was opened with. */
interface Running {
  readonly connection: TlsConnection;
  readonly configured: Configured;
}

/** A program asks for TLS, and nobody is left to read the files that say whom to trust. */
const NO_TRUST: TunnelEnd = {
  exitCode: TUNNEL_EXIT.material,
  message: "unable to read CADIR or CAFILE again: the server has ended",
};

export class Engine implements Resident {
  readonly name = "ucspi-tls-engine";
  /** Resolves, with 0, when the server has ended and no tunnel is left. */
  readonly done: Promise<number>;
  readonly #options: EngineOptions;
  #channel: Channel | undefined;
  readonly #parts = new Map<number, Uint8Array[]>();
  readonly #configured = new Map<number, Configured>();
  readonly #connections = new Map<number, Running>();
  readonly #turns: HandshakeTurns;
  /** A server of another version, or none, is told our version and nothing more. */
  #state: "ungreeted" | "running" | "refused" = "ungreeted";
  #finish: (exitCode: number) => void = () => undefined;
  #isServerGone = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#turns = new HandshakeTurns({
      clock: options.clock,
      report: (text) => options.refused(text),
    });
    this.done = new Promise((resolve) => {
      this.#finish = (exitCode) => {
        this.#turns.close();
        resolve(exitCode);
      };
    });
  }

  /** Listen to the server. Throws SystemError when the socket cannot be watched. */
  start(): void {
    const { posix, socket } = this.#options;
    this.#channel = new Channel(posix, socket, {
      received: (bytes, fds) => this.#receive(bytes, fds),
      closed: () => this.#serverClosed(),
    });
    this.#channel.send(formatGreeting(PROTOCOL_VERSION));
  }

  /**
   * Part from the server. Its programs are served to their end, unless the engine is to terminate: a
   * tunnel cannot be left alone, for it lives here.
   */
  stop(how: Stop): void {
    this.#channel?.close();
    if (how === "leave" || how === "drain") return;
    for (const { connection } of this.#connections.values()) connection.abort();
    if (how === "kill") this.#finish(0);
  }

  #receive(bytes: Uint8Array, fds: readonly Fd[]): void {
    switch (this.#state) {
      case "ungreeted":
        this.#state = parseGreeting(bytes) === PROTOCOL_VERSION ? "running" : "refused";
        this.#closeAll(fds);
        break;
      case "running":
        this.#obey(bytes, fds);
        break;
      case "refused":
        this.#closeAll(fds);
        break;
    }
  }

  #obey(bytes: Uint8Array, fds: readonly Fd[]): void {
    const request = parseRequest(bytes);
    const { id } = request;
    switch (request.kind) {
      case "part":
        this.#keepPart(id, request.bytes);
        break;
      case "lastPart":
        this.#configure(id, this.#keepPart(id, request.bytes));
        break;
      case "forget":
        this.#configured.delete(id);
        break;
      case "open":
        this.#open(id, request.request, fds);
        break;
      case "secure":
        this.#connections.get(id)?.connection.secure(this.#find(request.configuration).side);
        break;
      case "relay":
        this.#relay(id, fds);
        break;
      case "abort":
        this.#connections.get(id)?.connection.abort();
        break;
      case "ping":
        this.#reply({ kind: "pong", id });
        break;
    }
  }

  #keepPart(id: number, bytes: Uint8Array): Uint8Array[] {
    const parts = [...(this.#parts.get(id) ?? []), bytes];
    this.#parts.set(id, parts);
    return parts;
  }

  #configure(id: number, parts: readonly Uint8Array[]): void {
    this.#parts.delete(id);
    const configuration = JSON.parse(Buffer.concat(parts).toString()) as EngineConfiguration;
    const side = openSide(configuration.side, this.#options.clock);
    this.#configured.set(id, { configuration, side });
  }

  #find(id: number): Configured {
    const configured = this.#configured.get(id);
    if (configured === undefined) throw new RangeError(`no configuration ${id}`);
    return configured;
  }

  #open(id: number, request: OpenRequest, fds: readonly Fd[]): void {
    const configured = this.#find(request.configuration);
    const { configuration, side } = configured;
    const given = endsOf(request, side, fds);
    if (given === undefined) {
      this.#closeAll(fds);
      this.#ended(id, this.#cannotReceive(), configuration.speaker);
      return;
    }
    const connection = new TlsConnection(
      {
        ...this.#options,
        ...configuration.settings,
        slot: this.#turns.slot(request.source, configuration.handshakes),
        ...given,
      },
      {
        decided: (accepts) => {
          if (accepts && this.#isServerGone) decideAlone({ connection, configured });
          else this.#reply({ kind: accepts ? "accepted" : "declined", id });
        },
        secured: (facts) => this.#reply({ kind: "secured", id, facts }),
        ended: (end) => this.#ended(id, end, configuration.speaker),
      },
    );
    this.#connections.set(id, { connection, configured });
  }

  #relay(id: number, fds: readonly Fd[]): void {
    const connection = this.#connections.get(id)?.connection;
    const [read, write] = fds;
    if (connection !== undefined && read !== undefined && write !== undefined) {
      connection.relay({ read, write });
      return;
    }
    this.#closeAll(fds);
    connection?.abort(this.#cannotReceive());
  }

  /** At the limit on open descriptors the kernel delivers a message without its descriptors. */
  #cannotReceive(): TunnelEnd {
    const why = this.#options.posix.strerror("EMFILE");
    return { exitCode: TUNNEL_EXIT.system, message: `unable to receive descriptors: ${why}` };
  }

  #closeAll(fds: readonly Fd[]): void {
    for (const fd of fds) this.#options.posix.close(fd);
  }

  #ended(id: number, { exitCode, message }: TunnelEnd, speaker: string): void {
    this.#connections.delete(id);
    if (message !== undefined) this.#options.failed(speaker, message);
    this.#reply({ kind: "ended", id, exitCode });
    this.#finishIfIdle();
  }

  #reply(reply: Reply): void {
    if (!this.#isServerGone) this.#channel?.send(formatMessage(reply));
  }

  /** Programs that are running are served to their end; others will not be. */
  #serverClosed(): void {
    this.#isServerGone = true;
    for (const running of this.#connections.values()) {
      if (!running.connection.hasProgram) running.connection.abort();
      else if (running.connection.isAsking) decideAlone(running);
    }
    this.#finishIfIdle();
  }

  #finishIfIdle(): void {
    if (this.#isServerGone && this.#connections.size === 0) this.#finish(0);
  }
}

/** The program asks for TLS, and the server has ended: keys may be those of before, but trust may not. */
function decideAlone({ connection, configured: { configuration, side } }: Running): void {
  if (needsTrust(configuration.side)) connection.abort(NO_TRUST);
  else connection.secure(side);
}

/** The uses of the descriptors of a new tunnel; undefined when some were lost on their way. */
function endsOf(
  { network, waitsForCommand }: OpenRequest,
  side: TlsSide,
  fds: readonly Fd[],
): Pick<TlsConnectionOptions, "network" | "beginning"> | undefined {
  const [read, write] = [fds[0], fds[network - 1]];
  if (read === undefined || write === undefined) return undefined;
  const ends = { read, write };
  if (!waitsForCommand) return { network: ends, beginning: { kind: "handshake", side } };
  const [socket, fromProgram, toProgram] = fds.slice(network);
  if (socket === undefined || fromProgram === undefined || toProgram === undefined)
    return undefined;
  const control = { socket, local: { read: fromProgram, write: toProgram } };
  return { network: ends, beginning: { kind: "offer", control } };
}
