/**
 * The cases in which s6 rules cannot keep the order of tcprules. Tcprules looks up: the
 * address, `=host`, networks, `=.domain`, `=`, the empty address. s6 asks for the address, networks
 * (the empty address being the widest), and only then for names. So names lose to networks they would
 * have beaten. Where that admits a client that a name would have refused, compiling is refused; where it
 * refuses a client, or admits it with other variables, there is a warning.
 */

import { RuleLineError } from "./line.ts";

/** The class of a rule in the order of look-ups; single addresses come first in both and do not matter. */
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

  /** Throws RuleLineError for an order that would admit more clients; warns of other differences. */
  check(warn: (message: string) => void): void {
    const { network, host, domain, any } = this.#seen;
    compare(network, host, warn);
    // A catch-all that denies is what s6 does anyway: it gets no record, and names keep their turn.
    compare(
      any.filter(({ allow }) => allow),
      [...host, ...domain],
      warn,
    );
  }
}

function compare(
  winners: readonly Seen[],
  losers: readonly Seen[],
  warn: (message: string) => void,
): void {
  const admitting = winners.find(({ allow }) => allow);
  const denied = losers.find(({ allow }) => !allow);
  if (admitting !== undefined && denied !== undefined) {
    throw new RuleLineError(
      denied.line,
      `line ${denied.line} denies a host, but s6 looks up addresses first, and line ${admitting.line} admits it`,
    );
  }
  for (const winner of winners) {
    const loser = losers.find(({ value }) => !isSameBytes(winner.value, value));
    if (loser === undefined) continue;
    warn(
      `line ${loser.line} names a host, but s6 looks up addresses first: line ${winner.line} decides where both match`,
    );
    return;
  }
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
