/** The engines of a server: one for each identity, started when they are needed. */

import type { Chains, Launch, LinkContext } from "../../chain/index.ts";
import type { ChildEnd } from "../../host/index.ts";
import { wordsOf } from "../../options/index.ts";
import { joinBlock, SystemError } from "../../posix/index.ts";
import type { Child, Identity, Pid } from "../../posix/index.ts";
import { TLS_ENGINE_OPTIONS } from "../options/tables.ts";
import { EngineClient } from "./engine-client.ts";
import type { EngineProcess } from "./running-engine.ts";

/** The command that runs an engine on its descriptor 0. */
const ENGINE = "ucspi-tls-engine";

const SIGKILL = 9;

/** The engines of each process, by identity. */
const ENGINES = new WeakMap<Chains, Map<string, EngineClient>>();

/**
 * The engine that runs as `identity` (undefined: as we do) for the servers of this process. It finds Node
 * by the PATH of `launch`, and has the limit of the heap that the launcher of this process was given.
 */
export function engineFor(
  identity: Identity | undefined,
  launch: Launch,
  context: LinkContext,
): EngineClient {
  const path = launch.environment.get("PATH");
  const engines = ENGINES.get(context.chains) ?? new Map<string, EngineClient>();
  ENGINES.set(context.chains, engines);
  const key = JSON.stringify([identity, path]);
  const known = engines.get(key);
  if (known !== undefined) return known;
  const processes = new EngineProcesses(context);
  const engine = new EngineClient({
    posix: context.posix,
    clock: context.clock,
    start: () => processes.add(startEngine(identity, launch, context)),
    gaveUp: (child, why) => processes.kill(child, why),
    failed: (speaker, message) => context.report(speaker, "fatal", message),
  });
  engines.set(key, engine);
  return engine;
}

function startEngine(
  identity: Identity | undefined,
  launch: Launch,
  { posix, chains }: LinkContext,
): EngineProcess {
  const [ours, theirs] = posix.socketPair("seqpacket");
  posix.setNonblocking(ours, true);
  posix.setNonblocking(theirs, true);
  const file = chains.finder.file(ENGINE);
  try {
    const child = posix.spawn({
      files: joinBlock([file]),
      argv: joinBlock([
        file,
        ...wordsOf(TLS_ENGINE_OPTIONS, { uid: identity?.uid, gid: identity?.gid }),
      ]),
      environment: joinBlock(environmentOf(launch)),
      descriptors: [0, theirs, 1, 2, 2, 2],
      closesOthers: true, // what programs inherit from us is none of its business
    });
    return { socket: ours, child };
  } catch (error) {
    posix.close(ours);
    throw error;
  } finally {
    posix.close(theirs);
  }
}

function environmentOf({ environment, launcher }: Launch): string[] {
  const path = environment.get("PATH");
  const heapMb = launcher?.heapMb;
  return [
    ...(path === undefined ? [] : [`PATH=${path}`]),
    ...(heapMb === undefined ? [] : [`UCSPI_HEAP_MB=${heapMb}`]),
  ];
}

/** The processes that have not been reaped. There is more than one while an engine that was given up ends. */
class EngineProcesses {
  readonly #context: LinkContext;
  readonly #states = new Map<Pid, "running" | "killed">();

  constructor(context: LinkContext) {
    this.#context = context;
  }

  /** Reap it as soon as it ends, whether it is in use or not. Until then it keeps no program alive. */
  add(engine: EngineProcess): EngineProcess {
    const { child } = engine;
    this.#states.set(child.pid, "running");
    this.#context.children.watch(
      child,
      { ended: (end) => this.#ended(child.pid, end) },
      { keepsAlive: false },
    );
    return engine;
  }

  kill({ pid }: Child, why: string): void {
    const { posix, report } = this.#context;
    report(ENGINE, "warning", `killed: ${why}; its connections are lost`);
    if (!this.#states.has(pid)) return; // it has ended by itself, and the pid may be another's
    this.#states.set(pid, "killed");
    posix.kill(pid, SIGKILL);
  }

  #ended(pid: Pid, { status, unexecuted }: ChildEnd): void {
    const state = this.#states.get(pid);
    this.#states.delete(pid);
    if (state === "killed") return;
    const how =
      status.kind === "killed" ? `by signal ${status.signal}` : `with code ${status.exitCode}`;
    const why = unexecuted instanceof SystemError ? `: ${unexecuted.message}` : "";
    this.#context.report(ENGINE, "warning", `ended ${how}${why}; its connections are lost`);
  }
}
