/**
 * The engine: conducts the tunnels of a server in a process of its own, which needs no right but to
 * use the descriptors that it is sent. It lives as long as the server or any of its programs does.
 */

import type { Clock } from "../../clock/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { openParty } from "../party.ts";
import { Session } from "../session.ts";
import type { Control } from "../session.ts";
import type { TlsParty, TunnelEnd } from "../tunnel.ts";
import { Channel } from "./channel.ts";
import { formatMessage, parseRequest } from "./messages.ts";
import type { EngineConfiguration, OpenRequest, Reply } from "./messages.ts";

export interface EngineOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  /** The socket to the server, nonblocking. */
  readonly socket: Fd;
  /** A tunnel has failed: say so in the name of `speaker`. */
  failed(speaker: string, message: string): void;
}

interface Configured {
  readonly configuration: EngineConfiguration;
  readonly party: TlsParty;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #channel: Channel;
  readonly #parts = new Map<number, Uint8Array[]>();
  readonly #configured = new Map<number, Configured>();
  readonly #sessions = new Map<number, Session>();
  readonly #done: Promise<void>;
  #finish: () => void = () => undefined;
  #isServerGone = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#done = new Promise((resolve) => (this.#finish = resolve));
    this.#channel = new Channel(options.posix, options.socket, {
      received: (bytes, fds) => this.#receive(bytes, fds),
      closed: () => this.#serverClosed(),
    });
  }

  /** Resolves when the server is gone and nobody is left to work for. */
  get done(): Promise<void> {
    return this.#done;
  }

  #receive(bytes: Uint8Array, fds: readonly Fd[]): void {
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
      case "relay":
        this.#relay(id, fds);
        break;
      case "abort":
        this.#sessions.get(id)?.abort();
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
    const party = openParty(configuration.party, this.#options.clock);
    this.#configured.set(id, { configuration, party });
  }

  #open(id: number, request: OpenRequest, fds: readonly Fd[]): void {
    const configured = this.#configured.get(request.configuration);
    const [read, ...rest] = fds;
    if (configured === undefined || read === undefined) {
      throw new RangeError(`a tunnel that makes no sense: ${JSON.stringify(request)}`);
    }
    const write = request.network === 2 ? (rest.shift() ?? read) : read;
    const { configuration, party } = configured;
    const session = new Session(
      {
        ...this.#options,
        ...configuration.settings,
        party,
        network: { read, write },
        control: request.waitsForCommand ? controlOf(rest) : undefined,
      },
      {
        decided: (accepts) => this.#reply({ kind: accepts ? "accepted" : "declined", id }),
        secured: (facts) => this.#reply({ kind: "secured", id, facts }),
        ended: (end) => this.#ended(id, end, configuration.speaker),
      },
    );
    this.#sessions.set(id, session);
  }

  #relay(id: number, [read, write]: readonly Fd[]): void {
    if (read === undefined || write === undefined) throw new RangeError("a relay of nothing");
    const session = this.#sessions.get(id);
    if (session !== undefined) {
      session.relay({ read, write });
      return;
    }
    this.#options.posix.close(read);
    this.#options.posix.close(write);
  }

  #ended(id: number, { exitCode, message }: TunnelEnd, speaker: string): void {
    this.#sessions.delete(id);
    if (message !== undefined) this.#options.failed(speaker, message);
    this.#reply({ kind: "ended", id, exitCode });
    this.#finishIfIdle();
  }

  #reply(reply: Reply): void {
    if (!this.#isServerGone) this.#channel.send(formatMessage(reply));
  }

  /** Programs that are running are served to their end; others will not be. */
  #serverClosed(): void {
    this.#isServerGone = true;
    for (const session of this.#sessions.values()) {
      if (!session.hasProgram) session.abort();
    }
    this.#finishIfIdle();
  }

  #finishIfIdle(): void {
    if (this.#isServerGone && this.#sessions.size === 0) this.#finish();
  }
}

function controlOf([socket, read, write]: readonly Fd[]): Control {
  if (socket === undefined || read === undefined || write === undefined) {
    throw new RangeError("a control socket without a program");
  }
  return { socket, local: { read, write } };
}
