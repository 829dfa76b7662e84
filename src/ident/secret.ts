/** The secret behind pseudonyms, from a file: its bytes, less one newline at the end. */

import { readHead } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";

/** Less could be found out by trying; more is not a secret but another file. */
export const SECRET_BYTES_MIN = 16;
export const SECRET_BYTES_MAX = 1024;

const NEWLINE = 0x0a;

/**
 * Read a secret. Throws SystemError, UnfitFile for what is not a regular file, and RangeError
 * for a file that is too short or too long.
 */
export function readSecret(posix: Posix, path: string): Uint8Array {
  const bytes = readHead(posix, path, SECRET_BYTES_MAX + 2);
  const secret = bytes.at(-1) === NEWLINE ? bytes.subarray(0, -1) : bytes;
  if (secret.length < SECRET_BYTES_MIN || secret.length > SECRET_BYTES_MAX) {
    throw new RangeError(`a secret has ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes`);
  }
  return secret;
}
