/**
 * The entry of every launcher: the one place that reads and ends the process. It finds the
 * definition, hands it the world, and turns what comes back into an exit code.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  become,
  Environment,
  EXIT,
  initialLaunch,
  originOf,
  parseLink,
  parseOomScore,
  reportUsage,
  withOwnSettings,
} from "../chain/index.ts";
import type { Launch, Link, OomScore, Origin } from "../chain/index.ts";
import { systemClock } from "../clock/index.ts";
import { StderrLog } from "../host/index.ts";
import type { Log, Report } from "../host/index.ts";
import { parseOptions, UsageError } from "../options/index.ts";
import {
  encodeBytes,
  errnoOf,
  loadPosix,
  splitBlock,
  SystemError,
  writeFully,
} from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { definitionSynopsis, isLink } from "./command.ts";
import type { Command, CommandContext, Definition } from "./command.ts";
import { Fatal } from "./fatal.ts";
import type { Invocation } from "./loader.ts";
import { packageVersion } from "./package.ts";
import { isCommandName, loadDefinition } from "./registry.ts";
import { openChains, openCommandHost, processSignals } from "./system.ts";

/** Run a command with the words of this process, and end the process. */
export async function main({ name, directory, wordsAt }: Invocation): Promise<never> {
  const posix = loadOrDie(name);
  keepDebuggerOut(posix);
  const words = processWords().slice(wordsAt);
  return runAndExit(posix, { name, directory, words });
}

/** The multi-call entry: `ucspi NAME WORD...`; `ucspi link` is short for `ucspi ucspi-link`. */
export async function multicall({ directory, wordsAt }: Invocation): Promise<never> {
  const posix = loadOrDie("ucspi");
  keepDebuggerOut(posix);
  const [name, ...words] = processWords().slice(wordsAt);
  if (name !== undefined && !name.startsWith("-")) {
    const command = isCommandName(name) ? name : `ucspi-${name}`;
    const isShort = isCommandName(command);
    return runAndExit(posix, { name: isShort ? command : name, directory, words });
  }
  const { describeCommands } = await import("./overview.ts");
  const isAsked = name === "--help" || name === "--version";
  const text = name === "--version" ? `ucspi ${packageVersion()}\n` : await describeCommands();
  if (isAsked) {
    writeFully(posix, 1 as Fd, encodeBytes(text));
    process.exit(EXIT.ok);
  }
  const log = new StderrLog({ posix, clock: systemClock });
  log.line("ucspi", "usage", text.trimEnd());
  log.end();
  process.exit(EXIT.usage);
}

/** The number on all processors that Node runs on. */
const SIGUSR1 = 10;

/**
 * SIGUSR1 makes Node open a debugger's port, through which any user of the machine could run code in a
 * server. It ends the process instead, as it does in C. A port that has been opened by now is closed, and
 * so is one that a signal of a moment ago still opens. Newer versions of Node have an option against it,
 * which native launchers give.
 */
function keepDebuggerOut(posix: Posix): void {
  if (process.execArgv.includes("--disable-sigusr1")) return;
  posix.defaultSignal(SIGUSR1);
  closeDebugger();
  setImmediate(closeDebugger).unref();
}

/** `process._debugEnd` does the same as node:inspector's close, which takes 2 ms to load. */
function closeDebugger(): void {
  const { _debugEnd: close } = process as { readonly _debugEnd?: () => void };
  if (close === undefined) process.getBuiltinModule("node:inspector").close();
  else close.call(process);
}

/**
 * Node opens its own stream on descriptor 2 as soon as anything asks for process.stderr, which the end
 * of every socket of node:net does (to find out whether it is that one), and sets O_NONBLOCK on a pipe
 * that others share. They would lose lines. So there is a stand-in, for whoever writes to it.
 */
function keepStderrAsItIs(log: Log, name: string): void {
  const write = (text: string): boolean => {
    log.line(name, "warning", text.trimEnd());
    return true;
  };
  Object.defineProperty(process, "stderr", { configurable: true, value: { fd: 2, write } });
}

