/** The whole life of s6-tlsd-io and s6-tlsc-io: one tunnel, run by this process. */

import { exitCodeOf } from "../../chain/index.ts";
import type { Environment, Launch, LinkContext } from "../../chain/index.ts";
import type { Clock } from "../../clock/index.ts";
import { runTask } from "../../host/index.ts";
import { VariableError } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Identity, Posix } from "../../posix/index.ts";
import { Configurations } from "../engine/configurations.ts";
import type { EngineConfiguration } from "../engine/messages.ts";
import type { TlsSide } from "../handshake/handshake.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { EngineChannel } from "../options/declarations.ts";
import { openUnder } from "../tunnel/network.ts";
import { openSide } from "../handshake/side.ts";
import type { EngineName, Loader } from "./tls-command.ts";
import { TlsConnection, tell } from "../tunnel/tls-connection.ts";
import type { TlsConnectionOptions } from "../tunnel/tls-connection.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { TunnelEnd } from "../tunnel/exit.ts";
import type { TunnelSettings } from "../tunnel/tunnel.ts";
import { engineIdentity } from "./variables.ts";
import type { Ends } from "../tunnel/wire.ts";

export interface RunTunnelOptions {
  readonly name: EngineName;
  readonly loader: Loader;
  readonly channel: EngineChannel | undefined;
  readonly verbosity: number;
  /** The numbers of the descriptors, as the command line has them. */
  readonly network: { readonly read: number; readonly write: number };
  readonly local: { readonly read: number; readonly write: number };
}

/** The exit code (networking.md, section 14.3). */
export async function runTunnel(
  launch: Launch,
  options: RunTunnelOptions,
  context: LinkContext,
): Promise<number> {
  const ended = await runTask(context.host, options.name, (faces) =>
    openAndRelay(launch, options, { ...context, ...faces }),
  );
  return exitCodeOf(ended);
}

async function openAndRelay(
  launch: Launch,
  options: RunTunnelOptions,
  context: LinkContext,
): Promise<number> {
  const { exitCode, message } = await orFailure(() => openTunnel(launch, options, context));
  if (message !== undefined) context.report(options.name, "fatal", message);
  return exitCode;
}

/** Its end, or why there is none. */
async function orFailure(run: () => Promise<TunnelEnd>): Promise<TunnelEnd> {
  try {
    return await run();
  } catch (error) {
    return failureOf(error);
  }
}

/** Throws what is no fault of the files, the variables, the descriptors or the system. */
function failureOf(error: unknown): TunnelEnd {
  if (error instanceof TlsMaterialError) {
    return { exitCode: error.exitCode, message: error.message };
  }
  if (error instanceof SystemError) {
    return { exitCode: TUNNEL_EXIT.system, message: error.message };
  }
  if (!(error instanceof VariableError) && !(error instanceof RangeError)) throw error;
  return { exitCode: TUNNEL_EXIT.usage, message: error.message };
}

/** Everything is read with the rights that we were given, and the identity of the engine taken on after that. */
function openTunnel(
  launch: Launch,
  options: RunTunnelOptions,
  context: LinkContext,
): Promise<TunnelEnd> {
  const { posix, clock } = context;
  const network = endsOf(launch, options.network, posix);
  const local = endsOf(launch, options.local, posix);
  const channel = options.channel && endOf(launch, options.channel.fd, posix);
  const identity = engineIdentity(launch.environment, posix);
  const material = new TunnelMaterial(launch.environment, options.loader, context);
  const { settings, side } = material;
  const connection = { posix, clock, network, ...settings };
  if (options.channel?.kind === "control" && channel !== undefined) {
    const beginning = { kind: "offer", control: { socket: channel, local } } as const;
    const sideNow = (): TlsSide => {
      const now = material.sideNow();
      if (identity !== undefined) takeOn(identity, posix);
      return now;
    };
    return waitAndRelay({ ...connection, beginning }, sideNow, options, context);
  }
  if (identity !== undefined) takeOn(identity, posix);
  return relay({ ...connection, beginning: { kind: "handshake", side } }, local, channel);
}

/** The files of one tunnel: as they are at its start, and when its program asks for TLS. */
class TunnelMaterial {
  readonly settings: TunnelSettings;
  readonly side: TlsSide;
  readonly #environment: Environment;
  readonly #clock: Clock;
  readonly #configurations: Configurations;
  readonly #configuration: EngineConfiguration;
  readonly #loader: Loader;
  /** What is odd about the files of now. */
  readonly #warnings: string[] = [];

  /** Throws TlsMaterialError for files of no use. */
  constructor(environment: Environment, loader: Loader, { posix, clock }: LinkContext) {
    this.#environment = environment;
    this.#clock = clock;
    this.#loader = loader;
    const warn = (text: string): number => this.#warnings.push(text);
    this.#configurations = new Configurations({ ...loader, posix, clock, hasNames: true, warn });
    this.#configuration = this.#configurations.current(environment);
    this.settings = this.#configuration.settings;
    this.side = openSide(this.#configuration.side, clock);
  }

  /** Throws TlsMaterialError, which says it all, where nobody is to be trusted any more. */
  sideNow(): TlsSide {
    const now = this.#configurations.current(this.#environment);
    for (const text of this.#warnings.splice(0)) this.#loader.warn(text);
    return now === this.#configuration ? this.side : openSide(now.side, this.#clock);
  }
}

/** The handshake, a notification if one is asked for, and then the program. */
function relay(
  options: TlsConnectionOptions,
  local: Ends,
  teller: Fd | undefined,
): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    const connection = new TlsConnection(options, {
      secured(facts) {
        if (teller !== undefined) tell(options.posix, teller, facts);
        connection.relay(local);
      },
      ended: resolve,
    });
  });
}

/** The same when the program of UCSPI-TLS says so, whose pid is that of our parent. */
function waitAndRelay(
  options: TlsConnectionOptions,
  sideNow: () => TlsSide,
  { name, verbosity }: RunTunnelOptions,
  { report }: LinkContext,
): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    const connection = new TlsConnection(options, {
      decided(accepts) {
        const decision = accepts ? "accepted" : "declined";
        if (verbosity >= 2) report(name, "info", `the program ${decision} opportunistic TLS`);
        if (accepts) answer(connection, sideNow);
      },
      secured: () => undefined,
      ended: resolve,
    });
  });
}

/** The program has asked for TLS, which it gets with the files of now, or not at all. */
function answer(connection: TlsConnection, sideNow: () => TlsSide): void {
  try {
    connection.secure(sideNow());
  } catch (error) {
    connection.abort(failureOf(error));
  }
}

function endsOf(
  launch: Launch,
  { read, write }: { readonly read: number; readonly write: number },
  posix: Posix,
): Ends {
  return { read: endOf(launch, read, posix), write: endOf(launch, write, posix) };
}

/** Throws RangeError for a descriptor that is not open. */
function endOf(launch: Launch, number: number, posix: Posix): Fd {
  const fd = openUnder(launch, number, posix);
  if (fd !== undefined) return fd;
  throw new RangeError(`descriptor ${number} is not open`);
}

function takeOn({ groups, gid, uid }: Identity, posix: Posix): void {
  if (groups !== undefined) posix.setgroups(groups);
  if (gid !== undefined) posix.setgid(gid);
  if (uid !== undefined) posix.setuid(uid);
}
