/**
 * Accounts and groups for a server's loop. A look-up by way of the name service switch reads files whole
 * and may ask a daemon or the network; here the answers are remembered while the files that decide are
 * the same, and for 10 seconds at most, as what a daemon knows may change without them.
 */

import { MadeOfFiles, type LookingPosix } from "./file-version.ts";
import type { Gid } from "./kernel.ts";
import type { Names } from "./names.ts";
import type { Posix } from "./posix.ts";

/** Whose change makes all answers old. */
const FILES = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/** How old an answer may be. */
const AGE_NS_MAX = 10_000_000_000n;

/** How many answers are remembered. */
export const NAMES_REMEMBERED_MAX = 1024;

/** The look-ups that are remembered. */
export type AccountNames = Pick<Names, "account" | "group" | "groupsListing">;

/** The calls they take. */
export type AccountPosix = AccountNames & LookingPosix;

const REMEMBERED = new WeakMap<AccountPosix, AccountNames>();

/** The look-ups of this kernel, remembered: the same object for each. What they throw is not. */
export function rememberedNames(posix: AccountPosix): AccountNames {
  const known = REMEMBERED.get(posix) ?? new RememberedNames(posix);
  REMEMBERED.set(posix, known);
  return known;
}

class RememberedNames implements AccountNames {
  readonly #posix: AccountPosix;
  readonly #answers: MadeOfFiles<Map<string, unknown>>;
  #sinceNs = 0n;

  constructor(posix: AccountPosix) {
    this.#posix = posix;
    this.#answers = new MadeOfFiles(posix, FILES, () => {
      this.#sinceNs = posix.realtimeNs();
      return new Map<string, unknown>();
    });
  }

  account(nameOrUid: Parameters<Posix["account"]>[0]): ReturnType<Posix["account"]> {
    return this.#remember(keyOf("account", nameOrUid), () => this.#posix.account(nameOrUid));
  }

  group(nameOrGid: Parameters<Posix["group"]>[0]): ReturnType<Posix["group"]> {
    return this.#remember(keyOf("group", nameOrGid), () => this.#posix.group(nameOrGid));
  }

  groupsListing(account: string): readonly Gid[] {
    return this.#remember(keyOf("listing", account), () => this.#posix.groupsListing(account));
  }

  /** A key stands for one kind of answer, so that what is remembered by it has that type. */
  #remember<T>(key: string, ask: () => T): T {
    const age = this.#posix.realtimeNs() - this.#sinceNs;
    if (age < 0n || age > AGE_NS_MAX) this.#answers.forget();
    const answers = this.#answers.current();
    if (answers.has(key)) return answers.get(key) as T;
    const answer = ask();
    if (answers.size >= NAMES_REMEMBERED_MAX) answers.clear();
    answers.set(key, answer);
    return answer;
  }
}

function keyOf(kind: string, value: string | number): string {
  return `${kind} ${typeof value} ${value}`;
}
