/** The engines of a server: one for each identity, started when they are needed. */

import { readdirSync } from "node:fs";
import { constants } from "node:os";
import { isOwnDescriptor } from "../../chain/index.ts";
import type { Chains, LinkContext } from "../../chain/index.ts";
import { Children } from "../../host/index.ts";
import { errnoOf, joinBlock, SystemError } from "../../posix/index.ts";
import type { Child, Fd, Identity, Posix } from "../../posix/index.ts";
import { EngineClient } from "./engine-client.ts";
import type { EngineProcess } from "./engine-client.ts";

/** The command that runs an engine on its descriptor 0. */
const ENGINE = "ucspi-tls-engine";

const SIGKILL = 9;

/** The engines of each process, by identity. */
const ENGINES = new WeakMap<Chains, Map<string, EngineClient>>();

/**
 * The engine that runs as `identity` (undefined: as we do) for the servers of this process. `path` is
 * where it finds Node.
 */
export function engineFor(
  identity: Identity | undefined,
  path: string | undefined,
  context: LinkContext,
): EngineClient {
  const engines = ENGINES.get(context.chains) ?? new Map<string, EngineClient>();
  ENGINES.set(context.chains, engines);
  const key = JSON.stringify([identity, path]);
  const known = engines.get(key);
  if (known !== undefined) return known;
  const children = new Children(context);
  const engine = new EngineClient({
    posix: context.posix,
    start: () => startEngine(identity, path, context),
    died: (child, why) => bury(child, why, children, context),
  });
  engines.set(key, engine);
  return engine;
}

function startEngine(
  identity: Identity | undefined,
  path: string | undefined,
  { posix, chains }: LinkContext,
): EngineProcess {
  const [ours, theirs] = posix.socketPair("seqpacket");
  posix.setNonblocking(ours, true);
  posix.setNonblocking(theirs, true);
  const file = chains.finder.file(ENGINE);
  try {
    const child = posix.spawn({
      files: joinBlock([file]),
      argv: joinBlock([file, ...identityWords(identity)]),
      environment: joinBlock(path === undefined ? [] : [`PATH=${path}`]),
      descriptors: [0, theirs, 1, 2, 2, 2, ...inherited(posix).flatMap((fd) => [fd, -1])],
    });
    return { socket: ours, child };
  } catch (error) {
    posix.close(ours);
    throw error;
  } finally {
    posix.close(theirs);
  }
}

function identityWords(identity: Identity | undefined): string[] {
  if (identity === undefined) return [];
  const { uid, gid } = identity;
  return [
    ...(gid === undefined ? [] : [`--gid=${gid}`]),
    ...(uid === undefined ? [] : [`--uid=${uid}`]),
  ];
}

/** What programs inherit from us is none of the engine's business. */
function inherited(posix: Posix): Fd[] {
  return openNumbers(posix).filter(
    (fd): fd is Fd => fd > 2 && posix.isOpen(fd) && !isOwnDescriptor(fd),
  );
}

/** Throws SystemError, which costs the connection that wants an engine and no other. */
function openNumbers(posix: Posix): number[] {
  try {
    return readdirSync("/proc/self/fd").map(Number);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    const errno: Readonly<Record<string, number>> = constants.errno;
    throw new SystemError(code, errno[code] ?? 0, "opendir", posix.strerror(code));
  }
}

/** An engine that is gone is reaped; one that cannot be trusted is ended first. */
function bury(
  child: Child,
  why: string | undefined,
  children: Children,
  { posix, report }: LinkContext,
): void {
  if (why !== undefined) {
    report(ENGINE, "warning", `killed, for it said what makes no sense: ${why}`);
    posix.kill(child.pid, SIGKILL);
  }
  children.watch(child, {
    ended({ status, unexecuted }) {
      if (why !== undefined) return;
      const how =
        status.kind === "killed" ? `by signal ${status.signal}` : `with code ${status.exitCode}`;
      const reason = unexecuted instanceof SystemError ? `: ${unexecuted.message}` : "";
      report(ENGINE, "warning", `ended ${how}${reason}; its connections are lost`);
    },
  });
}
