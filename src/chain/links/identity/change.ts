/** Changes of identity as s6-applyuidgid understands them: 0 stands for "as it is". */

import { withIdentity } from "../../index.ts";
import type { IdentityChange, Launch } from "../../index.ts";
import type { Gid, Identity, Posix } from "../../../posix/index.ts";

/** The launch with this change, made in the name of the link `changedBy`. */
export function withIdentityChange(
  launch: Launch,
  { uid = 0, gid = 0, groups }: IdentityChange,
  { posix, changedBy }: { readonly posix: Posix; readonly changedBy: string },
): Launch {
  const effectiveGid = gid === 0 ? (launch.identity?.gid ?? posix.getegid()) : gid;
  const identity: Identity = {
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(groups === undefined ? {} : { groups: withFirst(effectiveGid, groups) }),
  };
  return Object.keys(identity).length === 0 ? launch : withIdentity(launch, identity, changedBy);
}

function withFirst(first: Gid, others: readonly Gid[]): Gid[] {
  return [first, ...others.filter((gid) => gid !== first)];
}
