/** Waiting for a descriptor, no longer than until a deadline. */

import type { Fd, Interest, Posix } from "../posix/index.ts";
import type { Deadline } from "./clock.ts";

/**
 * Resolves to true once the descriptor is ready, and to false once the deadline has passed, even if it is
 * ready all the time.
 */
export async function waitReady(
  posix: Posix,
  fd: Fd,
  interest: Interest,
  deadline: Deadline | undefined,
): Promise<boolean> {
  if (deadline?.hasPassed() === true) return false;
  return await new Promise((resolve) => {
    const watch = posix.watch(fd, interest, () => end(true));
    const timer = deadline?.setTimer(() => end(false));
    function end(isReady: boolean): void {
      timer?.cancel();
      watch.close();
      resolve(isReady);
    }
  });
}
