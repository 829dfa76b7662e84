/**
 * Where s6 rules cannot keep the order in which tcprules looks at its rules. Tcprules asks for: the
 * address, `=host`, networks, `=.domain`, `=`, the empty address. s6 asks for the address, networks
 * (the empty address being the widest), and only then for names. So names lose to networks they would
 * have beaten; where that lets someone in, or in with other variables, compiling is refused, and
 * where it keeps someone out there is a warning.
 */

import { RuleLineError } from "./tcprules-line.ts";

/** What a rule is to the order of look-ups; single addresses come first in both and do not matter. */
export type RuleClass = "network" | "host" | "domain" | "any";

interface Seen {
  readonly value: Uint8Array;
  readonly allow: boolean;
  readonly line: number;
}

export class Precedence {
  /** Per class the first allowing and denying values and one that differs: enough to find a clash. */
  readonly #seen: Record<RuleClass, Seen[]> = { network: [], host: [], domain: [], any: [] };

  /** A rule of this class, with its compiled value, at this line. */
  note(ruleClass: RuleClass, value: Uint8Array, allow: boolean, line: number): void {
    const seen = this.#seen[ruleClass];
    if (seen.some((one) => one.value === value || isSameBytes(one.value, value))) return;
    if (seen.filter((one) => one.allow === allow).length < 2) seen.push({ value, allow, line });
  }

  get hasNames(): boolean {
    return this.#seen.host.length + this.#seen.domain.length > 0;
  }

  /** Does any rule let anybody in? */
  get hasAllow(): boolean {
    return Object.values(this.#seen).some((seen) => seen.some(({ allow }) => allow));
  }

  /** Throws RuleLineError for an order that would let someone in; warns of one that would not. */
  check(warn: (message: string) => void): void {
    this.#compare("network", ["host"], warn);
    this.#compare("any", ["host", "domain"], warn);
  }

  #compare(
    winner: "network" | "any",
    losers: readonly RuleClass[],
    warn: (message: string) => void,
  ): void {
    const clash = clashOf(
      this.#seen[winner],
      losers.flatMap((loser) => this.#seen[loser]),
    );
    if (clash === undefined) return;
    const { first, second } = clash;
    if (first.allow) {
      throw new RuleLineError(
        second.line,
        `line ${second.line} names a host, but s6 looks at addresses first, and line ${first.line} lets them in`,
      );
    }
    if (winner === "network") {
      warn(
        `line ${second.line} names a host, but s6 looks at addresses first: line ${first.line} keeps it out if it matches`,
      );
    }
  }
}

/** Two values that differ, one of each list, preferably with the first of them allowing. */
function clashOf(
  winners: readonly Seen[],
  losers: readonly Seen[],
): { readonly first: Seen; readonly second: Seen } | undefined {
  for (const wanted of [true, false]) {
    for (const first of winners.filter(({ allow }) => allow === wanted)) {
      const second = losers.find(({ value }) => !isSameBytes(first.value, value));
      if (second !== undefined) return { first, second };
    }
  }
  return undefined;
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