/** What ends a process that does not say otherwise, and the exit codes that shells give it. */
const ENDING = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * The kernel takes no default action for pid 1: without a handler no signal would end a command that is the
 * first process of a container. One who hears of the signal does as it likes.
 */
function endOnSignals(posix: Posix, log: Log): void {
  if (posix.getpid() !== 1) return;
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (process.listenerCount(name) > 1) return;
      log.end();
      process.exit(ENDING[name]);
    });
  }
}

/** A command that was asked for: its name, the folder of launchers that it is in, and its words. */
interface Call {
  readonly name: string;
  readonly directory: string;
  readonly words: readonly string[];
}

async function runAndExit(posix: Posix, call: Call): Promise<never> {
  const log = new StderrLog({ posix, clock: systemClock });
  keepStderrAsItIs(log, call.name);
  endOnSignals(posix, log);
  const code = await runCommand(posix, log, call);
  log.end();
  process.exit(code);
}

async function runCommand(
  posix: Posix,
  log: Log,
  { name, directory, words }: Call,
): Promise<number> {
  const { report } = log;
  const definition = await loadDefinition(name);
  if (definition === undefined) {
    report("ucspi", "fatal", `no such command: ${name}`);
    return EXIT.usage;
  }
  const origin = originOf(process.pid, process.ppid, processVariables());
  const context = commandContext({ posix, directory, log, origin });
  try {
    const oomScore = takeOomScore(origin.variables);
    const prepared = isLink(definition)
      ? prepareLink(definition, words, { ...origin, oomScore }, context)
      : prepareCommand(definition, words, context);
    return await runPrepared(prepared, definition, context);
  } catch (error) {
    return reportFailure(report, definition, error);
  }
}

const OOM_SCORE_FILE = "/proc/self/oom_score_adj";

/** Have the kernel add to this process's score, when memory runs out, what its launcher was told. */
function takeOomScore(variables: readonly string[]): OomScore | undefined {
  try {
    const current = (): number => Number(readFileSync(OOM_SCORE_FILE, "latin1"));
    const score = parseOomScore(variables, current);
    if (score !== undefined && current() !== score.value) {
      writeFileSync(OOM_SCORE_FILE, String(score.value));
    }
    return score;
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    throw new Fatal(EXIT.system, `unable to write ${OOM_SCORE_FILE}: ${code}`, { cause: error });
  }
}

/** A command line that has been understood. */
interface PreparedCommand {
  readonly builtin: "help" | "version" | "explain" | undefined;
  run(): Promise<number>;
  explain?(): Promise<string>;
}

async function runPrepared(
  { builtin, run, explain }: PreparedCommand,
  definition: Definition,
  context: CommandContext,
): Promise<number> {
  if (builtin === undefined) return run();
  if (builtin === "version") {
    context.print(`${definition.name} (ucspi) ${packageVersion()}\n`);
  } else if (builtin === "explain" && explain !== undefined) {
    context.print(await explain());
  } else {
    const { formatHelp } = await import("./help.ts");
    context.print(formatHelp(definition));
  }
  return EXIT.ok;
}

function prepareLink(
  link: Link,
  words: readonly string[],
  origin: Origin & { readonly oomScore: OomScore | undefined },
  context: CommandContext,
): PreparedCommand {
  const { builtin, words: parsed } = parseLink(link, words);
  function begin(): Launch {
    const argv = [link.name, ...words];
    return withOwnSettings(initialLaunch(context.posix, origin, argv), origin.oomScore);
  }
  return {
    builtin,
    async run() {
      const launch = begin();
      context.chains.know(launch.argv, launch.environment.get("PATH"), { link, words: parsed });
      return become(launch, link.name, context);
    },
    async explain() {
      const { explain } = await import("../chain/explain.ts");
      return explain(withoutExplain(begin()), context);
    },
  };
}

function prepareCommand(
  command: Command,
  words: readonly string[],
  context: CommandContext,
): PreparedCommand {
  const { options, operands, builtin } = parseOptions({ ...command, explains: false }, words);
  const [least, most] = command.operandCount;
  if (builtin === undefined && (operands.length < least || operands.length > most)) {
    const surplus = operands[most];
    const problem = surplus === undefined ? "missing operand" : `unexpected operand: ${surplus}`;
    throw new UsageError(problem, true);
  }
  return { builtin, run: async () => (await command.run(context, options, operands)) ?? EXIT.ok };
}

