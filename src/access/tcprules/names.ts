/**
 * The lines about names that rules of s6 cannot say. To tcprules `=b.c` is that name alone and `=.b.c` all names
 * below it; a key of s6 is both. So a name that lines are about must have the same outcome as the names
 * below it that have no lines of their own, of which there are always some; else no key is right for both.
 */

import { PLAIN_ALLOW_VALUE } from "../lookup/rule-value.ts";
import { RuleLineError } from "./line.ts";

/** The outcome that a line gives: a compiled value. */
export interface LineOutcome {
  readonly value: Uint8Array;
  readonly allow: boolean;
  readonly line: number;
}

/** The lines about one name: `=name` and `=.name`, the first of each. */
interface NameLines {
  host?: LineOutcome;
  domain?: LineOutcome;
}

export class NameRules {
  readonly #names = new Map<string, NameLines>();

  note(kind: keyof NameLines, name: string, outcome: LineOutcome): void {
    const lines = this.#names.get(name);
    if (lines === undefined) this.#names.set(name, { [kind]: outcome });
    else lines[kind] ??= outcome;
  }

  /**
   * Throws RuleLineError for the first line that rules of s6 cannot say. `others` is the line that decides about
   * all names without one; undefined where no line does: tcpserver admits those names then, and s6
   * refuses them. `warn` is told of lines because of which s6 admits such names.
   */
  check(others: LineOutcome | undefined, warn: (message: string) => void): void {
    const clashes = new FirstLine();
    const spreads = new FirstLine();
    for (const [name, lines] of this.#names) {
      const around = this.#around(name) ?? others;
      const { host = around, domain = around } = lines;
      if (host === undefined || domain === undefined) {
        const stated = host ?? domain;
        // What denies refuses more names than are meant, as s6 does with all others.
        if (stated?.allow !== true) continue;
        const isSame = isSameBytes(stated.value, PLAIN_ALLOW_VALUE);
        (isSame ? spreads : clashes).note(stated.line, () => describe(name, lines, around));
      } else if (!isSameBytes(host.value, domain.value)) {
        const line = Math.max(lines.host?.line ?? 0, lines.domain?.line ?? 0);
        clashes.note(line, () => describe(name, lines, around));
      }
    }
    if (clashes.message !== undefined) throw new RuleLineError(clashes.line, clashes.message);
    if (spreads.message !== undefined) warn(spreads.message);
  }

  /** The line about the names below the next shorter name that has one. */
  #around(name: string): LineOutcome | undefined {
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      const outcome = this.#names.get(name.slice(dot + 1))?.domain;
      if (outcome !== undefined) return outcome;
    }
    return undefined;
  }
}

/** Of any number of lines the first, with what there is to say about it. */
class FirstLine {
  line = Infinity;
  #describe: (() => string) | undefined;

  note(line: number, describe: () => string): void {
    if (line > this.line) return;
    this.line = line;
    this.#describe = describe;
  }

  get message(): string | undefined {
    return this.#describe && `line ${this.line} ${this.#describe()}`;
  }
}

/** Reads on from the number of the line. */
function describe(name: string, lines: NameLines, around: LineOutcome | undefined): string {
  const { host, domain } = lines;
  if (host !== undefined && domain !== undefined) {
    const earlier = Math.min(host.line, domain.line);
    return `differs from line ${earlier}, but rules for s6 do not distinguish =${name} from =.${name}`;
  }
  const other = around === undefined ? "no line is about" : `line ${around.line} decides about`;
  return host === undefined
    ? `is about the names below ${name}, but a rule for s6 decides about ${name} too, which ${other}: if it is meant too, add a line for =${name} that says the same`
    : `is about ${name} alone, but a rule for s6 decides about all names below it too, which ${other}: if they are meant too, add a line for =.${name} that says the same`;
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0;
}
