/** The real kernel: the calls of all families, through the addon. Nothing else loads it. */

import { nativeClocks } from "./clocks.ts";
import { nativeDescriptors } from "./descriptors.ts";
import { Watcher } from "./event-loop.ts";
import { nativeFiles } from "./files.ts";
import { nativeAttributes } from "./attributes.ts";
import { loadAddon, type Addon } from "./native-addon.ts";
import { nativeLocks } from "./locks.ts";
import { nativeNames } from "./names.ts";
import { nativePaths } from "./paths.ts";
import { nativeOutput } from "./output.ts";
import type { Posix } from "./posix.ts";
import { nativeProcesses } from "./processes.ts";
import { nativeSockets } from "./sockets.ts";
import { nativeSpawn } from "./spawn.ts";

let loaded: Posix | undefined;

/** The calls of this environment's kernel. The addon is loaded by the first call. */
export function loadPosix(): Posix {
  loaded ??= nativePosix(loadAddon());
  return loaded;
}

function nativePosix(addon: Addon): Posix {
  const watcher = new Watcher(addon);
  const spawned = new Set<number>();
  return {
    ...nativeProcesses(addon, spawned),
    ...nativeSpawn(addon, spawned),
    ...nativeAttributes(addon, forgetWorkingDirectory),
    ...nativeDescriptors(addon, (fd) => watcher.forget(fd)),
    ...nativeOutput(addon),
    ...nativeFiles(addon),
    ...nativePaths(addon),
    ...nativeLocks(addon),
    ...nativeSockets(addon),
    watch: (fd, interest, ready) => watcher.watch(fd, interest, ready),
    ...nativeNames(addon),
    ...nativeClocks(addon),
  };
}

/**
 * Node caches the working directory, and has no other way to make it ask the kernel again than to change
 * to where we are.
 */
function forgetWorkingDirectory(): void {
  try {
    process.chdir(".");
  } catch {
    // In a worker, which may not do this, or in a directory that this process cannot search.
  }
}
