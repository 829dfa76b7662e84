/**
 * Accounts and groups for a server's loop. A look-up by way of the name service switch reads files whole
 * and may ask a daemon or the network; here the answers are remembered while the files that decide are
 * the same, and for 10 seconds at most, as what a daemon knows may change without them.
 */

import { lookAt, stillHolds, type Look, type LookingPosix } from "./file-version.ts";
import type { Gid } from "./kernel.ts";
import type { Names } from "./names.ts";
import type { Posix } from "./posix.ts";

/** Whose change makes all answers old. */
const FILES = ["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"];

/** The age at which an answer expires. */
const AGE_NS_MAX = 10_000_000_000n;

/** The number of answers that are remembered. */
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
  readonly #answers = new Map<string, unknown>();
  #looks: readonly Look[] = [];
  #sinceNs = 0n;

  constructor(posix: AccountPosix) {
    this.#posix = posix;
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
    if (!this.#holds()) this.#startAnew();
    if (this.#answers.has(key)) return this.#answers.get(key) as T;
    const answer = ask();
    if (this.#answers.size >= NAMES_REMEMBERED_MAX) this.#answers.clear();
    this.#answers.set(key, answer);
    return answer;
  }

  #holds(): boolean {
    const age = this.#posix.realtimeNs() - this.#sinceNs;
    if (this.#looks.length === 0 || age < 0n || age > AGE_NS_MAX) return false;
    return this.#looks.every((look, index) =>
      stillHolds(look, this.#posix.fileVersion(FILES[index] ?? "")),
    );
  }

  /** The looks come before the answers, so that a change meanwhile shows. */
  #startAnew(): void {
    this.#answers.clear();
    this.#sinceNs = this.#posix.realtimeNs();
    this.#looks = FILES.map((path) => lookAt(this.#posix, path));
  }
}

function keyOf(kind: string, value: string | number): string {
  return `${kind} ${typeof value} ${value}`;
}
