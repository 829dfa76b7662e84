/** s6-tcpserver-access: decide about a client before the program sees it (networking.md, section 7). */

import { openRules, rulesPath } from "../../access/index.ts";
import type { Rules, RulesSource } from "../../access/index.ts";
import { defineLink, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { VariableError } from "../../net/index.ts";
import { encodeBytes } from "../../posix/index.ts";
import { ACCESS_OPTIONS, admit, BANNER_BYTES_MAX, readClient } from "../index.ts";
import type { AccessOptions } from "../index.ts";

const NAME = "s6-tcpserver-access";

type Words = LinkWords<typeof ACCESS_OPTIONS>;

export const tcpserverAccess = defineLink({
  name: NAME,
  summary: "admit or refuse the client of a connection by rules, and find out who it is",
  family: "short",
  options: ACCESS_OPTIONS,
  operands: [],
  program: "required",
  reach: "identity",
  describe: ({ options }) => [
    options.rules === undefined
      ? "admits every client: there are no rules"
      : `admits clients by the rules in ${rulesPath(options.rules)}, and may set what these say`,
  ],
  preview: (launch, { options, program }) => goOn(preview(launch, options, program)),
  preload: async ({ options }) => (options.asksIdent ? import("../../ident/index.ts") : undefined),
  run(launch, words, context) {
    const bannerBytes = encodeBytes(words.options.banners.join("")).length;
    if (bannerBytes > BANNER_BYTES_MAX) {
      context.report(NAME, "fatal", "banner too long");
      return end(EXIT.usage);
    }
    return receive(launch, words, context);
  },
});

function receive(launch: Launch, words: Words, context: LinkContext): Outcome | Promise<Outcome> {
  const { options, program } = words;
  try {
    const { environment } = launch;
    const client = readClient((name) => environment.get(name), NAME, context.posix.getpid());
    const rules = rulesOf(words, context);
    return admit({ launch, program, client, options, rules, context });
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    context.report(NAME, "fatal", error.message);
    return end(EXIT.usage);
  }
}

/** Opened rules by the words that name them: a server opens them once for all its connections. */
const OPENED = new WeakMap<Words, Rules>();

function rulesOf(words: Words, context: LinkContext): Rules | undefined {
  const source = words.options.rules;
  if (source === undefined) return undefined;
  const known = OPENED.get(words);
  if (known !== undefined) return known;
  if (words.options.verbosity >= 1) warnOfNoDirectory(source, context);
  const rules = openRules(source, context.posix);
  OPENED.set(words, rules);
  return rules;
}

function warnOfNoDirectory(source: RulesSource, { posix, report }: LinkContext): void {
  if (!("directory" in source) || posix.fileVersion(source.directory) !== "ENOENT") return;
  report(
    NAME,
    "warning",
    `the directory ${source.directory} does not exist: no client will be admitted`,
  );
}

function preview(launch: Launch, options: AccessOptions, program: readonly string[]): Launch {
  const protocol = launch.environment.get("PROTO") ?? "TCP";
  const localHost = { name: `${protocol}LOCALHOST`, value: options.localHost };
  return { ...withEnvironment(launch, [localHost]), argv: program };
}
