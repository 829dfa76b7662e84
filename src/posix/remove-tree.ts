/** Removing a directory with all that is in it. */

import { errnoOf, type Fd } from "./kernel.ts";
import type { Posix } from "./posix.ts";

/** The calls that removing takes. */
export type RemovingPosix = Pick<Posix, "open" | "close" | "readDirectory" | "unlink" | "rmdir">;

/**
 * Remove a file or a directory with all that is in it; nothing is done when there is none. Symbolic
 * links are removed, never followed. Throws SystemError.
 */
export function removeTree(posix: RemovingPosix, path: string, at?: Fd): void {
  try {
    posix.unlink(path, at);
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT") return;
    if (code !== "EISDIR" && code !== "EPERM") throw error;
    empty(posix, path, at);
    posix.rmdir(path, at);
  }
}

/** Each round lists anew, for entries that go may hide others that are still there. */
function empty(posix: RemovingPosix, path: string, at: Fd | undefined): void {
  for (;;) {
    const fd = posix.open(path, "read", { directory: true, noFollow: true, at });
    try {
      const entries = posix.readDirectory(fd);
      if (entries.length === 0) return;
      for (const { name } of entries) removeTree(posix, name, fd);
    } finally {
      posix.close(fd);
    }
  }
}
