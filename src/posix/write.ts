/** Writing all of something to a descriptor whose other end may be slow. */

import type { Fd, Posix } from "./posix.ts";

/** Write every byte, waiting (and blocking the process) while the descriptor is full. */
export function writeFully(posix: Posix, fd: Fd, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0;) {
    const written = posix.write(fd, rest);
    if (written === undefined) posix.waitReady(fd, { writable: true }, -1);
    else rest = rest.subarray(written);
  }
}
