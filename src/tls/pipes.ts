/** The two pipes between a program and the engine of its tunnel. */

import type { Posix } from "../posix/index.ts";
import type { Ends } from "./wire.ts";

export interface Pipes {
  readonly program: Ends;
  readonly engine: Ends;
}

/** Close-on-exec, all four. Throws SystemError. */
export function openPipes(posix: Posix): Pipes {
  const [fromEngine, toProgram] = posix.pipe();
  try {
    const [fromProgram, toEngine] = posix.pipe();
    return {
      program: { read: fromEngine, write: toEngine },
      engine: { read: fromProgram, write: toProgram },
    };
  } catch (error) {
    posix.close(fromEngine);
    posix.close(toProgram);
    throw error;
  }
}
