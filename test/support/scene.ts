/**
 * The foundation of black-box tests: a scene owns a temporary directory and every process it started, and
 * ends them all when it is disposed of. Commands run as shipped, from bin/, which is first in PATH.
 *
 *     await using scene = await newScene({ files: { "env/NAME": "value\n" } });
 *     const run = await scene.run("s6-envdir", ["env", "printenv", "NAME"]);
 *     run.exits(0).stdoutIs("value\n").stderrIs("");
 */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { chmodSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** The root of the package. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The directory of the launchers. */
export const BIN = join(ROOT, "bin");

/** Much more than any command of ours has to say: a run that prints more fails. */
const OUTPUT_BYTES_MAX = 64 << 20;

/** The way in which a chain is run: fused as far as it is ours, or with an exec for every link. */
export type Way = "fused" | "exec";

export interface SceneOptions {
  /** Paths in the scene and what is in them; one that ends in a slash is an empty directory. */
  readonly files?: Readonly<Record<string, Content>>;
  readonly way?: Way;
}

/** The bytes of a file, or a script: `#!` makes a text executable. */
export type Content = string | Uint8Array;

export interface RunOptions {
  /** Variables besides PATH; undefined takes one out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The content of standard input, /dev/null if absent. */
  readonly input?: Content;
  /** Descriptors of the test that the process gets, by the number it gets them as. */
  readonly fds?: Readonly<Record<number, number>>;
  /** The working directory, the scene's own unless given. */
  readonly directory?: string;
}

/** A new scene, with the files it starts from. */
export async function newScene({ files = {}, way = "fused" }: SceneOptions = {}): Promise<Scene> {
  const scene = new Scene(mkdtempSync(join(tmpdir(), "ucspi-test-")), way);
  for (const [name, content] of Object.entries(files)) scene.write(name, content);
  return scene;
}

/** Makes scenes whose chains all run in the same way. */
export type SceneMaker = (options?: Omit<SceneOptions, "way">) => Promise<Scene>;

/** Register a test twice: with fused chains, and with an exec for every link. */
export function bothWays(
  title: string,
  body: (scenes: SceneMaker, way: Way) => Promise<void>,
): void {
  for (const way of ["fused", "exec"] as const) {
    test(`${title} [${way}]`, () => body((options) => newScene({ ...options, way }), way));
  }
}

/** May the tests do what only root may? For `test.skipIf(!isRoot)`. */
export const isRoot = process.getuid?.() === 0;

/**
 * May other users, whom a test becomes, run our commands? For `test.skipIf(withoutOthers !== "")` and for
 * its title. Root's own home, for one, is closed to them.
 */
export const withoutOthers = !isRoot
  ? " (skipped: not root)"
  : isOpenToAll(ROOT)
    ? ""
    : " (skipped: the checkout is in a directory that is closed to others)";

function isOpenToAll(directory: string): boolean {
  const isOpen = (statSync(directory).mode & 0o001) !== 0;
  return isOpen && (directory === "/" || isOpenToAll(dirname(directory)));
}

/** A program of somebody else that a test talks to. */
export interface Peer {
  readonly name: string;
  /** The file to execute; the bare name when it is missing. */
  readonly path: string;
  readonly isMissing: boolean;
  /** For the title of what is skipped: empty, or ` (skipped: NAME is not installed)`. */
  readonly why: string;
}

/**
 * Find a peer in the directories of UCSPI_PEERS, of PATH and of the system. On CI everything has to
 * be there: a missing one throws. Elsewhere: `describe.skipIf(it.isMissing)(`title${it.why}`, ...)`.
 */
export function peer(name: string): Peer {
  const path = findProgram(name);
  if (path !== undefined) return { name, path, isMissing: false, why: "" };
  const problem = `${name} is not installed`;
  if ((process.env["CI"] ?? "") !== "") throw new Error(`${problem}; CI has to have it`);
  return { name, path: name, isMissing: true, why: ` (skipped: ${problem})` };
}

/** The path of a program that is not one of ours; undefined if it does not exist. */
export function findProgram(name: string): string | undefined {
  const { UCSPI_PEERS = "", PATH = "" } = process.env;
  const directories = [...UCSPI_PEERS.split(":"), ...PATH.split(":"), ...SYSTEM_DIRECTORIES];
  return directories
    .filter((directory) => directory !== "" && resolve(directory) !== BIN)
    .map((directory) => join(directory, name))
    .find(isExecutable);
}

/** Below those that the kernel gives to whoever asks for any (ip_local_port_range). */
const FIRST_FREE_PORT = 12_000;
const FREE_PORTS = 20_000;

const SYSTEM_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // the question was whether it is
  }
}

