/**
 * The addon as a whole, and where it is found. Below src/command this file and native.ts alone touch
 * the global `process`: an addon is loaded through it, for the platform that it tells, and whoever tries
 * another build can say so in the environment of every command alike.
 */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";

import type { ClocksAddon } from "./clocks.ts";
import type { DescriptorsAddon } from "./descriptors.ts";
import type { EventLoopAddon } from "./event-loop.ts";
import type { FilesAddon } from "./files.ts";
import type { AttributesAddon } from "./attributes.ts";
import { SystemError } from "./kernel.ts";
import type { LocksAddon } from "./locks.ts";
import type { NamesAddon } from "./names.ts";
import { packageRoot } from "./package-root.ts";
import type { PathsAddon } from "./paths.ts";
import type { OutputAddon } from "./output.ts";
import type { ProcessesAddon } from "./processes.ts";
import type { SocketsAddon } from "./sockets.ts";
import type { SpawnAddon } from "./spawn.ts";

/** All that C exports: the faces of the families, and what gives it SystemError. */
export interface Addon
  extends
    ProcessesAddon,
    SpawnAddon,
    AttributesAddon,
    DescriptorsAddon,
    OutputAddon,
    FilesAddon,
    PathsAddon,
    LocksAddon,
    SocketsAddon,
    EventLoopAddon,
    NamesAddon,
    ClocksAddon {
  /** Which sources it was made from. */
  readonly build: string;
  initialize(makeError: (...parts: ConstructorParameters<typeof SystemError>) => SystemError): void;
}

/** What the addon of this build was made from; set in bundles, which an upgrade may separate from it. */
declare const ADDON_BUILD: string | undefined;

/**
 * Load the prebuilt addon for this platform. `UCSPI_ADDON` names another file instead, which is for
 * development: a build with sanitizers, for instance.
 */
export function loadAddon(): Addon {
  const path = process.env["UCSPI_ADDON"] || findPrebuild();
  const loaded: { exports: Partial<Addon> } = { exports: {} };
  process.dlopen(loaded, path);
  const addon = loaded.exports as Addon;
  if (typeof ADDON_BUILD === "string" && addon.build !== ADDON_BUILD) {
    throw new Error(`${path} belongs to another version of ucspi: install or build it again`);
  }
  addon.initialize((code, errno, syscall, message) => {
    return new SystemError(code, errno, syscall, message);
  });
  return addon;
}

function findPrebuild(): string {
  const platform = `${process.platform}-${process.arch}-${libcOfThisProcess()}`;
  const path = join(packageRoot(), "prebuilds", platform, "posix.node");
  if (existsSync(path)) return path;
  throw new Error(
    `ucspi has no prebuilt addon for ${platform} here; run "npm run build" with a C compiler`,
  );
}

/** The beginning of an executable, where its program interpreter is named. */
const EXECUTABLE_HEAD_BYTES = 4096;

/** The names that processor types have in the name of musl's program interpreter. */
const MUSL_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/**
 * Which libc this Node is linked to. A machine may have both (Debian's musl-tools), so where musl is
 * there at all Node's own file is asked. (process.report knows too, but takes milliseconds to tell.)
 */
function libcOfThisProcess(): "glibc" | "musl" {
  const architecture = MUSL_ARCHITECTURES[process.arch];
  const mayBeMusl = architecture === undefined || existsSync(`/lib/ld-musl-${architecture}.so.1`);
  return mayBeMusl && isLinkedToMusl() ? "musl" : "glibc";
}

function isLinkedToMusl(): boolean {
  const head = Buffer.allocUnsafe(EXECUTABLE_HEAD_BYTES);
  if (!existsSync("/proc/self/exe"))
    return !JSON.stringify(process.report.getReport()).includes(GLIBC);
  const fd = openSync("/proc/self/exe", "r");
  try {
    const length = readSync(fd, head, 0, EXECUTABLE_HEAD_BYTES, 0);
    return head.subarray(0, length).includes("/ld-musl-");
  } finally {
    closeSync(fd);
  }
}

/** What a report of a Node that is linked to glibc has. */
const GLIBC = '"glibcVersionRuntime"';
