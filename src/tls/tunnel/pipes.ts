/** The two pipes between a program and the engine of its tunnel. */

import type { Fd, Posix } from "../../posix/index.ts";
import type { Ends } from "./wire.ts";

export interface Pipes {
  readonly program: Ends;
  readonly engine: Ends;
}

/** Close-on-exec, all four. Throws SystemError. */
export function openPipes(posix: Posix): Pipes {
  const [fromEngine, toProgram] = posix.pipe();
  const [fromProgram, toEngine] = orClose(posix, [fromEngine, toProgram], () => posix.pipe());
  return {
    program: { read: fromEngine, write: toEngine },
    engine: { read: fromProgram, write: toProgram },
  };
}

/** Open something more; if that fails, these are closed. */
export function orClose<T>(posix: Posix, fds: readonly Fd[], open: () => T): T {
  try {
    return open();
  } catch (error) {
    for (const fd of fds) posix.close(fd);
    throw error;
  }
}
