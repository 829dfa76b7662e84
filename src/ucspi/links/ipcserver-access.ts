/** s6-ipcserver-access: decide about a local client before the program sees it (local-services.md, 6.4). */

import { openRules, rulesPath } from "../../access/index.ts";
import type { Rules, RulesSource } from "../../access/index.ts";
import { defineLink, descriptorAt, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { IPC, ipcNames, PROTO, readIpcClient, VariableError } from "../../net/index.ts";
import type { IpcClient } from "../../net/index.ts";
import { UsageError } from "../../options/index.ts";
import { encodeBytes, SystemError, writeFully } from "../../posix/index.ts";
import { admitLocally, checkLocally, IPC_ACCESS_OPTIONS } from "../index.ts";

const NAME = "s6-ipcserver-access";

type Words = LinkWords<typeof IPC_ACCESS_OPTIONS>;

export const ipcserverAccess = defineLink({
  name: NAME,
  summary: "admit or refuse the client of a local connection by rules on users and groups",
  family: "short",
  options: IPC_ACCESS_OPTIONS,
  operands: [],
  program: "optional",
  reach: "identity",
  describe: ({ options }) => [
    options.rules === undefined
      ? "admits every client: there are no rules"
      : `admits clients by the rules in ${rulesPath(options.rules)}, and may set what these say`,
  ],
  preview: (launch, { options, program }) => goOn(preview(launch, options, program)),
  run(launch, words, context) {
    if (words.options.check !== undefined) return check(launch, words, context);
    if ((words.program[0] ?? "") === "") throw new UsageError("missing operand: prog", true);
    const client = clientOf(launch, context);
    if (client === undefined) return end(EXIT.usage);
    const { options, program } = words;
    const rules = rulesOf(words, context);
    return admitLocally({ reporter: NAME, launch, program, client, options, rules, context });
  },
});

/** Undefined, and reported, where the environment describes no client. */
function clientOf({ environment }: Launch, { report }: LinkContext): IpcClient | undefined {
  try {
    return readIpcClient((name) => environment.get(name));
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    report(NAME, "fatal", error.message);
    return undefined;
  }
}

/** Opened rules by the words that name them: a server opens them once for all its connections. */
const OPENED = new WeakMap<Words, { readonly rules: Rules | undefined }>();

function rulesOf(words: Words, context: LinkContext): Rules | undefined {
  const known = OPENED.get(words);
  if (known !== undefined) return known.rules;
  const source = words.options.rules;
  const warning = warningAbout(source, words, context);
  if (warning !== undefined) context.report(NAME, "warning", warning);
  const rules = source && openRules(source, context.posix);
  OPENED.set(words, { rules });
  return rules;
}

function warningAbout(
  source: RulesSource | undefined,
  { options: { verbosity } }: Words,
  { posix }: LinkContext,
): string | undefined {
  if (source === undefined) return verbosity >= 2 ? "invoked without a ruleset!" : undefined;
  if (verbosity < 1 || !("directory" in source)) return undefined;
  if (posix.fileVersion(source.directory) !== "ENOENT") return undefined;
  return `the directory ${source.directory} does not exist: no client will be admitted`;
}

/** Show what the rules say about the client of `--check`. */
function check(launch: Launch, { options, program }: Words, context: LinkContext): Outcome {
  const { rules: source, check: ids } = options;
  if (ids === undefined || source === undefined) throw new UsageError("no rules to check", true);
  const [word] = program;
  if (word !== undefined) throw new UsageError(`unexpected operand: ${word}`, true);
  const { posix, report } = context;
  const { lines, exitCode } = checkLocally(openRules(source, posix), ids, posix);
  try {
    writeFully(posix, descriptorAt(launch, 1), encodeBytes(`${lines.join("\n")}\n`));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(NAME, "fatal", `unable to write to stdout: ${error.message}`);
    return end(EXIT.system);
  }
  return end(exitCode);
}

function preview(launch: Launch, options: Words["options"], program: readonly string[]): Launch {
  const protocol = launch.environment.get(PROTO) ?? IPC;
  const { localPath, ...others } = ipcNames(protocol);
  const told = { name: localPath, value: options.localName ?? `<${localPath}>` };
  const taken = [PROTO, localPath, ...Object.values(others)].map((name) => ({
    name,
    value: undefined,
  }));
  const edits = options.setsVariables ? [told] : taken;
  return { ...withEnvironment(launch, edits), argv: program };
}
