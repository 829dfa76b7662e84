/** The way back: from options to the words of a command line. */

import type { OptionSpec, OptionsOf, OptionTable, OptionUse } from "./table.ts";

/**
 * Words that parse to these options, in the order of the table: what differs from the initial values,
 * each with its letter if it has one. Operands may not follow without a `--` in between.
 */
export function wordsOf<Table extends OptionTable>(
  table: Table,
  options: OptionsOf<Table>,
): string[] {
  const values: Readonly<Record<string, unknown>> = options;
  return Object.entries(table).flatMap(([key, option]) => {
    const wanted = values[key];
    if (Object.is(wanted, option.initial)) return [];
    return option.say(wanted).flatMap((use) => wordsOfUse(option, use));
  });
}

function wordsOfUse(option: OptionSpec<unknown>, [name, argument]: OptionUse): string[] {
  const isLong = name.length > 1;
  if (argument === undefined) return [isLong ? `--${name}` : `-${name}`];
  if (isLong) return [`--${name}=${argument}`];
  // An empty argument cannot be glued: the next word would be taken.
  const isGlued =
    argument !== "" && option.forms.some(({ short, glued }) => short === name && glued);
  return isGlued ? [`-${name}${argument}`] : [`-${name}`, argument];
}
