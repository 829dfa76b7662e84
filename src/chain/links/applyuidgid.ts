/** s6-applyuidgid: give up this identity for another (supervision.md, 11.5). */

import { defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import type { Environment } from "../index.ts";
import { parseGidList, parseUnsigned, readVariable, VariableError } from "../../net/index.ts";
import type { Variables } from "../../net/index.ts";
import { flag, fold, InvalidArgument, unsigned } from "../../options/index.ts";
import type { OptionForm } from "../../options/index.ts";
import { GID, GIDLIST, UID } from "./identity/accounts.ts";
import { changeIdentity } from "./identity/change.ts";
import type { IdentityChange } from "./identity/change.ts";

const NAME = "s6-applyuidgid";

/** One option: what it asks for is known at once, or only from the variables. */
type Step = IdentityChange | "variables";

export const applyuidgid = defineLink({
  name: NAME,
  summary: "run a program as another user, with other groups",
  family: "short",
  options: {
    removesVariables: flag({
      short: "z",
      help: "take UID, GID and GIDLIST out of the environment",
    }),
    steps: fold<readonly Step[]>(
      [],
      [
        {
          short: "U",
          help: "the numbers are those of UID, GID and GIDLIST",
          next: (previous) => [...previous, "variables"],
        },
        step("u", "uid", "the user; 0 is the present one", (text) => ({ uid: unsigned(text) })),
        step("g", "gid", "the group; 0 is the present one", (text) => ({ gid: unsigned(text) })),
        step("G", "gidlist", "the supplementary groups", (text) => ({ groups: gidList(text) })),
      ],
    ),
  },
  operands: [],
  program: "required",
  reach: "identity",
  run(launch, { options, program }, { posix, report }) {
    const change = resolve(options.steps, launch.environment);
    if (change instanceof VariableError) {
      report(NAME, "fatal", change.message);
      return end(EXIT.usage);
    }
    const edits = options.removesVariables ? REMOVALS : [];
    const changed = changeIdentity(launch, change, { posix, changedBy: NAME });
    return goOn({ ...withEnvironment(changed, edits), argv: program });
  },
});

const REMOVALS = [UID, GID, GIDLIST].map((name) => ({ name, value: undefined }));

function step(
  short: string,
  argument: string,
  help: string,
  parse: (text: string) => IdentityChange,
): OptionForm<readonly Step[]> {
  return { short, argument, help, next: (previous, text) => [...previous, parse(text)] };
}

function gidList(text: string): number[] {
  const groups = parseGidList(text);
  if (groups === undefined) throw new InvalidArgument("a list of group numbers");
  return groups;
}

/** Each option overrides what those before it have said. */
function resolve(steps: readonly Step[], environment: Environment): IdentityChange | VariableError {
  const variables = (name: string): string | undefined => environment.get(name);
  try {
    const changes = steps.map((one) => (one === "variables" ? readVariables(variables) : one));
    return changes.reduce((all, change) => ({ ...all, ...change }), {});
  } catch (error) {
    if (error instanceof VariableError) return error;
    throw error;
  }
}

function readVariables(variables: Variables): IdentityChange {
  const uid = readVariable(variables, UID, parseUnsigned);
  const gid = readVariable(variables, GID, parseUnsigned);
  return { uid, gid, groups: readVariable(variables, GIDLIST, parseGidList) };
}
