/**
 * TLS for the program of a connection that a server is making a process for: the tunnel is run
 * by the server's engine, and the process gets the pipes to it.
 */

import {
  closeEach,
  end,
  EXIT,
  goOn,
  withCompanion,
  withDescriptors,
  withEnvironment,
} from "../../chain/index.ts";
import type { Companion, Launch, LinkContext, Outcome } from "../../chain/index.ts";
import { VariableError } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { decideAboutPeer } from "./peer-admission.ts";
import type { EngineClient } from "../engine/engine-client.ts";
import type { RemoteTunnel } from "../engine/remote-tunnel.ts";
import type { EngineConfiguration } from "../engine/messages.ts";
import { engineFor } from "../engine/start.ts";
import { tlsEdits } from "../handshake/facts.ts";
import { sourceOf } from "../handshake/source.ts";
import { TlsMaterialError, UnsetVariable } from "../material/material-error.ts";
import { findNetwork } from "./tls-command.ts";
import type { TlsCommand } from "./tls-command.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import { openPipes, orClose } from "../tunnel/pipes.ts";
import { controlEdits, controlNumbers, tellDecision } from "./ucspi-tls.ts";
import { engineIdentity, privateEdits } from "./variables.ts";
import { fdsOf } from "../tunnel/wire.ts";
import type { Ends } from "../tunnel/wire.ts";

/** Everything that is needed to open tunnels for one environment. */
interface EngineUse {
  readonly engine: EngineClient;
  readonly configuration: EngineConfiguration;
}

/**
 * Start the engine and read the files before the first connection. Variables that are not set may be
 * set for each connection; files that are named and cannot be used never can.
 */
export function prepareEngine(
  launch: Launch,
  command: TlsCommand,
  context: LinkContext,
): Promise<number | undefined> {
  try {
    const use = findEngineUse(launch, command, context);
    use.engine.start();
    return Promise.resolve(undefined);
  } catch (error) {
    if (error instanceof UnsetVariable) return Promise.resolve(undefined);
    return Promise.resolve(reportNoEngine(error, command, context));
  }
}

/** Do the handshake, and go on with a launch that has the tunnel in place of the network. */
export async function secureByEngine(
  launch: Launch,
  program: readonly string[],
  command: TlsCommand,
  context: LinkContext,
): Promise<Outcome> {
  const use = engineToUse(launch, command, context);
  if (typeof use === "number") return end(use);
  const network = findNetwork(launch, command, context);
  if (network === undefined) return end(EXIT.system);
  const { engine, configuration } = use;
  const { posix } = context;
  const tunnel = engine.open(configuration, {
    network: copyOf(network, posix),
    source: sourceOf(launch.environment),
  });
  const securing = await tunnel.secured;
  if (securing.kind === "failed") return end(securing.exitCode);
  const { facts } = securing;
  const admission = decideAboutPeer(facts.peer, command, context);
  if (admission.kind === "refuse") {
    tunnel.abort();
    return end(admission.exitCode);
  }
  const edits = [
    ...privateEdits(launch.environment, command),
    ...tlsEdits(facts),
    ...admission.edits,
  ];
  const argv = admission.words ?? program;
  const secured = { ...withEnvironment(launch, edits), argv };
  return goOn(attach(secured, tunnel, command, posix));
}

/** Let the program start TLS when it likes to (networking.md, section 16). */
export function offerByEngine(
  launch: Launch,
  program: readonly string[],
  command: TlsCommand,
  context: LinkContext,
): Outcome {
  const use = engineToUse(launch, command, context);
  if (typeof use === "number") return end(use);
  const network = findNetwork(launch, command, context);
  if (network === undefined) return end(EXIT.system);
  const { posix } = context;
  const source = sourceOf(launch.environment);
  const { tunnel, control, program: pipes } = openOffer(network, { ...use, source }, posix);
  const numbers = controlNumbers(launch, posix);
  const offered = withEnvironment(
    withDescriptors(launch, [
      [numbers.control, control],
      [numbers.read, pipes.read],
      [numbers.write, pipes.write],
    ]),
    [...privateEdits(launch.environment, command), ...controlEdits(numbers)],
  );
  void answerRequest(tunnel, launch, command, context);
  const mine = [control, pipes.read, pipes.write];
  const companion = companionFor(tunnel, mine, posix, (pid) => {
    void tunnel.decided.then((accepts) => tellDecision(accepts, pid, command, context));
  });
  return goOn(withCompanion({ ...offered, argv: program }, companion));
}

