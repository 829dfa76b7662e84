/** The text of --help: the synopsis and a line for each form of an option. */

import { formatForm } from "../options/index.ts";
import type { OptionForm } from "../options/index.ts";
import { definitionSynopsis, isLink } from "./command.ts";
import type { Definition } from "./command.ts";

/** Options wider than this have their help on a line of its own. */
const COLUMN = 30;

export function formatHelp(definition: Definition): string {
  const { name, summary, options } = definition;
  const forms = Object.values(options).flatMap((option) => option.forms);
  const lines = [
    `${name}: ${summary}`,
    "",
    `usage: ${name} ${definitionSynopsis(definition)}`,
    "",
    ...forms.map((form) => formatLine(spellings(form), form.help)),
    ...(isLink(definition)
      ? [formatLine("    --explain", "print what the chain would do, and do nothing")]
      : []),
    formatLine("    --help", "print this text"),
    formatLine("    --version", "print the version"),
  ];
  return `${lines.join("\n")}\n`;
}

/** `-b N, --backlog=N` */
function spellings(form: OptionForm<unknown>): string {
  const { short, long, argument } = form;
  if (short === undefined) return `    ${formatForm(form)}`;
  const longForm = argument === undefined ? `--${long ?? ""}` : `--${long ?? ""}=${argument}`;
  return long === undefined ? formatForm(form) : `${formatForm(form)}, ${longForm}`;
}

function formatLine(left: string, right: string): string {
  if (left.length >= COLUMN - 2) return `  ${left}\n  ${" ".repeat(COLUMN)}${right}`;
  return `  ${left.padEnd(COLUMN)}${right}`;
}
