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

/** Write every byte to a file, from a position on. */
export function writeFullyAt(
  posix: Pick<Posix, "writeAt">,
  fd: Fd,
  bytes: Uint8Array,
  position: number,
): void {
  for (let done = 0; done < bytes.length;) {
    done += posix.writeAt(fd, bytes.subarray(done), position + done) ?? 0;
  }
}

/** The rest of these buffers once the first `count` of their bytes have been written. */
export function afterBytes(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  let skipped = 0;
  for (const [at, buffer] of buffers.entries()) {
    const isPast = skipped + buffer.length > count;
    if (isPast) return [buffer.subarray(count - skipped), ...buffers.slice(at + 1)];
    skipped += buffer.length;
  }
  return [];
}