/** Is the process there, as another than a zombie? */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false; // no such process
  }
}

/** A temporary directory and the processes started from it. */
export class Scene implements AsyncDisposable {
  /** Its directory, an absolute path. */
  readonly directory: string;
  readonly #way: Way;
  readonly #processes: SceneProcess[] = [];
  readonly #adopted: number[] = [];

  constructor(directory: string, way: Way) {
    this.directory = directory;
    this.#way = way;
  }

  /** The absolute path of a file of the scene. */
  path(name: string): string {
    return join(this.directory, name);
  }

  has(name: string): boolean {
    return existsSync(this.path(name));
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  readBytes(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** Write a file and the directories above it; see `Content` and `SceneOptions.files`. */
  write(name: string, content: Content): void {
    const path = this.path(name);
    mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
    if (name.endsWith("/")) return;
    writeFileSync(path, content);
    if (typeof content === "string" && content.startsWith("#!")) chmodSync(path, 0o755);
  }

  /** Run a command of ours to its end. */
  run(command: string, words: readonly string[], options: RunOptions = {}): Promise<Run> {
    return this.start(command, words, options).finished();
  }

  /** Run a shell script to its end: for words that are not UTF-8, closed descriptors, limits. */
  shell(script: string, options: RunOptions = {}): Promise<Run> {
    return this.execute("/bin/sh", ["-c", script], options).finished();
  }

  /** Start a command of ours. */
  start(command: string, words: readonly string[], options: RunOptions = {}): SceneProcess {
    return this.execute(join(BIN, command), words, options);
  }

  /** Start any program. */
  execute(file: string, words: readonly string[], options: RunOptions = {}): SceneProcess {
    const started = new SceneProcess(file, words, {
      ...options,
      env: { ...this.#environment(), ...options.env },
      directory: options.directory ?? this.directory,
    });
    this.#processes.push(started);
    return started;
  }

  /** A TCP port that was free on all addresses a moment ago, for those who cannot be told 0. */
  async freePort(): Promise<number> {
    for (;;) {
      const port = FIRST_FREE_PORT + Math.floor(Math.random() * FREE_PORTS);
      const server = createServer();
      const isFree = await new Promise<boolean>((resolve) => {
        server.once("error", () => resolve(false)).once("listening", () => resolve(true));
        server.listen(port);
      });
      if (!isFree) continue;
      server.close();
      await once(server, "close");
      return port;
    }
  }

  /** End this process too: one that has left the group of the process the scene started. */
  adopt(pid: number): void {
    this.#adopted.push(pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const started of this.#processes) started.endGroup();
    for (const pid of this.#adopted) sendSignal(pid, "SIGKILL");
    await Promise.all(this.#processes.map((started) => started.ended()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #environment(): Record<string, string | undefined> {
    return {
      PATH: `${BIN}:${process.env["PATH"] ?? ""}`,
      UCSPI_CHAIN: this.#way === "exec" ? "exec" : undefined,
      NODE_V8_COVERAGE: process.env["NODE_V8_COVERAGE"],
    };
  }
}

/** A process of a scene, alone with its descendants in a process group of its own. */
export class SceneProcess {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #title: string;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];
  readonly #closed: Promise<unknown>;
  readonly #exited: Promise<unknown>;
  #outputBytes = 0;
  #hasClosed = false;
  #linesRead = 0;
  #lines: string[] = [];
  #partial: [string, string] = ["", ""];
  #wake: () => void = () => {};

  /** Use `scene.start`. */
  constructor(file: string, words: readonly string[], options: RunOptions) {
    const { env = {}, input, fds = {}, directory } = options;
    this.#title = [file, ...words].join(" ");
    this.#child = spawn(file, [...words], {
      cwd: directory,
      env: definedOnly(env),
      detached: true,
      stdio: stdioOf(input, fds),
    });
    this.pid = this.#child.pid ?? 0;
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#take(0, chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#take(1, chunk));
    this.#exited = once(this.#child, "exit");
    this.#closed = once(this.#child, "close").then(() => this.#close());
    // The failure is told by whoever waits for the end.
    this.#exited.catch(() => {});
    this.#closed.catch(() => {});
    this.#child.stdin?.on("error", () => {}); // a program need not read what it is given
    if (input !== undefined && input !== HELD_OPEN) this.#child.stdin?.end(input);
  }

  /** Wait until it has ended and its output is complete. */
  async finished(): Promise<Run> {
    await this.#closed;
    return new Run({
      title: this.#title,
      exitCode: this.#child.exitCode,
      signal: this.#child.signalCode,
      stdout: Buffer.concat(this.#stdout),
      stderr: Buffer.concat(this.#stderr),
    });
  }

  /** Wait until the process itself has ended, whoever else still holds its output. */
  async ended(): Promise<void> {
    try {
      await this.#exited;
    } catch {
      // It was never started: nothing to wait for.
    }
  }

  /** Wait for the next line, of stdout or stderr, that matches. Rejects when the output ends first. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      while (this.#linesRead < this.#lines.length) {
        const found = pattern.exec(this.#lines[this.#linesRead] ?? "");
        this.#linesRead += 1;
        if (found !== null) return found;
      }
      if (this.#hasClosed) {
        throw new Error(`${this.#title} ended without ${pattern}; it said:\n${this.output}`);
      }
      await new Promise<void>((wake) => (this.#wake = wake));
    }
  }

  /** Wait for a line for each of these, in any order: for those of several processes. */
  async lines(...patterns: readonly RegExp[]): Promise<void> {
    for (let left = patterns; left.length > 0;) {
      const [line] = await this.line(new RegExp(left.map(({ source }) => source).join("|")));
      left = left.filter((pattern) => !pattern.test(line));
    }
  }

  /** Its output so far, both streams, line by line as they came. */
  get output(): string {
    return [...this.#lines, ...this.#partial].join("\n");
  }

  /** Send it, and it alone, a signal. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(name);
  }

  /** Write to its standard input, which `input: HELD_OPEN` keeps open. */
  write(content: Content): void {
    this.#child.stdin?.write(content);
  }

  /** Close its standard input. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  /** Kill it and its group. The scene does so when it is disposed of. */
  endGroup(): void {
    if (this.pid > 1) sendSignal(-this.pid, "SIGKILL");
  }

  #take(stream: 0 | 1, chunk: Buffer): void {
    this.#outputBytes += chunk.length;
    if (this.#outputBytes > OUTPUT_BYTES_MAX) this.endGroup();
    (stream === 0 ? this.#stdout : this.#stderr).push(chunk);
    const pieces = `${this.#partial[stream]}${chunk.toString("utf8")}`.split("\n");
    this.#partial[stream] = pieces.pop() ?? "";
    this.#lines.push(...pieces);
    this.#wake();
  }

  #close(): void {
    this.#hasClosed = true;
    this.#lines.push(...this.#partial.filter((rest) => rest !== ""));
    this.#partial = ["", ""];
    this.#wake();
  }
}

/** As `input`: a pipe that the test writes to and closes. */
export const HELD_OPEN = new Uint8Array(0);

function stdioOf(input: Content | undefined, fds: Readonly<Record<number, number>>) {
  const stdio: ("ignore" | "pipe" | number)[] = [
    input === undefined ? "ignore" : "pipe",
    "pipe",
    "pipe",
  ];
  for (const [target, source] of Object.entries(fds)) stdio[Number(target)] = source;
  return Array.from(stdio, (entry) => entry ?? "ignore");
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already, which is what was wanted.
  }
}

interface RunFacts {
  readonly title: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** A process that has ended, and what to say about it; each statement gives the run back. */
export class Run {
  readonly exitCode: number | undefined;
  readonly killedBy: NodeJS.Signals | undefined;
  readonly stdoutBytes: Buffer;
  readonly stderrBytes: Buffer;
  readonly #title: string;

  constructor({ title, exitCode, signal, stdout, stderr }: RunFacts) {
    this.#title = title;
    this.exitCode = exitCode ?? undefined;
    this.killedBy = signal ?? undefined;
    this.stdoutBytes = stdout;
    this.stderrBytes = stderr;
  }

  get stdout(): string {
    return this.stdoutBytes.toString("utf8");
  }

  get stderr(): string {
    return this.stderrBytes.toString("utf8");
  }

  exits(code: number): this {
    const context = `${this.#title}\n${this.stderr}`;
    expect(this.killedBy ?? this.exitCode, context).toBe(code);
    return this;
  }

  diesOf(signal: NodeJS.Signals): this {
    expect(this.killedBy ?? this.exitCode, `${this.#title}\n${this.stderr}`).toBe(signal);
    return this;
  }

  stdoutIs(expected: string | Uint8Array): this {
    if (typeof expected === "string") expect(this.stdout, this.#title).toBe(expected);
    else expect(this.stdoutBytes.toString("hex"), this.#title).toBe(hex(expected));
    return this;
  }

  stdoutMatches(pattern: RegExp): this {
    expect(this.stdout, this.#title).toMatch(pattern);
    return this;
  }

  stderrIs(expected: string): this {
    expect(this.stderr, this.#title).toBe(expected);
    return this;
  }

  stderrMatches(pattern: RegExp): this {
    expect(this.stderr, this.#title).toMatch(pattern);
    return this;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
