/** The options -U, -u, -g and -G, with which s6-applyuidgid and the servers are told an identity. */

import { flag, fold, gidList, unsigned } from "../options/index.ts";
import type { ArgumentKind, OptionSpec, OptionUse } from "../options/index.ts";
import type { Gid, Uid } from "../posix/index.ts";

/** A change of identity: an absent part or a number 0 changes nothing. */
export interface IdentityChange {
  readonly uid?: Uid | undefined;
  readonly gid?: Gid | undefined;
  /** Supplementary groups besides the group itself. */
  readonly groups?: readonly Gid[] | undefined;
}

/** One option: what it asks for is known at once, or only from the variables UID, GID and GIDLIST. */
export type IdentityStep = IdentityChange | "variables";

/** The differences between the commands that have the options. */
interface IdentityWording {
  /** The help of each. */
  readonly help: Readonly<Record<"G" | "g" | "u" | "U", string>>;
  /** The argument of -G, gidList by default. */
  readonly groups?: ArgumentKind<readonly Gid[]>;
}

/** The options as steps in the order that they were given: each overrides what those before it say. */
export function identityOption({
  help,
  groups = gidList,
}: IdentityWording): OptionSpec<readonly IdentityStep[]> {
  return fold<readonly IdentityStep[]>(
    [],
    [
      {
        short: "G",
        argument: "gid,gid,...",
        help: help.G,
        next: (steps, text) => [...steps, { groups: groups.parse(text) }],
      },
      {
        short: "g",
        argument: "gid",
        help: help.g,
        next: (steps, text) => [...steps, { gid: unsigned.parse(text) }],
      },
      {
        short: "u",
        argument: "uid",
        help: help.u,
        next: (steps, text) => [...steps, { uid: unsigned.parse(text) }],
      },
      { short: "U", help: help.U, next: (steps) => [...steps, "variables"] },
    ],
    (steps) => steps.flatMap(sayStep),
  );
}

/** s6-applyuidgid. */
export const APPLYUIDGID_OPTIONS = {
  removesVariables: flag({
    short: "z",
    help: "take UID, GID and GIDLIST out of the environment",
  }),
  steps: identityOption({
    help: {
      G: "the supplementary groups",
      g: "the group; 0 is the present one",
      u: "the user; 0 is the present one",
      U: "the numbers are those of UID, GID and GIDLIST",
    },
  }),
};

function sayStep(step: IdentityStep): readonly OptionUse[] {
  if (step === "variables") return [["U"]];
  const { uid, gid, groups } = step;
  return [
    ...(groups === undefined ? [] : [["G", gidList.format(groups)] as const]),
    ...(gid === undefined ? [] : [["g", unsigned.format(gid)] as const]),
    ...(uid === undefined ? [] : [["u", unsigned.format(uid)] as const]),
  ];
}