/** The chain that `--explain` was asked of: the same words without it. */
function withoutExplain(launch: Launch): Launch {
  const at = launch.argv.indexOf("--explain");
  return { ...launch, argv: launch.argv.toSpliced(at, 1) };
}

/** The parts that the context of a command is made from. */
interface Surroundings {
  readonly posix: Posix;
  readonly log: Log;
  readonly origin: Origin;
  /** Of the script that runs; its native launcher may be somewhere else. */
  readonly directory: string;
}

function commandContext({ posix, log, origin, directory }: Surroundings): CommandContext {
  const host = openCommandHost(posix, log);
  const launchers = resolve(origin.notes?.folder || directory);
  return {
    posix,
    host,
    report: log.report,
    clock: systemClock,
    signals: processSignals,
    children: host.children,
    chains: openChains(launchers, process.env["UCSPI_CHAIN"] !== "exec"),
    isBecoming: true,
    node: { file: process.execPath, version: process.version, processor: process.arch },
    get environment() {
      return Environment.of(origin.variables);
    },
    readInput: (mostBytes) => readInput(posix, mostBytes),
    print: (text) => print(posix, text),
  };
}

function print(posix: Posix, text: string): void {
  try {
    writeFully(posix, 1 as Fd, encodeBytes(text));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Fatal(EXIT.system, `unable to write to stdout: ${error.message}`, { cause: error });
  }
}

/** All of standard input. */
function readInput(posix: Posix, mostBytes: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let total = 0;
  const chunk = Buffer.allocUnsafe(1 << 20);
  for (;;) {
    const count = posix.read(0 as Fd, chunk);
    if (count === 0) return Buffer.concat(chunks);
    if (count === undefined) {
      posix.waitReady(0 as Fd, { readable: true }, -1);
      continue;
    }
    total += count;
    if (total > mostBytes) {
      throw new Fatal(EXIT.usage, `standard input is longer than ${mostBytes} bytes`);
    }
    chunks.push(Buffer.from(chunk.subarray(0, count)));
  }
}

function reportFailure(report: Report, definition: Definition, error: unknown): number {
  const { name } = definition;
  if (error instanceof UsageError) {
    if (isLink(definition)) return reportUsage(report, definition, error);
    report(name, "fatal", error.message);
    if (error.showsUsage) report(name, "usage", `${name} ${definitionSynopsis(definition)}`);
    return EXIT.usage;
  }
  if (error instanceof Fatal) {
    report(name, "fatal", error.message);
    return error.exitCode;
  }
  if (error instanceof SystemError) {
    report(name, "fatal", `unable to ${error.syscall}: ${error.message}`);
    return EXIT.system;
  }
  if (error instanceof Error && error.name === "BundleError") {
    report(name, "fatal", error.message);
    return EXIT.system;
  }
  report(name, "fatal", `internal error: ${error instanceof Error ? error.stack : String(error)}`);
  return EXIT.bug;
}

function loadOrDie(name: string): Posix {
  try {
    return loadPosix();
  } catch (error) {
    // Without the addon there is no other way to speak.
    process.stderr.write(
      `${name}: fatal: ${error instanceof Error ? error.message : "no addon"}\n`,
    );
    return process.exit(EXIT.system);
  }
}

/** The words as they were typed: Node's own copy loses bytes that are not UTF-8. */
function processWords(): string[] {
  const isIntact = process.argv.every((word) => !word.includes("�"));
  if (isIntact) return process.argv;
  const words = splitBlock(readFileSync("/proc/self/cmdline"));
  return words.toSpliced(1, process.execArgv.length);
}

/**
 * The environment as it was given to this process, byte for byte. Node finds no value for a name that is
 * not UTF-8, and leaves such a variable out.
 */
function processVariables(): string[] {
  const variables = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
  const isWhole = variables.length === Reflect.ownKeys(process.env).length;
  const isIntact = isWhole && variables.every((variable) => !variable.includes("�"));
  return isIntact ? variables : splitBlock(readFileSync("/proc/self/environ"));
}
