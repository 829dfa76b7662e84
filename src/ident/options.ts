/** The option table of s6-ident-server. */

import { flag, fold, milliseconds, textThat, unsigned, value } from "../options/index.ts";
import type { OptionUse } from "../options/index.ts";
import { isIdentUser, isOperatingSystem, OPERATING_SYSTEM_DEFAULT } from "./answer.ts";
import type { IdentNaming } from "./responder.ts";
import { IDENT_IDLE_MS } from "./server.ts";

/** A naming whose secret is still in its file. */
export type IdentNamingOption =
  | Exclude<IdentNaming, { readonly kind: "hash" }>
  | { readonly kind: "hash"; readonly file: string };

const USER_NAME = textThat(isIdentUser, "a user name");

export const IDENT_SERVER_OPTIONS = {
  verbosity: value(
    {
      short: "v",
      long: "verbosity",
      argument: "n",
      help: "0: fatal errors only, 1: warnings too, 2: every answer",
      ours: true,
    },
    unsigned,
    1,
  ),
  idleMs: value(
    {
      short: "t",
      long: "timeout",
      argument: "ms",
      help: "end when a query takes longer than this, 60000 by default; 0 is without limit",
      ours: true,
    },
    milliseconds,
    IDENT_IDLE_MS,
  ),
  naming: fold<IdentNamingOption>(
    { kind: "account" },
    [
      {
        long: "uid",
        help: "answer with numbers in place of names",
        ours: true,
        next: () => ({ kind: "uid" }),
      },
      {
        long: "hash",
        argument: "secretfile",
        help: "answer with pseudonyms, which only the secret in this file can undo",
        ours: true,
        next: (_, file) => ({ kind: "hash", file }),
      },
      {
        long: "name",
        argument: "user",
        help: "answer every query with this name",
        ours: true,
        next: (_, user) => ({ kind: "fixed", user: USER_NAME.parse(user) }),
      },
      {
        long: "hidden",
        help: "answer HIDDEN-USER, whatever is asked; the last of --uid, --hash, --name and --hidden counts",
        ours: true,
        next: () => ({ kind: "hidden" }),
      },
    ],
    sayNaming,
  ),
  respectsNoident: flag({
    long: "noident",
    help: "answer HIDDEN-USER for users with a file .noident in their home directory",
    ours: true,
  }),
  operatingSystem: value(
    {
      long: "operating-system",
      argument: "name",
      help: "the operating system in answers, UNIX by default",
      ours: true,
    },
    textThat(isOperatingSystem, "an operating system, as in UNIX or OTHER"),
    OPERATING_SYSTEM_DEFAULT,
  ),
};

function sayNaming(naming: IdentNamingOption): readonly OptionUse[] {
  switch (naming.kind) {
    case "account":
      return [];
    case "uid":
    case "hidden":
      return [[naming.kind]];
    case "hash":
      return [["hash", naming.file]];
    case "fixed":
      return [["name", naming.user]];
  }
}
