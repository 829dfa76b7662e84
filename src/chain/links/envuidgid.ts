/** s6-envuidgid: the numbers of an account, as variables (supervision.md, 11.4). */

import { defineLink, end, EXIT, goOn, withEnvironment } from "../index.ts";
import type { LinkContext, LinkWords } from "../index.ts";
import { parseUnsigned } from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import { choice, flag, fold, parsedBy, parseGidList } from "../../options/index.ts";
import type { Gid, Uid } from "../../posix/index.ts";
import { findAccount, findGid, findUid, GID, GIDLIST, UID } from "./identity/accounts.ts";

const NAME = "s6-envuidgid";

/** The numbers that an unknown account stands for. */
interface Defaults {
  readonly uid: Uid;
  readonly gid: Gid;
  readonly groups: readonly Gid[];
}

const DEFAULTS = parsedBy(parseDefaults, "uid:gid:gidlist", ({ uid, gid, groups }) =>
  [uid, gid, groups.join(",")].join(":"),
);

const OPTIONS = {
  kind: choice<"account" | "user" | "group" | "both">("account", [
    { short: "u", value: "user", help: "set UID only" },
    { short: "g", value: "group", help: "account is a group: set GID only" },
    { short: "B", value: "both", help: "account is user:group: set UID and GID" },
  ]),
  isNumeric: flag({
    short: "n",
    help: "numbers are accepted too, and GIDLIST is not set; -B unless -u or -g is given",
  }),
  defaults: fold<Defaults | undefined>(
    undefined,
    [
      {
        short: "i",
        help: "an unknown account ends the chain with exit code 1 (the default)",
        next: () => undefined,
      },
      {
        short: "D",
        argument: "uid:gid:gidlist",
        help: "what to set for an unknown account",
        next: (_, text) => DEFAULTS.parse(text),
      },
    ],
    (defaults) => (defaults === undefined ? [["i"]] : [["D", DEFAULTS.format(defaults)]]),
  ),
};

type Words = LinkWords<typeof OPTIONS>;

export const envuidgid = defineLink({
  name: NAME,
  summary: "run a program with the numbers of an account in UID, GID and GIDLIST",
  family: "short",
  options: OPTIONS,
  operands: ["account"],
  program: "required",
  reach: "identity",
  run(launch, words, context) {
    const edits = editsFor(words, context);
    if (typeof edits === "string") {
      context.report(NAME, "fatal", `unknown ${edits}`);
      return end(EXIT.refused);
    }
    return goOn({ ...withEnvironment(launch, edits), argv: words.program });
  },
});

/** Empty parts are 0 and no groups, and so are those left off; as a whole it may not be empty. */
function parseDefaults(text: string): Defaults | undefined {
  const [uidText = "", gidText = "", ...rest] = text.split(":");
  const uid = uidText === "" ? 0 : parseUnsigned(uidText);
  const gid = gidText === "" ? 0 : parseUnsigned(gidText);
  const groups = parseGidList(rest.join(":"));
  if (text === "" || uid === undefined || gid === undefined || groups === undefined)
    return undefined;
  return { uid, gid, groups };
}

/** The edits, or what is unknown: `user NAME`. */
function editsFor(words: Words, context: LinkContext): readonly EnvironmentEdit[] | string {
  const { kind, isNumeric } = words.options;
  const [name = ""] = words.operands;
  if (kind === "account" && !isNumeric) return accountEdits(name, words, context);
  if (kind === "user") return userEdits(name, words, context);
  if (kind === "group") return groupEdits(name, words, context);
  const [user, group] = splitOnce(name);
  const ofUser = userEdits(user, words, context);
  const ofGroup = groupEdits(group, words, context);
  if (typeof ofUser === "string") return ofUser;
  return typeof ofGroup === "string" ? ofGroup : [...ofUser, ...ofGroup];
}

/** An absent or empty part is 0. */
function splitOnce(name: string): [string, string] {
  const colon = name.indexOf(":");
  return colon < 0 ? [name, ""] : [name.slice(0, colon), name.slice(colon + 1)];
}

function accountEdits(
  name: string,
  { options: { defaults } }: Words,
  { posix }: LinkContext,
): readonly EnvironmentEdit[] | string {
  const found = findAccount(posix, name) ?? defaults;
  if (found === undefined) return `user: ${name}`;
  return [
    { name: UID, value: String(found.uid) },
    { name: GID, value: String(found.gid) },
    { name: GIDLIST, value: found.groups.join(",") },
  ];
}

function userEdits(
  name: string,
  { options: { kind, isNumeric, defaults } }: Words,
  { posix }: LinkContext,
): readonly EnvironmentEdit[] | string {
  const isAbsent = name === "" && kind !== "user";
  const uid = isAbsent ? 0 : (findUid(posix, name, isNumeric) ?? defaults?.uid);
  return uid === undefined ? `user: ${name}` : [{ name: UID, value: String(uid) }];
}

function groupEdits(
  name: string,
  { options: { kind, isNumeric, defaults } }: Words,
  { posix }: LinkContext,
): readonly EnvironmentEdit[] | string {
  const isAbsent = name === "" && kind !== "group";
  const gid = isAbsent ? 0 : (findGid(posix, name, isNumeric) ?? defaults?.gid);
  return gid === undefined ? `group: ${name}` : [{ name: GID, value: String(gid) }];
}
