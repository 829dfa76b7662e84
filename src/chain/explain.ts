/**
 * The interpreter that does nothing: prints the chain as it would be run, which links would be fused,
 * and what the program would be born with. Only side-effect-free links are really run.
 */

import { previewStage } from "./chains.ts";
import type { Stage } from "./chains.ts";
import { parseLink } from "./link.ts";
import type { LinkContext } from "./link.ts";
import type { Launch } from "./launch.ts";

/** The text of `--explain` for a chain typed at a shell. */
export async function explain(first: Launch, context: LinkContext): Promise<string> {
  return `${(await explainChain(first, context, "")).join("\n")}\n`;
}

async function explainChain(
  first: Launch,
  context: LinkContext,
  indent: string,
): Promise<string[]> {
  const lines: string[] = [];
  let launch = first;
  let path = launch.environment.get("PATH");
  for (;;) {
    const stage = await stageOf(launch, path, context, launch === first);
    if (stage === undefined) break;
    lines.push(`${indent}${formatWords(ownWords(launch, stage))}`);
    lines.push(...describe(stage, launch, indent));
    const inner = "words" in stage ? stage.link.inner?.(stage.words, launch) : undefined;
    if (inner !== undefined) lines.push(...(await explainChain(inner, context, `${indent}    `)));
    path = launch.environment.get("PATH");
    const outcome = await previewStage(stage, launch, context);
    if (outcome.kind === "ended") {
      if (inner === undefined) lines.push(`${indent}  ends with exit code ${outcome.exitCode}`);
      return lines;
    }
    launch = outcome.launch;
  }
  if (launch.argv.length > 0) lines.push(`${indent}${formatWords(launch.argv)}`);
  return [...lines, ...formatBirth(launch, indent)];
}

/** The stage at the head of the chain. The first word of all is ours by whatever name it was called. */
async function stageOf(
  launch: Launch,
  path: string | undefined,
  context: LinkContext,
  isFirst: boolean,
): Promise<Stage | undefined> {
  const meaning = await context.chains.meaning(launch.argv, path);
  if (meaning !== "program") return meaning;
  const [name = "", ...words] = launch.argv;
  const link = isFirst ? await context.chains.finder.load(name) : undefined;
  return link === undefined ? undefined : { link, words: parseLink(link, words).words };
}

/** The words of this stage alone, without those of what follows. */
function ownWords(launch: Launch, stage: Stage): readonly string[] {
  const rest = "words" in stage ? stage.words.program.length : 0;
  return launch.argv.slice(0, launch.argv.length - rest);
}

function describe(stage: Stage, launch: Launch, indent: string): string[] {
  if (!("words" in stage)) return [];
  const sentences = stage.link.describe?.(stage.words, launch) ?? [];
  return sentences.map((sentence) => `${indent}  ${sentence}`);
}

/** Descriptors, environment edits, identity, limits and session of the program. */
function formatBirth(launch: Launch, indent: string): string[] {
  const facts = [
    ...Array.from(launch.descriptors, ([target, source]) =>
      source === "closed" ? `descriptor ${target}: closed` : `descriptor ${target}: ${source}`,
    ),
    ...launch.environment.edits.map(({ name, value }) =>
      value === undefined ? `environment: unset ${name}` : `environment: ${name}=${value}`,
    ),
    ...formatIdentity(launch),
    ...Array.from(launch.limits, ([resource, { soft, hard }]) => {
      return `limit ${resource}: soft ${soft}, hard ${hard}`;
    }),
    ...(launch.session === undefined ? [] : [`session: ${launch.session}`]),
  ];
  return facts.map((fact) => `${indent}  ${fact}`);
}

function formatIdentity({ identity }: Launch): string[] {
  if (identity === undefined) return [];
  const { groups, gid, uid } = identity;
  return [
    ...(groups === undefined ? [] : [`groups: ${groups.join(",")}`]),
    ...(gid === undefined ? [] : [`gid: ${gid}`]),
    ...(uid === undefined ? [] : [`uid: ${uid}`]),
  ];
}

/** Words as a shell would take them. */
function formatWords(words: readonly string[]): string {
  return words
    .map((word) => (PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}

const PLAIN = /^[\w@%+=:,./-]+$/;
