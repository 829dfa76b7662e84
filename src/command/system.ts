/** The world of this process, for the library: what commands get from the launcher. */

import { join } from "node:path";
import { Chains } from "../chain/index.ts";
import type { Report, Signals } from "../chain/index.ts";
import { systemClock } from "../clock/index.ts";
import type { Clock } from "../clock/index.ts";
import { encodeBytes, loadPosix, packageRoot, SystemError, writeFully } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { launcherFinder } from "./finder.ts";

/** What servers and chains in this process work with. */
export interface System {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly chains: Chains;
  readonly signals: Signals;
  readonly report: Report;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

export function defaultSystem(): System {
  const posix = loadPosix();
  return {
    posix,
    clock: systemClock,
    chains: openChains(join(packageRoot(), "bin"), true),
    signals: processSignals,
    report: reporter(posix),
    variables: process.env,
  };
}

/** The chains of the launchers in `directory`. */
export function openChains(directory: string, fuses: boolean): Chains {
  return new Chains({ finder: launcherFinder(directory), fuses });
}

export const processSignals: Signals = {
  on(names, handler) {
    for (const name of names) process.on(name, handler);
    return () => {
      for (const name of names) process.off(name, handler);
    };
  },
};

/** Writes each message to descriptor 2 in one piece. */
export function reporter(posix: Posix): Report {
  return (program, kind, text) => {
    try {
      writeFully(posix, 2 as Fd, encodeBytes(`${program}: ${kind}: ${text}\n`));
    } catch (error) {
      // Nobody reads our stderr any more; there is no other place to say so.
      if (!(error instanceof SystemError)) throw error;
    }
  };
}
