/**
 * Compile the addon and the native launcher. By default for this machine and only when a source is newer; `--all` for every
 * target a package ships that a compiler is here for (`--strict` fails when one is missing);
 * `--asan` with sanitizers, into build/asan.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = join(ROOT, "src/posix/native");
const HEADERS = join(ROOT, "node_modules/node-api-headers/include");

const FLAGS = [
  ..."-std=c11 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden -DNAPI_VERSION=8".split(" "),
  ..."-Wl,--as-needed -Wl,-z,now -Wl,-z,relro -pthread".split(" "),
  // A child or a thread that still runs our code must find it there when the worker that made it has ended.
  "-Wl,-z,nodelete",
];
const RELEASE_FLAGS = ["-O2", "-s"];
const ASAN_FLAGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"];

/** The targets of a release, and the compiler for each if it is not the machine's own. */
const TARGETS = {
  "linux-x64-glibc": { compiler: "x86_64-linux-gnu-gcc", flags: [] },
  "linux-x64-musl": { compiler: "musl-gcc", flags: ["-static-libgcc"] },
  "linux-arm64-glibc": { compiler: "aarch64-linux-gnu-gcc", flags: [] },
};

const LAUNCHER = join(ROOT, "src/launcher/launcher.c");
/** No libc, so that one file does for glibc and musl. */
const LAUNCHER_FLAGS = [
  ..."-std=c11 -Wall -Wextra -Werror -O2 -s -static -nostdlib -ffreestanding".split(" "),
  ..."-fno-stack-protector -fno-pie -no-pie -fno-asynchronous-unwind-tables".split(" "),
  ..."-Wl,--build-id=none -Wl,-z,noexecstack".split(" "),
];
/** The processors that there is a launcher for, and their compilers elsewhere. */
const LAUNCHER_COMPILERS = { x64: "x86_64-linux-gnu-gcc", arm64: "aarch64-linux-gnu-gcc" };

const NO_COMPILER =
  "no C compiler found: install gcc or clang (Debian: apt-get install gcc libc6-dev), or set CC";

/** The name of the prebuild that the Node running this script would load. */
export function hostTarget() {
  const head = Buffer.alloc(4096);
  const fd = openSync("/proc/self/exe", "r");
  readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  const libc = head.includes("/ld-musl-") ? "musl" : "glibc";
  return `${process.platform}-${process.arch}-${libc}`;
}

/**
 * Build one target (`linux-x64-glibc`, or `asan`) unless it is up to date, and return the path of
 * the addon. `target` defaults to the host's.
 */
export function buildAddon({ target = hostTarget() } = {}) {
  const isAsan = target === "asan";
  const output = isAsan
    ? join(ROOT, "build/asan/posix.node")
    : join(ROOT, "prebuilds", target, "posix.node");
  if (isNewer(output, inputs())) return output;

  const isHost = isAsan || target === hostTarget();
  const compiler = isHost ? hostCompiler() : TARGETS[target]?.compiler;
  if (compiler === undefined) throw new Error(isHost ? NO_COMPILER : `no such target: ${target}`);
  const extra = isHost ? [] : TARGETS[target].flags;
  const sources = inputs().filter((path) => path.endsWith(".c"));
  const flags = [...FLAGS, ...(isAsan ? ASAN_FLAGS : RELEASE_FLAGS), ...extra, "-I", HEADERS];
  compile(compiler, [...flags, `-DADDON_BUILD="${addonBuild()}"`, ...sources], output);
  return output;
}

/** The name of what an addon is made from, by which bundles and addon know that they belong together. */
export function addonBuild() {
  const hash = createHash("sha256");
  for (const path of inputs().slice(0, -1)) hash.update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

/**
 * Build the native launcher for a processor unless it is up to date, and return its path; undefined where
 * there is none for that processor.
 */
export function buildLauncher({ processor = process.arch } = {}) {
  if (!Object.hasOwn(LAUNCHER_COMPILERS, processor)) return undefined;
  const output = join(ROOT, "prebuilds", `linux-${processor}`, "launcher");
  const sources = [LAUNCHER, join(SOURCES, "raw.h"), fileURLToPath(import.meta.url)];
  if (isNewer(output, sources)) return output;
  const compiler = processor === process.arch ? hostCompiler() : LAUNCHER_COMPILERS[processor];
  if (compiler === undefined) throw new Error(NO_COMPILER);
  compile(compiler, [...LAUNCHER_FLAGS, LAUNCHER], output);
  return output;
}

/** The sources, and this file, which holds the flags. */
function inputs() {
  const sources = readdirSync(SOURCES).filter((name) => /\.[ch]$/.test(name));
  return [...sources.map((name) => join(SOURCES, name)), fileURLToPath(import.meta.url)];
}

/** Is `output` newer than everything it is made from? */
function isNewer(output, sources) {
  const built = statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? -Infinity;
  return sources.every((path) => statSync(path).mtimeMs <= built);
}

function isThere(compiler) {
  return spawnSync(compiler, ["--version"], { stdio: "ignore" }).status === 0;
}

function hostCompiler() {
  const candidates = process.env.CC ? [process.env.CC] : ["cc", "gcc", "clang"];
  return candidates.find(isThere);
}

/** Compile beside the output and rename: a running process may have the old one mapped. */
function compile(compiler, words, output) {
  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  const { status, stderr, error } = spawnSync(compiler, [...words, "-o", temporary], {
    encoding: "utf8",
  });
  if (status !== 0) {
    rmSync(temporary, { force: true });
    throw new Error(`${compiler} failed\n${error?.message ?? stderr}`.trimEnd());
  }
  renameSync(temporary, output);
}

function buildAll(isStrict) {
  const host = hostTarget();
  const targets = new Set([host, ...Object.keys(TARGETS)]);
  let missing = 0;
  for (const target of targets) {
    if (target !== host && !isThere(TARGETS[target].compiler)) {
      console.error(`ucspi: ${target} not built: there is no ${TARGETS[target].compiler} here`);
      missing++;
      continue;
    }
    console.log(relative(ROOT, buildAddon({ target })));
  }
  for (const [processor, compiler] of Object.entries(LAUNCHER_COMPILERS)) {
    if (processor !== process.arch && !isThere(compiler)) {
      console.error(`ucspi: no launcher built for ${processor}: there is no ${compiler} here`);
      missing++;
      continue;
    }
    console.log(relative(ROOT, buildLauncher({ processor })));
  }
  if (isStrict && missing > 0) process.exitCode = 1;
}

function buildHost(target) {
  buildAddon({ target });
  buildLauncher();
}

function main(words) {
  try {
    if (words.includes("--all")) buildAll(words.includes("--strict"));
    else buildHost(words.includes("--asan") ? "asan" : undefined);
  } catch (error) {
    console.error(`ucspi: ${error.message}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
