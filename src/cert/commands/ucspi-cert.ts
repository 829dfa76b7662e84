/** ucspi-cert: a development authority, certificates of servers and clients, and old PKCS #12 files. */

import { defineCommand, orFatal } from "../../command/index.ts";
import { UsageError } from "../../options/index.ts";
import { explainCertFailure } from "../index.ts";
import { importFile, makeCa, makeClient, makeServer, NAME, show } from "./actions/actions.ts";
import { OPTIONS } from "./actions/options.ts";

import type { CommandContext } from "../../command/index.ts";
import type { Options } from "./actions/options.ts";

/** An action, by the word in front: it gets the operands after it. */
interface Action {
  readonly operands: string;
  readonly operandCount: readonly [number, number];
  /** The options that mean something to it. */
  readonly takes: readonly (keyof Options)[];
  run(context: CommandContext, options: Options, operands: readonly string[]): Promise<void>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  ca: {
    operands: "dir",
    operandCount: [1, 1],
    takes: ["keyType", "days", "name", "force"],
    run: makeCa,
  },
  server: {
    operands: "dir name...",
    operandCount: [2, Infinity],
    takes: ["keyType", "days", "force", "renew"],
    run: makeServer,
  },
  client: {
    operands: "dir name",
    operandCount: [2, 2],
    takes: ["keyType", "days", "force", "renew"],
    run: makeClient,
  },
  show: { operands: "file", operandCount: [1, 1], takes: [], run: show },
  import: {
    operands: "file dir [name]",
    operandCount: [2, 3],
    takes: ["force", "passphraseFile"],
    run: importFile,
  },
};

export const ucspiCert = defineCommand({
  name: NAME,
  summary: "make development certificates, and import old PKCS #12 files",
  family: "long",
  options: OPTIONS,
  operands: "ca|server|client|show|import path [name...]",
  operandCount: [1, Infinity],
  mixes: true,
  async run(context, options, [word = "", ...operands]) {
    const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word] : undefined;
    if (action === undefined) throw new UsageError(`no such action: ${word}`, true);
    checkOperands(word, action, operands.length);
    checkOptions(word, action, options);
    try {
      await action.run(context, options, operands);
    } catch (error) {
      orFatal(
        (failure) => explainCertFailure(context.posix, failure),
        () => {
          throw error;
        },
      );
    }
  },
});

function checkOperands(word: string, { operands, operandCount }: Action, count: number): void {
  const [least, most] = operandCount;
  if (count >= least && count <= most) return;
  throw new UsageError(
    `${count < least ? "too few" : "too many"} operands: ${word} ${operands}`,
    true,
  );
}

/** An option that would be ignored is a mistake. */
function checkOptions(word: string, { takes }: Action, options: Options): void {
  for (const [key, { initial, forms }] of Object.entries(OPTIONS)) {
    const isGiven = Object.entries(options).some(
      ([name, given]) => name === key && given !== initial,
    );
    if (!isGiven || takes.some((name) => name === key)) continue;
    throw new UsageError(`--${forms[0]?.long ?? key} means nothing to ${word}`, true);
  }
  if (options.renew && options.keyType !== undefined) {
    throw new UsageError("--renew keeps the key: it goes with no --key-type", true);
  }
}
