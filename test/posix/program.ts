/** Running programs for the tests of the kernel calls: any command, and our own fixtures. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { buildSync } from "esbuild";

import { joinBlock } from "../../src/posix/bytes.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, Pid, SpawnRequest, WaitStatus } from "../../src/posix/posix.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export const IS_ROOT = process.getuid?.() === 0;

/** A spawn request from readable parts. */
export function request(
  argv: readonly string[],
  parts: Partial<SpawnRequest> & { readonly env?: Readonly<Record<string, string>> } = {},
): SpawnRequest {
  const { env = {}, ...rest } = parts;
  const variables = Object.entries({ PATH: "/usr/bin:/bin", ...env });
  return {
    files: joinBlock(candidates(argv[0] ?? "")),
    argv: joinBlock(argv),
    environment: joinBlock(variables.map(([name, value]) => `${name}=${value}`)),
    descriptors: [],
    ...rest,
  };
}

function candidates(program: string): string[] {
  return program.includes("/") ? [program] : [`/usr/bin/${program}`, `/bin/${program}`];
}

/** The results of a program. */
export interface Run {
  readonly status: WaitStatus;
  readonly stdout: string;
}

/** Spawn a program, read what it writes to descriptor 1, and wait for its end. */
export function run(argv: readonly string[], parts: Parameters<typeof request>[1] = {}): Run {
  const posix = loadPosix();
  const [output, input] = posix.pipe();
  try {
    const descriptors = [1, input, ...(parts.descriptors ?? [])];
    const child = posix.spawn(request(argv, { ...parts, descriptors }));
    posix.close(input);
    const stdout = readToEnd(output);
    posix.waitReady(child.pidfd, { readable: true }, -1);
    posix.close(child.pidfd);
    const status = waitFor(child.pid);
    const failure = posix.birthFailure(child.birth);
    if (failure !== undefined) throw failure;
    return { status, stdout };
  } finally {
    posix.close(output);
    if (posix.isOpen(input)) posix.close(input);
  }
}

/** Everything up to the end of file of a blocking descriptor. */
export function readToEnd(fd: Fd): string {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(65_536);
    const length = loadPosix().read(fd, chunk) ?? 0;
    if (length === 0) return Buffer.concat(chunks).toString();
    chunks.push(chunk.subarray(0, length));
  }
}

/** The status of a child that has ended. */
export function waitFor(pid: Pid): WaitStatus {
  const status = loadPosix().reap(pid);
  if (status === undefined) throw new Error(`child ${pid} still runs`);
  return status;
}

/** Run a program of test/fixtures/posix in a Node of its own. */
export function runFixture(name: string, ...words: string[]): Run {
  return run(fixtureCommand(name, words), { env: inheritedEnvironment() });
}

/** The command line that runs a fixture. */
export function fixtureCommand(name: string, words: readonly string[] = []): string[] {
  return [process.execPath, bundleFixture(name), ...words];
}

/** The variables that the children of a sanitizer build need. */
export function inheritedEnvironment(): Record<string, string> {
  const names = ["UCSPI_ADDON", "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS"];
  const entries = names.map((name) => [name, process.env[name]] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => !!entry[1]));
}

const bundled = new Map<string, string>();
const folder = temporaryFolder();

function bundleFixture(name: string): string {
  const outfile = bundled.get(name) ?? join(folder.path, `${name}.cjs`);
  if (bundled.has(name)) return outfile;
  buildSync({
    entryPoints: [join(ROOT, "test/fixtures/posix", `${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    logLevel: "error",
    define: {
      "import.meta.dirname": JSON.stringify(join(ROOT, "src/posix")),
    },
  });
  bundled.set(name, outfile);
  return outfile;
}

/** A folder that goes with the test process. */
export function temporaryFolder(): { readonly path: string; file(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), "ucspi-posix-"));
  process.once("exit", () => rmSync(path, { recursive: true, force: true }));
  return { path, file: (name) => join(path, name) };
}

/** The errno name that a call fails with; undefined when it succeeds. */
export function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
}
