/** The world of this process, for the library: what commands get from the launcher. */

import { join } from "node:path";
import { Chains } from "../chain/index.ts";
import { systemClock } from "../clock/index.ts";
import type { Clock } from "../clock/index.ts";
import { ProcessHost, SharedSignals, StderrLog } from "../host/index.ts";
import type { Children, Host, Log, Report, Signals } from "../host/index.ts";
import { loadPosix, packageRoot } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";
import { launcherFinder } from "./finder.ts";

/** What servers and chains in this process work with. */
export interface System {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly chains: Chains;
  readonly signals: Signals;
  readonly children: Children;
  readonly host: Host;
  readonly report: Report;
  readonly variables: Readonly<Record<string, string | undefined>>;
}

let shared: System | undefined;

/** The one that all servers of this process share. */
export function defaultSystem(): System {
  shared ??= openSystem();
  return shared;
}

function openSystem(): System {
  const posix = loadPosix();
  const log = new StderrLog({ posix, clock: systemClock });
  const host = new ProcessHost({ posix, clock: systemClock, signals: processSignals, log });
  return {
    posix,
    clock: systemClock,
    chains: openChains(join(packageRoot(), "dist", "bin"), true),
    signals: processSignals,
    children: host.children,
    host,
    report: log.report,
    variables: process.env,
  };
}

/** The chains of the launchers in `directory`. */
export function openChains(directory: string, fuses: boolean): Chains {
  return new Chains({ finder: launcherFinder(directory, packageRoot()), fuses });
}

/** The host of a process that is all ours: that of a command. */
export function openCommandHost(posix: Posix, log: Log): Host {
  return new ProcessHost({
    posix,
    clock: systemClock,
    signals: processSignals,
    log,
    ownsProcess: true,
  });
}

/** The signals of this process. */
export const processSignals: Signals = new SharedSignals({
  on(names, handler) {
    for (const name of names) process.on(name, handler);
    return () => {
      for (const name of names) process.off(name, handler);
    };
  },
});
