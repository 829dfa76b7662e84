/** The world of links in unit tests: a kernel in memory, a clock that is stepped, and what was said. */

import { Chains, Environment, parseLink } from "../../src/chain/index.ts";
import type { Launch, Link, LinkContext, LinkFinder, Outcome } from "../../src/chain/index.ts";
import { ProcessHost } from "../../src/host/index.ts";
import type { Signals } from "../../src/host/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { fakeLog } from "../support/fake-log.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

export interface World {
  readonly posix: FakePosix;
  readonly clock: FakeClock;
  /** `PROGRAM: KIND: TEXT`, oldest first. */
  readonly said: string[];
  /** Call the handlers of a signal. */
  raise(name: NodeJS.Signals): void;
  readonly context: LinkContext;
}

interface WorldOptions {
  /** The links that words stand for, wherever PATH leads. */
  readonly links?: readonly Link[];
  readonly isBecoming?: boolean;
}

export function newWorld({ links = [], isBecoming = true }: WorldOptions = {}): World {
  const posix = new FakePosix();
  const clock = new FakeClock();
  const said: string[] = [];
  const handlers = new Map<string, (name: NodeJS.Signals) => void>();
  const log = fakeLog(said);
  const signals: Signals = {
    on(names, handler) {
      for (const name of names) handlers.set(name, handler);
      return () => names.forEach((name) => handlers.delete(name));
    },
  };
  const host = new ProcessHost({ posix, clock, signals, log });
  const context: LinkContext = {
    posix,
    clock,
    isBecoming,
    host,
    children: host.children,
    report: log.report,
    signals,
    chains: new Chains({ finder: finderOf(links), fuses: true }),
  };
  return { posix, clock, said, context, raise: (name) => handlers.get(name)?.(name) };
}

/** PATH "elsewhere" leads to none of ours. */
function finderOf(links: readonly Link[]): LinkFinder {
  const byName = new Map(links.map((link) => [link.name, link]));
  return {
    ownCommand: (word, path) => (byName.has(word) && path !== "elsewhere" ? word : undefined),
    load: async (name) => byName.get(name),
    file: (name) => `/bin/of/ours/${name}`,
  };
}

export function launchOf(
  argv: readonly string[],
  variables: readonly string[] = [],
  facts: Partial<Launch> = {},
): Launch {
  return {
    argv,
    environment: Environment.of(variables),
    descriptors: new Map(),
    limits: new Map(),
    ...facts,
  };
}

/** Run one link by its command line. */
export async function runLink(
  link: Link,
  words: readonly string[],
  { context }: World,
  launch: Launch = launchOf([link.name, ...words]),
): Promise<Outcome> {
  return link.run(launch, parseLink(link, words).words, context);
}

/** The launch that a run goes on with; throws when it ended. */
export function launchAfter(outcome: Outcome): Launch {
  if (outcome.kind === "ended") throw new Error(`ended with ${outcome.exitCode}`);
  return outcome.launch;
}
