/**
 * The interpreter for a chain typed at a shell: run each link, then turn this process into the
 * program. A new identity is taken before anything else happens; what else a link decides about this
 * very process is applied as soon as a later link depends on it, and otherwise just before execve.
 */

import { writeFileSync } from "node:fs";
import { errnoOf, joinBlock, SystemError } from "../posix/index.ts";
import type { Fd, Identity, Posix } from "../posix/index.ts";
import { askersOf, blameFor } from "./blame.ts";
import { runStage, stageReach } from "./chains.ts";
import { execFailureCode, EXIT } from "./exit.ts";
import { handOn } from "./inherit.ts";
import type { Launch, Source } from "./launch.ts";
import { holdsProcessLocks } from "./own-descriptors.ts";
import { handOnSettings } from "./own-settings.ts";
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
    if (stageReach(stage) !== "anywhere" || launch.identity !== undefined) {
      const settled = settle(launch, last, context);
      if (typeof settled === "number") return settled;
      launch = settled;
    }
    last = stage.link.name;
    path = launch.environment.get("PATH");
    const outcome = await runStage(stage, launch, context);
    if (outcome.kind === "ended") return outcome.exitCode;
    launch = outcome.launch;
    if (outcome.kind === "execute") return executeProgram({ launch, by: last, path }, context);
  }
}

/** The words to execute, the program that executes them and the PATH that it searches. */
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
  const settled = settle(launch, by, context);
  if (typeof settled === "number") return settled;
  const last = isOurs
    ? handOn(handOnSettings(settled), context.posix)
    : withoutOomScore(settled, by, context);
  if (typeof last === "number") return last;
  return execute(last, candidateFiles(word, path), by, context);
}

function execute(
  launch: Launch,
  files: readonly string[],
  by: string,
  { posix, host, report }: LinkContext,
): number {
  host.log.flush();
  try {
    if (takesNumbersOfNode(launch) && !holdsProcessLocks()) posix.unshareDescriptors();
    moveDescriptors(launch.descriptors, posix, () => true);
    for (const fd of closedOnes(launch)) if (posix.isOpen(fd)) posix.close(fd);
    for (const [resource, limit] of launch.limits) posix.setrlimit(resource, limit);
    const environment = Buffer.concat([...Object.values(launch.environment.blocks())]);
    return posix.execve(joinBlock(files), joinBlock(launch.argv), environment);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const { who, text } = blameFor(error, askersOf(launch, by));
    report(who, "fatal", text);
    return error.syscall === "execve" ? execFailureCode(error.code) : EXIT.system;
  }
}

/**
 * Is a descriptor to get a number that may be Node's own? Node's threads run until the exec, and must
 * not see theirs change.
 */
function takesNumbersOfNode({ descriptors }: Launch): boolean {
  return [...descriptors].some(([target, source]) => target > 2 && source !== target);
}

function closedOnes({ descriptors }: Launch): number[] {
  return [...descriptors].flatMap(([target, source]) => (source === "closed" ? [target] : []));
}

/**
 * Apply to this process what the launch says about it, as far as a later link may depend on it and
 * Node can live with it. The limits stay: ours would have to live under them. So do closed descriptors,
 * lest a file of ours get their numbers, and descriptors above 2, whose numbers may be Node's own.
 * The exit code if the kernel refuses.
 */
function settle(launch: Launch, by: string, context: LinkContext): Launch | number {
  const { posix, report } = context;
  const { identity, session, directory, umask, ...rest } = launch;
  try {
    if (directory !== undefined) enterDirectory(directory, posix);
    if (umask !== undefined) posix.umask(umask);
    const descriptors = moveDescriptors(launch.descriptors, posix, (target) => target <= 2);
    if (session !== undefined) changeSession(session, posix);
    if (identity === undefined) return { ...rest, descriptors };
    raiseLimits(launch, posix);
    const left = withoutOomScore({ ...rest, descriptors }, by, context);
    if (typeof left === "number") return left;
    changeIdentity(identity, posix);
    return left;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const { who, text } = blameFor(error, askersOf(launch, by));
    report(who, "fatal", text);
    return EXIT.system;
  }
}

/**
 * The score for when memory runs out as it was before the launcher changed it: no program inherits that. Nor
 * does a process that changes its identity keep it, which could not reset it in children any more.
 */
function withoutOomScore(launch: Launch, by: string, { report }: LinkContext): Launch | number {
  const { oomScore, ...others } = launch.launcher ?? {};
  if (oomScore === undefined) return launch;
  try {
    writeFileSync("/proc/self/oom_score_adj", String(oomScore.original));
    return { ...launch, launcher: others };
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    report(by, "fatal", `unable to reset /proc/self/oom_score_adj: ${code}`);
    return EXIT.system;
  }
}

function changeSession(session: NonNullable<Launch["session"]>, posix: Posix): void {
  if (session === "setsid") posix.setsid();
  else posix.setpgid(0, 0);
}

function enterDirectory(directory: string | Fd, posix: Posix): void {
  if (typeof directory === "string") posix.chdir(directory);
  else posix.chdirTo(directory);
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

/**
 * Give descriptors their numbers, those whose number `isDue` and those that have it already, first
 * moving sources that are in the way. Returns what is left to do.
 */
function moveDescriptors(
  descriptors: Launch["descriptors"],
  posix: Posix,
  isDue: (target: number) => boolean,
): Map<number, Source> {
  const above = Math.max(2, ...descriptors.keys()) + 1;
  const due: Move[] = [];
  const left = new Map<number, Source>();
  for (const [target, source] of descriptors) {
    if (source !== "closed" && (source === target || isDue(target))) due.push({ target, source });
    else left.set(target, source);
  }
  for (const [target, source] of left) {
    if (source !== "closed" && due.some((move) => move.target === source)) {
      left.set(target, posix.dup(source, above));
    }
  }
  const staged = due.map(({ target, source }) => ({
    target,
    source: source === target ? source : posix.dup(source, above),
  }));
  for (const { target, source } of staged) place(target, source, posix);
  const kept = new Set<Source>([...left.values(), ...due.map(({ target }) => target as Fd)]);
  for (const { source } of due) {
    if (kept.has(source)) continue;
    kept.add(source);
    posix.close(source);
  }
  return left;
}

interface Move {
  readonly target: number;
  readonly source: Fd;
}

function place(target: number, source: Fd, posix: Posix): void {
  if (source === target) {
    posix.setCloseOnExec(source, false);
    return;
  }
  posix.dup2(source, target);
  posix.close(source);
}
