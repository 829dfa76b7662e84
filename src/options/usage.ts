/** The usage line of a command, from its table. */

import type { OptionForm, OptionSpec, OptionTable } from "./table.ts";

/** `[-q|-Q|-v] [-c max] … ip port prog...`: the options in the order of the table, then the operands. */
export function formatSynopsis(options: OptionTable, operands: string): string {
  const parts = Object.values(options).map(formatOption);
  return [...parts, operands].filter((part) => part !== "").join(" ");
}

function formatOption(option: OptionSpec<unknown>): string {
  return option.forms.every(({ argument }) => argument === undefined)
    ? `[${option.forms.map(formatForm).join("|")}]`
    : option.forms.map((form) => `[${formatForm(form)}]`).join(" ");
}

/** The shorter spelling of a form with the name of its argument. */
export function formatForm({ short, long, argument }: OptionForm<unknown>): string {
  if (short !== undefined) return argument === undefined ? `-${short}` : `-${short} ${argument}`;
  return argument === undefined ? `--${long ?? ""}` : `--${long ?? ""}=${argument}`;
}
