/** The world of a link in tests: a fake kernel, a clock to step, and links that the test declares. */

import { Chains } from "../../src/chain/index.ts";
import type { Link, LinkContext } from "../../src/chain/index.ts";
import { ProcessHost } from "../../src/host/index.ts";
import type { Signals } from "../../src/host/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { fakeLog } from "../support/fake-log.ts";
import { FakeKernel } from "./fake-kernel.ts";

export interface FakeWorld {
  readonly kernel: FakeKernel;
  readonly clock: FakeClock;
  /** The lines on stderr. */
  readonly said: string[];
  readonly context: LinkContext;
  /** Tell this process that a child of its has ended. */
  sigchld(): void;
}

/** A world in which these links, and no other words, are ours. */
export function fakeWorld(links: readonly Link[] = []): FakeWorld {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const said: string[] = [];
  const handlers = new Set<() => void>();
  const find = (word: string): Link | undefined => links.find(({ name }) => name === word);
  const finder = {
    ownCommand: (word: string) => find(word)?.name,
    load: (name: string) => Promise.resolve(find(name)),
    file: (name: string) => `/bin/${name}`,
  };
  const log = fakeLog(said);
  const signals: Signals = {
    on(names, handler) {
      const onSigchld = (): void => handler("SIGCHLD");
      if (names.includes("SIGCHLD")) handlers.add(onSigchld);
      return () => void handlers.delete(onSigchld);
    },
  };
  const host = new ProcessHost({ posix: kernel.posix, clock, signals, log });
  const context: LinkContext = {
    posix: kernel.posix,
    clock,
    host,
    children: host.children,
    report: log.report,
    signals,
    chains: new Chains({ finder, fuses: true }),
    isBecoming: false,
  };
  function sigchld(): void {
    for (const handler of [...handlers]) handler();
  }
  return { kernel, clock, said, context, sigchld };
}

/** Let everything that promises have made ready run. */
export async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}