/** A program that asks for TLS gets it with the keys, certificates and trust of then, or not at all. Never rejects. */
async function answerRequest(
  tunnel: RemoteTunnel,
  { environment }: Launch,
  command: TlsCommand,
  context: LinkContext,
): Promise<void> {
  if ((await tunnel.decided) !== true) return;
  try {
    tunnel.secure(command.configurations.current(environment));
  } catch (error) {
    tunnel.abort();
    reportRefusal(error, command, context);
  }
}

/** An error of another kind costs this one connection, too. */
function reportRefusal(error: unknown, { engine }: TlsCommand, { report }: LinkContext): void {
  const why =
    error instanceof TlsMaterialError ? error.message : `internal error: ${String(error)}`;
  report(engine, "fatal", why);
}

/** The descriptors of a program that may ask for TLS, and the tunnel that has their other ends. */
interface Offer {
  readonly tunnel: RemoteTunnel;
  readonly control: Fd;
  readonly program: Ends;
}

/** Throws SystemError. */
function openOffer(open: Ends, use: EngineUse & { source: string }, posix: Posix): Offer {
  const { engine, configuration, source } = use;
  const network = copyOf(open, posix);
  const { program, engine: local } = orClose(posix, fdsOf(network), () => openPipes(posix));
  const opened = [network, program, local].flatMap(fdsOf);
  const [socket, control] = orClose(posix, opened, () => posix.socketPair("stream"));
  const tunnel = orClose(posix, [control, ...fdsOf(program)], () =>
    engine.open(configuration, { network, control: { socket, local }, source }),
  );
  return { tunnel, control, program };
}

/** The engine and what it needs to know; the exit code, with the reason reported, if there is no way. */
function engineToUse(
  launch: Launch,
  command: TlsCommand,
  context: LinkContext,
): EngineUse | number {
  try {
    return findEngineUse(launch, command, context);
  } catch (error) {
    return reportNoEngine(error, command, context);
  }
}

/** Throws TlsMaterialError and VariableError. */
function findEngineUse(
  launch: Launch,
  { configurations }: TlsCommand,
  context: LinkContext,
): EngineUse {
  const identity = engineIdentity(launch.environment, context.posix);
  const configuration = configurations.current(launch.environment);
  return { engine: engineFor(identity, launch, context), configuration };
}

/** The exit code where there is no engine or nothing to tell it. Errors of any other kind are thrown on. */
function reportNoEngine(
  error: unknown,
  { name, engine }: TlsCommand,
  { report }: LinkContext,
): number {
  if (error instanceof TlsMaterialError) {
    report(engine, "fatal", error.message);
    return error.exitCode;
  }
  if (error instanceof SystemError) {
    report(name, "fatal", `unable to start the TLS engine: ${error.message}`);
    return TUNNEL_EXIT.system;
  }
  if (!(error instanceof VariableError)) throw error;
  report(name, "fatal", error.message);
  return TUNNEL_EXIT.usage;
}

/** Put the tunnel in place of the network. */
function attach(launch: Launch, tunnel: RemoteTunnel, { ends }: TlsCommand, posix: Posix): Launch {
  try {
    const { engine, program } = openPipes(posix);
    tunnel.relay(engine);
    const attached = withDescriptors(launch, [
      [ends.read, program.read],
      [ends.write, program.write],
    ]);
    return withCompanion(attached, companionFor(tunnel, [program.read, program.write], posix));
  } catch (error) {
    tunnel.abort();
    throw error;
  }
}

function companionFor(
  tunnel: RemoteTunnel,
  fds: readonly Fd[],
  posix: Posix,
  born?: (pid: number) => void,
): Companion {
  return {
    release(pid) {
      try {
        closeEach(fds, posix);
      } finally {
        if (pid !== undefined) born?.(pid);
      }
    },
    abort: () => tunnel.abort(),
    ended: tunnel.ended,
  };
}

function copyOf({ read, write }: Ends, posix: Posix): Ends {
  const copy = posix.dup(read);
  if (write === read) return { read: copy, write: copy };
  return { read: copy, write: orClose(posix, [copy], () => posix.dup(write)) };
}
