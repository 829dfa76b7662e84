/**
 * TLS for a program that this process is about to become: a child runs the tunnel (networking.md,
 * sections 15 and 16), for nothing of this process will be left to do it.
 */

import {
  candidateFiles,
  end,
  EXIT,
  goOn,
  Spawner,
  withDescriptors,
  withEnvironment,
} from "../../chain/index.ts";
import type { Launch, LinkContext, Outcome, Source } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix, WaitStatus } from "../../posix/index.ts";
import { parseTlsBlock, TLS_BLOCK_BYTES_MAX } from "../handshake/block.ts";
import { decideAboutPeer } from "./peer-admission.ts";
import { peerOf } from "../handshake/facts.ts";
import type { EngineChannel } from "../options/declarations.ts";
import { openPipes } from "../tunnel/pipes.ts";
import { findNetwork } from "./tls-command.ts";
import type { TlsCommand } from "./tls-command.ts";
import { controlEdits, controlNumbers, freeNumbers } from "./ucspi-tls.ts";
import { privateEdits } from "./variables.ts";
import type { Ends } from "../tunnel/wire.ts";

/** Have a child do the handshake, and go on with its tunnel in place of the network. */
export async function secureByChild(
  launch: Launch,
  program: readonly string[],
  command: TlsCommand,
  context: LinkContext,
): Promise<Outcome> {
  const { posix } = context;
  if (findNetwork(launch, command, context) === undefined) return end(EXIT.system);
  const pipes = openPipes(posix);
  const [told, teller] = posix.pipe();
  const child = await startChild(launch, command, context, {
    local: pipes.engine,
    channel: teller,
    kind: "notification",
  });
  if (typeof child === "number") return end(child);
  const edits = await readBlock(posix, told);
  posix.close(told);
  if (edits === undefined) {
    posix.close(pipes.program.read);
    posix.close(pipes.program.write);
    return end(exitCodeOf(await child.ended));
  }
  child.release();
  const secured = withEnvironment(launch, [...privateEdits(launch.environment, command), ...edits]);
  // Of this connection, not what the environment says of another.
  const peer = peerOf((name) => edits.find((edit) => edit.name === name)?.value);
  const admission = decideAboutPeer(peer, command, context);
  if (admission.kind === "refuse") return end(admission.exitCode);
  const attached = withDescriptors(secured, [
    [command.ends.read, pipes.program.read],
    [command.ends.write, pipes.program.write],
  ]);
  return goOn({ ...withEnvironment(attached, admission.edits), argv: admission.words ?? program });
}

/** Have a child wait for the program to start TLS when it likes to. */
export async function offerByChild(
  launch: Launch,
  program: readonly string[],
  command: TlsCommand,
  context: LinkContext,
): Promise<Outcome> {
  const { posix } = context;
  if (findNetwork(launch, command, context) === undefined) return end(EXIT.system);
  const pipes = openPipes(posix);
  const [ours, theirs] = posix.socketPair("stream");
  const child = await startChild(launch, command, context, {
    local: pipes.engine,
    channel: ours,
    kind: "control",
  });
  if (typeof child === "number") return end(child);
  const failure = await Promise.race([child.executed, child.ended]);
  if (failure !== undefined) return end(exitCodeOf(failure));
  child.release();
  const numbers = controlNumbers(launch, posix);
  const offered = withDescriptors(launch, [
    [numbers.control, theirs],
    [numbers.read, pipes.program.read],
    [numbers.write, pipes.program.write],
  ]);
  const edits = [...privateEdits(launch.environment, command), ...controlEdits(numbers)];
  return goOn({ ...withEnvironment(offered, edits), argv: program });
}

/** What a child gets besides the network. */
interface ChildEnds {
  /** Its ends of the pipes of the program. */
  readonly local: Ends;
  readonly channel: Fd;
  readonly kind: EngineChannel["kind"];
}

/** The engine of one tunnel, which outlives us unless it fails. */
interface EngineChild {
  readonly executed: Promise<undefined>;
  /** With what, in place of it, this process is to end. */
  readonly ended: Promise<WaitStatus>;
  /** Leave it alone from now on. */
  release(): void;
}

