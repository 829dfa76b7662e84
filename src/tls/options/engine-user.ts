/** Under which account TLS is spoken: the variables TLS_UID and TLS_GID, from an account's name. */

import type { EnvironmentEdit } from "../../net/index.ts";
import { text, UsageError, value } from "../../options/index.ts";
import { rememberedNames } from "../../posix/index.ts";
import type { Posix } from "../../posix/index.ts";

export const ENGINE_USER = value(
  {
    long: "tls-user",
    argument: "account",
    help: "set TLS_UID and TLS_GID, so that bytes from the network are decrypted as this account",
    ours: true,
  },
  text,
);

/**
 * The variables that make the engines of a chain run as `account`. Throws UsageError for an account
 * that does not exist, and for root: 0 in these variables would mean to stay who one is.
 */
export function engineUserEdits(posix: Posix, account: string): readonly EnvironmentEdit[] {
  const found = rememberedNames(posix).account(account);
  if (found === undefined) throw new UsageError(`unknown user: ${account}`, false);
  if (found.uid === 0) throw new UsageError(`tls-user must not be root: ${account}`, false);
  return [
    { name: "TLS_UID", value: String(found.uid) },
    { name: "TLS_GID", value: String(found.gid) },
  ];
}
