/** The common parts of the commands that write the command lines of others. */

import { APPLYUIDGID_OPTIONS } from "../chain/index.ts";
import type { IdentityChange, IdentityStep, LinkFinder } from "../chain/index.ts";
import { undoneBy, wordsOf } from "../options/index.ts";
import type { OptionSpec } from "../options/index.ts";

/** A command of ours and its options; what follows are its operands and the program. */
export function stage(finder: LinkFinder, name: string, options: readonly string[]): string[] {
  return [finder.file(name), ...options, "--"];
}

/**
 * The options of an s6-applyuidgid that does what these steps ask for, its parts in this order. What
 * stands before -U counts no more, and 0 changes nothing.
 */
export function identityWords(
  steps: readonly IdentityStep[],
  order: readonly (keyof IdentityChange)[],
): string[] {
  const start = steps.lastIndexOf("variables") + 1;
  const changes = steps.slice(start).filter((step) => step !== "variables");
  const change: IdentityChange = Object.assign({}, ...changes);
  const told = order.filter((part) => change[part] !== undefined && change[part] !== 0);
  const own = told.map((part): IdentityChange => ({ [part]: change[part] }));
  return [
    ...(start > 0 ? ["-Uz"] : []),
    ...wordsOf(APPLYUIDGID_OPTIONS, { removesVariables: false, steps: own }),
  ];
}

/** Looking no names up, with the way back that the wrappers of TLS have. */
export function undoneByDns(noNames: OptionSpec<boolean>): OptionSpec<boolean> {
  return undoneBy(noNames, { long: "dns", help: "look up names; the default" });
}

/** Looking names up in /etc/hosts, with the way back that the wrappers of TLS have. */
export function undoneByNoHosts(hostsFile: OptionSpec<boolean>): OptionSpec<boolean> {
  return undoneBy(hostsFile, { long: "no-hosts", help: "ask the DNS alone; the default" });
}
