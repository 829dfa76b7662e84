/** s6-setuidgid: run a program as an account (supervision.md, 11.6). */

import { defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import type { Launch, LinkContext } from "../index.ts";
import { parseUnsigned } from "../../net/index.ts";
import { UsageError } from "../../options/index.ts";
import { findAccount, GID, GIDLIST, UID } from "./identity/accounts.ts";
import { withIdentityChange } from "./identity/change.ts";

const NAME = "s6-setuidgid";

export const setuidgid = defineLink({
  name: NAME,
  summary: "run a program as an account, with the groups of that account",
  family: "none",
  options: {},
  operands: ["account"],
  program: "required",
  reach: "identity",
  run(launch, { operands, program }, context) {
    const [account = ""] = operands;
    const changed = changeTo(account, launch, context);
    if (changed !== undefined) return goOn({ ...changed, argv: program });
    context.report(NAME, "fatal", `unknown user: ${account}`);
    return end(EXIT.refused);
  },
});

/** The launch as this account; undefined when there is none of that name. */
function changeTo(account: string, launch: Launch, { posix }: LinkContext): Launch | undefined {
  const by = { posix, changedBy: NAME };
  if (account === "") return launch;
  if (account.includes(":")) return withIdentityChange(launch, parseNumbers(account), by);
  const found = findAccount(posix, account);
  if (found === undefined) return undefined;
  return withEnvironment(withIdentityChange(launch, found, by), REMOVALS);
}

/** The variables that the C suite's s6-setuidgid hands from one of its programs to the next, and removes. */
const REMOVALS = [UID, GID, GIDLIST].map((name) => ({ name, value: undefined }));

/** `uid:gid`, with no supplementary groups. */
function parseNumbers(account: string): { uid: number; gid: number; groups: [] } {
  const [uid, gid, ...surplus] = account.split(":").map((part) => parseUnsigned(part));
  if (uid === undefined || gid === undefined || surplus.length > 0) {
    throw new UsageError(`not two numbers: ${account}`, true);
  }
  return { uid, gid, groups: [] };
}
