/**
 * Telling that a service is ready, on a descriptor that is closed afterwards. A reader who does not read
 * costs the service nothing: it serves already, and gives up telling after a while.
 */

import type { Clock } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { Outlet } from "./outlet.ts";

/** The time for which a reader may leave the descriptor full, in milliseconds. */
export const READINESS_MS = 10_000;

export interface Announcement {
  readonly fd: Fd;
  /** The bytes to write; none closes the descriptor at once. */
  readonly bytes: Uint8Array;
  /** It could not be written, or nobody has read for READINESS_MS; told at most once. */
  failed(why: string): void;
}

/** Write `bytes` to `fd` and close it, as soon as there is room for them. */
export function announce(
  { posix, clock }: { readonly posix: Posix; readonly clock: Clock },
  { fd, bytes, failed }: Announcement,
): void {
  const outlet = new Outlet(posix, fd);
  let rest = bytes;
  function finish(why?: string): void {
    expiry.cancel();
    outlet.close();
    if (posix.isOpen(fd)) posix.close(fd);
    if (why !== undefined) failed(why);
  }
  function write(): void {
    try {
      while (rest.length > 0) {
        const written = outlet.write(rest);
        if (written === undefined) return outlet.whenWritable(write);
        rest = rest.subarray(written);
      }
      finish();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      finish(error.message);
    }
  }
  const expiry = clock.setTimer(READINESS_MS, () => finish("no process reads it"));
  write();
}
