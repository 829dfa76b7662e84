/** A process that has not been born yet, as a value that links edit (design: "a chain is data"). */

import type { EnvironmentEdit } from "../net/index.ts";
import type { Fd, Identity, Limit, Pid, Resource, Session } from "../posix/index.ts";
import type { Environment } from "./environment.ts";
import { isOwnDescriptor } from "./own-descriptors.ts";

/** The object of a descriptor in the process: one of ours, or closed. */
export type Source = Fd | "closed";

/**
 * The relay of a link beside the process: a tunnel between descriptors of the launch and the
 * network. It lives until both its ends are done. Where the process never comes about it is aborted.
 */
export interface Companion {
  /**
   * The process, if it came about, has its descriptors: close our copies of them. Throws SystemError when a
   * close has failed, all the same with nothing left open.
   */
  release(pid: Pid | undefined): void;
  /** End it here and now, whatever it still holds. */
  abort(): void;
  /** Resolves when it is over; never rejects. */
  readonly ended: Promise<void>;
}

/** The connection a process is for, as the server counts it. */
export interface ServedConnection {
  /**
   * Count it as a connection of the client at this address too, for whom a proxy speaks, in place of one
   * that was named before. Returns how many others of that client are alive.
   */
  countAs(address: string): number;
}

/**
 * The claim of this process to the path of a socket, which keeps other servers from it. It ends with the
 * process, when that becomes another program, or when whoever serves the socket does so no more.
 */
export interface Claim {
  /** Give it up; the second time nothing happens. */
  release(): void;
}

/** Everything execve(2) and its predecessors decide. Descriptors not named are inherited. */
export interface Launch {
  /** The words that are still to be run: the next link's command line, in the end the program's. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly descriptors: ReadonlyMap<number, Source>;
  /** A child inherits no other descriptors above 2 than those that are named. */
  readonly closesOthers?: boolean;
  /** The signal that a child gets when the process that has spawned it ends. */
  readonly parentDeathSignal?: number;
  readonly limits: ReadonlyMap<Resource, Limit>;
  /** The link to name when the kernel refuses the limits. */
  readonly limitsChangedBy?: string;
  /** The signals ignored and blocked when this process was started (bit N - 1 for signal N), for programs. */
  readonly signals?: { readonly ignored: bigint; readonly blocked: bigint };
  /**
   * The settings of the launcher for this process, and for no program: a limit of the heap, in MiB, and what the
   * kernel adds to its score when memory runs out, with what it added before.
   */
  readonly launcher?: {
    readonly heapMb?: string;
    readonly oomScore?: { readonly value: number; readonly original: number };
  };
  /** Accumulated over the chain; `changedBy` is the link to name when the kernel refuses. */
  readonly identity?: Identity & { readonly changedBy: string };
  readonly session?: Session;
  /**
   * The directory in which the process begins: a path, or an open directory. It is entered before the identity changes,
   * with the rights of the process that spawns it, as `cd` before `s6-setuidgid` does. A link that sets
   * it has the reach `identity`, so that behind `s6-setuidgid` it runs with the new rights.
   */
  readonly directory?: string | Fd;
  /** The permission bits that files it makes will not have. */
  readonly umask?: number;
  /** The tunnels beside the process, in the order of the links that asked for it. */
  readonly companions?: readonly Companion[];
  /** Set by a server of ours, for the links that run in it. */
  readonly connection?: ServedConnection;
  /** Set by a link that has bound descriptor 0, for a server of ours in the same process. */
  readonly claim?: Claim;
}

export function withEnvironment(launch: Launch, edits: readonly EnvironmentEdit[]): Launch {
  return { ...launch, environment: launch.environment.with(edits) };
}

export function withDescriptors(
  launch: Launch,
  descriptors: Iterable<readonly [number, Source]>,
): Launch {
  return { ...launch, descriptors: new Map([...launch.descriptors, ...descriptors]) };
}

/** The number of no descriptor: calls on it fail with EBADF. */
const NO_DESCRIPTOR = -1 as Fd;

/**
 * The descriptor of this process that is number `number` in the process of a launch: the one it names,
 * or what is inherited under that number. Where the process has none, it is one on which every call
 * fails with EBADF, as it would there. A named one is not checked: it may have been closed since.
 */
export function descriptorAt({ descriptors }: Launch, number: number): Fd {
  const source = descriptors.get(number) ?? (isInherited(number) ? (number as Fd) : "closed");
  return source === "closed" ? NO_DESCRIPTOR : source;
}

/** Node takes none of the standard descriptors for itself. */
function isInherited(number: number): boolean {
  return number <= 2 || !isOwnDescriptor(number);
}

export function withCompanion(launch: Launch, companion: Companion): Launch {
  return { ...launch, companions: [...(launch.companions ?? []), companion] };
}

/** The process of this launch will not be: end what was set up beside it. */
export function abandon({ companions = [] }: Pick<Launch, "companions">): void {
  const [companion, ...others] = companions;
  if (companion === undefined) return;
  try {
    companion.release(undefined);
  } finally {
    companion.abort();
    abandon({ companions: others });
  }
}

export function withLimits(
  launch: Launch,
  limits: Iterable<readonly [Resource, Limit]>,
  changedBy: string,
): Launch {
  return {
    ...launch,
    limits: new Map([...launch.limits, ...limits]),
    limitsChangedBy: changedBy,
  };
}

/** Later parts replace earlier ones; parts that are absent stay as they were. */
export function withIdentity(launch: Launch, identity: Identity, changedBy: string): Launch {
  return { ...launch, identity: { ...launch.identity, ...identity, changedBy } };
}
