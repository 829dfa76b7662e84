/** Waiting for a descriptor, no longer than until a deadline. */

import type { Deadline } from "../clock/index.ts";
import type { Fd, Interest, Posix } from "../posix/index.ts";

/** Resolves to true once the descriptor is ready, and to false once the deadline has passed. */
export async function waitReady(
  posix: Posix,
  fd: Fd,
  interest: Interest,
  deadline: Deadline | undefined,
): Promise<boolean> {
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
