/** Reading files that should be short, however long they are. */

import type { Posix } from "./posix.ts";

/**
 * The first `bytesMax` bytes of a file, or all it has. Blocks until they are there, unless it is opened
 * nonblocking; then what is not there yet counts as the end. Throws SystemError.
 */
export function readHead(
  posix: Posix,
  path: string,
  bytesMax: number,
  options: { readonly nonblocking?: boolean } = {},
): Uint8Array {
  const fd = posix.open(path, "read", options);
  try {
    const bytes = new Uint8Array(bytesMax);
    let used = 0;
    for (let count = -1; count !== 0 && used < bytesMax; used += count) {
      count = posix.read(fd, bytes.subarray(used)) ?? 0;
    }
    return bytes.subarray(0, used);
  } finally {
    posix.close(fd);
  }
}
