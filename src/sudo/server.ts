/**
 * The server's side of s6-sudo: one client, one program (local-services.md, section 8.3). The client
 * chooses its descriptors, the words behind the server's, and those variables that the server has left empty.
 */

import { abandon, closeEach, EXIT, Spawner, withEnvironment, withOpened } from "../chain/index.ts";
import type { Launch, LinkContext, Spawned } from "../chain/index.ts";
import { deadlineAfter } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Fd, Pid, Posix, WaitStatus } from "../posix/index.ts";
import { ExchangeError, sendBytes } from "./exchange.ts";
import { receiveRequest } from "./receive.ts";
import type { ReceivedRequest } from "./receive.ts";
import { SudoRefusal } from "./refusal.ts";
import { admittedVariables, formatWaitStatus, SUDO_SERVER_BANNER } from "./request.ts";

/** What the command line of s6-sudod says. */
export interface SudoOffer {
  readonly name: string;
  /** The words in front of the client's. */
  readonly words: readonly string[];
  /** Which of the client's descriptors the program does not get. */
  readonly withholds: {
    readonly input: boolean;
    readonly output: boolean;
    readonly error: boolean;
  };
  /** Does the program go on when the client has gone? */
  readonly outlivesClient: boolean;
  /** Milliseconds for the client to send its message. */
  readonly timeoutMs: number | undefined;
}

/** The socket of the client: where it is read, and where it is written. */
export interface SudoSocket {
  readonly from: Fd;
  readonly to: Fd;
}

const SIGTERM = 15;
const SIGCONT = 18;

/** The confirmation that the program runs. */
const RUNS = 0;

/** Serve one client; the exit code, once the program has ended. */
export async function serveSudo(
  launch: Launch,
  offer: SudoOffer,
  socket: SudoSocket,
  context: LinkContext,
): Promise<number> {
  const { posix, clock, report } = context;
  try {
    const step = { posix, deadline: deadlineAfter(clock, offer.timeoutMs) };
    await sendBytes(step, socket.to, Buffer.from(SUDO_SERVER_BANNER));
    const received = await receiveRequest(step, socket.from, offer.words.length);
    const program = launchFor(launch, offer, received, posix);
    return await runFor(program, launch.environment.get("PATH"), offer, socket, context);
  } catch (error) {
    const refusal = refusalFor(error);
    report(offer.name, "fatal", refusal.message);
    if (refusal.told !== undefined) tell(posix, socket, Buffer.of(refusal.told));
    return refusal.exitCode;
  }
}

function refusalFor(error: unknown): SudoRefusal {
  if (error instanceof SudoRefusal) return error;
  if (error instanceof ExchangeError || error instanceof SystemError) {
    return new SudoRefusal(EXIT.system, `unable to receive from the client: ${error.message}`);
  }
  throw error;
}

/** The program as it is to be. The descriptors are its own from now on, or closed. */
function launchFor(
  launch: Launch,
  { words, withholds, outlivesClient }: SudoOffer,
  { request, fds }: ReceivedRequest,
  posix: Posix,
): Launch {
  const edits = admittedVariables(launch.environment.strings(), request.variables);
  const argv = [...words, ...request.words];
  const bare = { ...withEnvironment(launch, edits), argv, descriptors: new Map<number, Fd>() };
  const [input, output, error] = fds;
  const placed: [number, Fd][] = [];
  try {
    placed.push([0, withholds.input ? posix.open("/dev/null", "read") : input]);
    placed.push([1, withholds.output ? posix.open("/dev/null", "write") : output]);
  } catch (failure) {
    const made = placed.map(([, fd]) => fd).filter((fd) => fd !== input);
    closeEach([...made, ...fds], posix);
    throw failure;
  }
  if (!withholds.error) placed.push([2, error]);
  const given = new Set(placed.map(([, fd]) => fd));
  closeEach(
    fds.filter((fd) => !given.has(fd)),
    posix,
  );
  const launched = withOpened(bare, placed, { posix, isBecoming: false });
  const program = { ...launched, closesOthers: true };
  return outlivesClient ? program : { ...program, parentDeathSignal: SIGTERM };
}

/**
 * Run the program, and tell the client. It is searched in the server's own PATH, whatever the client's
 * variables say, and executed, not fused.
 */
async function runFor(
  launch: Launch,
  path: string | undefined,
  offer: SudoOffer,
  socket: SudoSocket,
  context: LinkContext,
): Promise<number> {
  const { name } = offer;
  const { posix } = context;
  const spawner = new Spawner(name, { ...context, isBecoming: false });
  const client = new ClientWatch(offer, socket, context);
  const result = spawner.create({ kind: "program", launch, by: name, path });
  if (result.kind === "failed") {
    client.close();
    abandon(launch);
    throw notRun(launch, result.error);
  }
  client.begin(result.child.pid);
  const end = await outcomeOf(result, spawner, () => tell(posix, socket, Buffer.of(RUNS)));
  client.close();
  if (end instanceof SystemError) throw notRun(launch, end);
  if (client.isGone) return EXIT.refused;
  tell(posix, socket, formatWaitStatus(end));
  return EXIT.ok;
}

function notRun({ argv: [word = ""] }: Launch, { message, errno }: SystemError): SudoRefusal {
  return new SudoRefusal(EXIT.system, `unable to spawn ${word}: ${message}`, errno);
}

function outcomeOf(
  spawned: Spawned,
  spawner: Spawner,
  executed: () => void,
): Promise<WaitStatus | SystemError> {
  return new Promise((ended) => spawner.follow(spawned, { executed, ended }));
}

/** Ends the program when its client is gone, or when this process is told to end. */
class ClientWatch {
  /** Has the program been told to end, or will it be? */
  isGone = false;
  readonly #posix: Posix;
  readonly #releases: (() => void)[] = [];
  #pid: Pid | undefined;

  /** To be made before the program, so that no signal finds one that nobody ends. */
  constructor(
    { outlivesClient }: SudoOffer,
    { from }: SudoSocket,
    { posix, signals }: LinkContext,
  ) {
    this.#posix = posix;
    if (outlivesClient) return;
    const watch = posix.watch(from, { hangup: true }, () => this.#end());
    this.#releases.push(
      () => watch.close(),
      signals.on(["SIGHUP", "SIGINT", "SIGTERM"], () => this.#end()),
    );
  }

  /** The program is there. */
  begin(pid: Pid): void {
    this.#pid = pid;
    if (this.isGone) this.#endProgram(pid);
  }

  close(): void {
    for (const release of this.#releases.splice(0)) release();
  }

  #end(): void {
    this.close();
    this.isGone = true;
    if (this.#pid !== undefined) this.#endProgram(this.#pid);
  }

  #endProgram(pid: Pid): void {
    for (const signal of [SIGTERM, SIGCONT]) {
      try {
        this.#posix.kill(pid, signal);
      } catch (error) {
        // It has changed its identity to one that we may not signal, and goes on.
        if (!(error instanceof SystemError)) throw error;
      }
    }
  }
}

/** A client that does not read these few bytes, or is gone, does without. */
function tell(posix: Posix, { to }: SudoSocket, bytes: Uint8Array): void {
  try {
    posix.sendMessage(to, bytes, []);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}
