/** The whole life of s6-tlsd-io and s6-tlsc-io: one tunnel, run by this process. */

import { exitCodeOf } from "../../chain/index.ts";
import type { Launch, LinkContext } from "../../chain/index.ts";
import { runTask } from "../../host/index.ts";
import { VariableError } from "../../net/index.ts";
import type { Fd, Identity, Posix } from "../../posix/index.ts";
import { MaterialFiles } from "../material/material-files.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { EngineChannel } from "../options/declarations.ts";
import { openUnder } from "../tunnel/network.ts";
import { openSide } from "../handshake/side.ts";
import type { EngineName, Loader } from "./tls-command.ts";
import { TlsConnection, tell } from "../tunnel/tls-connection.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { TunnelEnd } from "../tunnel/exit.ts";
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
  const { name, loader } = options;
  const { posix, clock, report } = context;
  try {
    const network = endsOf(launch, options.network, posix);
    const local = endsOf(launch, options.local, posix);
    const channel = options.channel && endOf(launch, options.channel.fd, posix);
    const identity = engineIdentity(launch.environment, posix);
    const configuration = loader.load(launch.environment, new MaterialFiles(posix));
    const side = openSide(configuration.side, clock);
    if (identity !== undefined) takeOn(identity, posix);
    const connection = { posix, clock, side, network, ...configuration.settings };
    const { exitCode, message } =
      options.channel?.kind === "control" && channel !== undefined
        ? await waitAndRelay(
            { ...connection, control: { socket: channel, local } },
            options,
            context,
          )
        : await relay({ ...connection, control: undefined }, local, channel);
    if (message !== undefined) report(name, "fatal", message);
    return exitCode;
  } catch (error) {
    if (error instanceof TlsMaterialError) {
      report(name, "fatal", error.message);
      return error.exitCode;
    }
    if (!(error instanceof VariableError) && !(error instanceof RangeError)) throw error;
    report(name, "fatal", error.message);
    return TUNNEL_EXIT.usage;
  }
}

type TlsConnectionOptions = ConstructorParameters<typeof TlsConnection>[0];

/** The handshake, a notification of whoever waits for it, and then the program. */
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
  { name, verbosity }: RunTunnelOptions,
  { report }: LinkContext,
): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    new TlsConnection(options, {
      decided(accepts) {
        if (verbosity < 2) return;
        report(name, "info", `the program ${accepts ? "accepted" : "declined"} opportunistic TLS`);
      },
      secured: () => undefined,
      ended: resolve,
    });
  });
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
