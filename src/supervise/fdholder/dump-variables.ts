/**
 * Dumps as variables of a program: `S6_FD#` descriptors, and for each `S6_FD_i`, `S6_FDID_i` and `S6_FDLIMIT_i`
 * (local-services.md, section 9.5).
 */

import { formatTai64n, parseTai64n } from "../../clock/index.ts";
import type { Tai } from "../../clock/index.ts";
import { parseUnsigned, readVariable, requireVariable, VariableError } from "../../net/index.ts";
import type { EnvironmentEdit, Variables } from "../../net/index.ts";
import { HALF_INFINITE_NS } from "./held-table.ts";
import type { HolderId } from "./held-table.ts";
import { holderIdOf, wordOfHolderId } from "./identifiers.ts";
import { isHolderId } from "./wire/requests.ts";

const COUNT = "S6_FD#";

/** The most entries that variables describe: a process cannot have more descriptors. */
const ENTRIES_MAX = 1 << 20;

/** An entry, with the number that its descriptor has in the program. */
export interface DumpVariable {
  readonly number: number;
  readonly id: HolderId;
  /** Undefined for one that does not expire. */
  readonly limit: Tai | undefined;
}

/** The edits that tell a program of a dump. An entry that expires far in the future does not expire. */
export function dumpEdits(
  entries: readonly { readonly number: number; readonly id: HolderId; readonly limit: Tai }[],
  now: Tai,
): EnvironmentEdit[] {
  return [
    { name: COUNT, value: String(entries.length) },
    ...entries.flatMap(({ number, id, limit }, index) => {
      const expires = limit - now < HALF_INFINITE_NS;
      return [
        { name: `S6_FD_${index}`, value: String(number) },
        { name: `S6_FDID_${index}`, value: wordOfHolderId(id) },
        { name: `S6_FDLIMIT_${index}`, value: expires ? formatTai64n(limit) : undefined },
      ];
    }),
  ];
}

/** The entries that variables describe. Throws VariableError for the first that is missing or malformed. */
export function readDumpVariables(variables: Variables): DumpVariable[] {
  const total = readVariable(variables, COUNT, (text) => parseUnsigned(text, ENTRIES_MAX));
  return Array.from({ length: total }, (_, index) => ({
    number: readVariable(variables, `S6_FD_${index}`, (text) => parseUnsigned(text, 0x7fff_ffff)),
    id: readId(variables, `S6_FDID_${index}`),
    limit: readLimit(variables, `S6_FDLIMIT_${index}`),
  }));
}

function readId(variables: Variables, name: string): HolderId {
  const id = holderIdOf(requireVariable(variables, name));
  if (!isHolderId(id)) throw new VariableError(name, "invalid");
  return id;
}

/** What follows the digits of a label is ignored, as in the C suite. */
function readLimit(variables: Variables, name: string): Tai | undefined {
  const text = variables(name);
  if (text === undefined) return undefined;
  const limit = parseTai64n(text.slice(0, 25));
  if (limit === undefined) throw new VariableError(name, "invalid");
  return limit;
}
