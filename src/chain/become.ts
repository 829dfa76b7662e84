/**
 * The interpreter for a chain typed at a shell: run each link, then turn this process into the
 * program. What a link decides about this very process (identity, descriptors, session) is applied as
 * soon as a later link depends on it, and otherwise just before execve.
 */

import { joinBlock, SystemError } from "../posix/index.ts";
import type { Fd, Identity, Posix } from "../posix/index.ts";
import { runStage } from "./chains.ts";
import { execFailureCode, EXIT } from "./exit.ts";
import { handOn } from "./inherit.ts";
import type { Launch } from "./launch.ts";
import type { LinkContext } from "./link.ts";
import { candidateFiles } from "./search.ts";

/**
 * Run a chain in this process. Returns only if no program was executed: the exit code of the link
 * that ended the chain, or of the failure to execute. `by` is who speaks before any link has run.
 */
export async function become(first: Launch, by: string, context: LinkContext): Promise<number> {
  let launch = first;
  let last = by;
  let path = launch.environment.get("PATH");
  for (;;) {
    const stage = await context.chains.meaning(launch.argv, path);
    if (stage === "program") return executeProgram({ launch, by: last, path }, context);
    if (stage.link.reach !== "anywhere") {
      const settled = settle(launch, context);
      if (typeof settled === "number") return settled;
      launch = settled;
    }
    last = stage.link.name;
    path = launch.environment.get("PATH");
    const outcome = await runStage(stage, launch, context);
    if (outcome.kind === "ended") return outcome.exitCode;
    launch = outcome.launch;
  }
}

/** What is to be executed, who executes it and where that one searches. */
interface Execution {
  readonly launch: Launch;
  readonly by: string;
  readonly path: string | undefined;
}

/** Become the program at the head of `launch.argv`; nothing left to run is a success. */
function executeProgram({ launch, by, path }: Execution, context: LinkContext): number {
  const [word = ""] = launch.argv;
  if (word === "") return EXIT.ok;
  const isOurs = context.chains.finder.ownCommand(word, path) !== undefined;
  const settled = settle(isOurs ? handOn(launch, context.posix) : launch, context);
  if (typeof settled === "number") return settled;
  return execute(settled, candidateFiles(word, path), by, context);
}

function execute(
  launch: Launch,
  files: readonly string[],
  by: string,
  { posix, report }: LinkContext,
): number {
  const [word = ""] = launch.argv;
  try {
    for (const fd of launch.descriptors.keys()) if (posix.isOpen(fd)) posix.close(fd);
    for (const [resource, limit] of launch.limits) posix.setrlimit(resource, limit);
    const environment = Buffer.concat([...Object.values(launch.environment.blocks())]);
    return posix.execve(joinBlock(files), joinBlock(launch.argv), environment);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const isExec = error.syscall === "execve";
    const action = isExec ? `exec ${word}` : error.syscall;
    report(by, "fatal", `unable to ${action}: ${error.message}`);
    return isExec ? execFailureCode(error.code) : EXIT.system;
  }
}

/**
 * Apply to this process what the launch says about it, but for the limits: ours would have to live
 * under them. The exit code if the kernel refuses.
 */
function settle(launch: Launch, { posix, report }: LinkContext): Launch | number {
  const { identity, session, ...rest } = launch;
  try {
    moveDescriptors(launch.descriptors, posix);
    if (session !== undefined) changeSession(session, posix);
    if (identity !== undefined) raiseLimits(launch, posix);
    if (identity !== undefined) changeIdentity(identity, posix);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(identity?.changedBy ?? "ucspi", "fatal", `unable to ${error.syscall}: ${error.message}`);
    return EXIT.system;
  }
  return { ...rest, descriptors: new Map(closedOnes(launch.descriptors)) };
}

/** What was closed at birth stays open here until the end, so that no file of ours gets its number. */
function closedOnes(descriptors: Launch["descriptors"]): [number, "closed"][] {
  const entries = Array.from(descriptors, ([target, source]) => ({ target, source }));
  return entries.flatMap(({ target, source }) => (source === "closed" ? [[target, source]] : []));
}

function changeSession(session: NonNullable<Launch["session"]>, posix: Posix): void {
  if (session === "setsid") posix.setsid();
  else posix.setpgid(0, 0);
}

function changeIdentity({ groups, gid, uid }: Identity, posix: Posix): void {
  if (groups !== undefined) posix.setgroups(groups);
  if (gid !== undefined) posix.setgid(gid);
  if (uid !== undefined) posix.setuid(uid);
}

/** Hard limits above today's need the rights that the identity change gives up. */
function raiseLimits({ limits }: Launch, posix: Posix): void {
  for (const [resource, { hard }] of limits) {
    const current = posix.getrlimit(resource);
    if (hard > current.hard) posix.setrlimit(resource, { soft: current.soft, hard });
  }
}

/** Give the descriptors their numbers, first moving the sources that are in the way. */
function moveDescriptors(descriptors: Launch["descriptors"], posix: Posix): void {
  const above = Math.max(2, ...descriptors.keys()) + 1;
  const staged = [...descriptors].flatMap(([target, source]) =>
    source === "closed"
      ? []
      : [{ target, source: source === target ? source : posix.dup(source, above) }],
  );
  for (const { target, source } of staged) place(target, source, posix);
  for (const source of new Set(descriptors.values())) {
    if (source !== "closed" && !descriptors.has(source)) posix.close(source);
  }
}

function place(target: number, source: Fd, posix: Posix): void {
  if (source === target) {
    posix.setCloseOnExec(source, false);
    return;
  }
  posix.dup2(source, target);
  posix.close(source);
}
