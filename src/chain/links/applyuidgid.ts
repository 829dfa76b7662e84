/** s6-applyuidgid: give up this identity for another (supervision.md, 11.5). */

import { APPLYUIDGID_OPTIONS, defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import type { Environment, IdentityChange, IdentityStep } from "../index.ts";
import { parseUnsigned, readVariable, VariableError } from "../../net/index.ts";
import type { Variables } from "../../net/index.ts";
import { parseGidList } from "../../options/index.ts";
import { GID, GIDLIST, UID } from "./identity/accounts.ts";
import { withIdentityChange } from "./identity/change.ts";

const NAME = "s6-applyuidgid";

export const applyuidgid = defineLink({
  name: NAME,
  summary: "run a program as another user, with other groups",
  family: "short",
  options: APPLYUIDGID_OPTIONS,
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
    const changed = withIdentityChange(launch, change, { posix, changedBy: NAME });
    return goOn({ ...withEnvironment(changed, edits), argv: program });
  },
});

const REMOVALS = [UID, GID, GIDLIST].map((name) => ({ name, value: undefined }));

/** Each option overrides what those before it have said. */
function resolve(
  steps: readonly IdentityStep[],
  environment: Environment,
): IdentityChange | VariableError {
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