/** Start the engine of this one tunnel, and close our copies of its ends. The exit code if it fails. */
async function startChild(
  launch: Launch,
  command: TlsCommand,
  context: LinkContext,
  ends: ChildEnds,
): Promise<EngineChild | number> {
  const { posix } = context;
  const { channel, operands, descriptors } = layOut(command, ends);
  const words = [...command.engineWords(channel), "--", ...operands.map(String)];
  const file = engineFile(launch, command, context, channel);
  const spawner = new Spawner(command.name, { ...context, isBecoming: false });
  const argv = [file, ...words];
  const result = await spawner.spawn({ ...withDescriptors(launch, descriptors), argv });
  for (const fd of [ends.local.read, ends.local.write, ends.channel]) posix.close(fd);
  if (result.kind === "ended") return result.exitCode;
  if (result.kind === "failed") return reportFailure(result.error, file, command, context);
  let hearOfExec = (): void => undefined;
  const executed = new Promise<undefined>((resolve) => {
    hearOfExec = () => resolve(undefined);
  });
  const ended = new Promise<WaitStatus>((resolve) => {
    spawner.follow(result, {
      executed: hearOfExec,
      ended: (end) => resolve(statusOf(end, file, command, context)),
    });
  });
  return { executed, ended, release: () => context.children.release(result.child) };
}

function statusOf(
  end: WaitStatus | SystemError,
  file: string,
  command: TlsCommand,
  context: LinkContext,
): WaitStatus {
  if (!(end instanceof SystemError)) return end;
  return { kind: "exited", exitCode: reportFailure(end, file, command, context) };
}

function reportFailure(
  error: SystemError,
  file: string,
  { name }: TlsCommand,
  { report }: LinkContext,
): number {
  report(name, "fatal", `unable to spawn ${file}: ${error.message}`);
  return EXIT.system;
}

interface Layout {
  readonly channel: EngineChannel;
  readonly operands: readonly [number, number];
  readonly descriptors: readonly (readonly [number, Source])[];
}

/**
 * Which descriptor is what in the engine: s6-tlsd-io has the network as its standard input and output
 * and the program as its operands, s6-tlsc-io the other way round.
 */
function layOut({ engine, ends }: TlsCommand, { local, channel, kind }: ChildEnds): Layout {
  if (engine === "s6-tlsc-io") {
    const [number = 3] = freeNumbers(1, (taken) => taken === ends.read || taken === ends.write);
    return {
      channel: { kind, fd: number },
      operands: [ends.read, ends.write],
      descriptors: [
        [0, local.read],
        [1, local.write],
        [number, channel],
      ],
    };
  }
  return {
    channel: { kind, fd: 5 },
    operands: [3, 4],
    descriptors: [
      [3, local.read],
      [4, local.write],
      [5, channel],
    ],
  };
}

/**
 * Somebody else's engine if it comes first in PATH, as for any word of a chain; but only ours waits on
 * a control socket.
 */
function engineFile(
  launch: Launch,
  { engine }: TlsCommand,
  { chains, posix }: LinkContext,
  channel: EngineChannel,
): string {
  const own = chains.finder.file(engine);
  if (channel.kind === "control") return own;
  const path = launch.environment.get("PATH");
  const isFound = candidateFiles(engine, path).some(
    (file) => typeof posix.fileVersion(file) !== "string",
  );
  return isFound && chains.finder.ownCommand(engine, path) === undefined ? engine : own;
}

/** What the engine tells after the handshake; undefined when it ends without a word. */
async function readBlock(posix: Posix, fd: Fd): Promise<EnvironmentEdit[] | undefined> {
  posix.setNonblocking(fd, true);
  const buffer = Buffer.alloc(TLS_BLOCK_BYTES_MAX + 1);
  let used = 0;
  return new Promise((resolve) => {
    const watch = posix.watch(fd, { readable: true }, () => {
      const count = posix.read(fd, buffer.subarray(used));
      if (count === undefined) return;
      used += count;
      if (count > 0 && used < buffer.length) return;
      watch.close();
      resolve(parseTlsBlock(buffer.subarray(0, used)));
    });
  });
}

/** What an engine that has not told anything ended with is what we end with. */
function exitCodeOf(status: WaitStatus): number {
  return status.kind === "killed" ? 128 + status.signal : Math.min(status.exitCode, 128);
}
