/** The whole life of s6-tlsd-io and s6-tlsc-io: one tunnel, conducted by this process. */

import type { Launch, LinkContext } from "../../chain/index.ts";
import { VariableError } from "../../net/index.ts";
import type { Fd, Identity, Posix } from "../../posix/index.ts";
import { MaterialFiles } from "../material/material-files.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { EngineChannel } from "../options/declarations.ts";
import { openUnder } from "../tunnel/network.ts";
import { openParty } from "../handshake/party.ts";
import type { EngineName, Loader } from "./plan.ts";
import { Session, tell } from "../tunnel/session.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import type { TunnelEnd } from "../tunnel/exit.ts";
import { engineIdentity } from "./variables.ts";
import type { Ends } from "../tunnel/wire.ts";

export interface ConductOptions {
  readonly name: EngineName;
  readonly loader: Loader;
  readonly channel: EngineChannel | undefined;
  readonly verbosity: number;
  /** The numbers of the descriptors, as the command line has them. */
  readonly network: { readonly read: number; readonly write: number };
  readonly local: { readonly read: number; readonly write: number };
}

/** The exit code (networking.md, section 14.3). */
export async function conduct(
  launch: Launch,
  options: ConductOptions,
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
    const party = openParty(configuration.party, clock);
    if (identity !== undefined) takeOn(identity, posix);
    const session = { posix, clock, party, network, ...configuration.settings };
    const { exitCode, message } =
      options.channel?.kind === "control" && channel !== undefined
        ? await waitAndRelay({ ...session, control: { socket: channel, local } }, options, context)
        : await relay({ ...session, control: undefined }, local, channel);
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

type SessionOptions = ConstructorParameters<typeof Session>[0];

/** The handshake, a word about it to whoever waits, and then the program's turn. */
function relay(options: SessionOptions, local: Ends, teller: Fd | undefined): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    const session = new Session(options, {
      secured(facts) {
        if (teller !== undefined) tell(options.posix, teller, facts);
        session.relay(local);
      },
      ended: resolve,
    });
  });
}

/** The same when the program of UCSPI-TLS says so, whose pid is that of our parent. */
function waitAndRelay(
  options: SessionOptions,
  { name, verbosity }: ConductOptions,
  { report }: LinkContext,
): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    new Session(options, {
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
