/** A POSIX extended regular expression, ready to be asked. */

import { Automaton } from "./automaton.ts";
import type { StateSet } from "./automaton.ts";
import { parseRegex } from "./syntax.ts";

/**
 * An expression as `regcomp(3)` with REG_EXTENDED and REG_NOSUB takes it, in the C locale. A match takes
 * time in proportion to the length of the text, whatever the expression.
 *
 * @example
 * new PosixRegex("^unix:/run/(web|mail)$").matches("unix:/run/web"); // true
 */
export class PosixRegex {
  readonly source: string;
  readonly #automaton: Automaton;

  /** Throws RegexError for what is no expression, and for back-references. */
  constructor(source: string) {
    this.source = source;
    this.#automaton = new Automaton(parseRegex(source));
  }

  /** Does it match anywhere in the text? Characters stand for bytes (latin1), so none is above 255. */
  matches(text: string): boolean {
    return this.#automaton.matches(text);
  }

  /** Begin a text that comes in pieces. */
  scan(): RegexScan {
    return new RegexScan(this.#automaton);
  }
}

/** A text that comes in pieces: each is looked at once, however long the text becomes. */
export class RegexScan {
  readonly #automaton: Automaton;
  #reached: StateSet | "match";

  /** Use `PosixRegex.scan`. */
  constructor(automaton: Automaton) {
    this.#automaton = automaton;
    this.#reached = automaton.start();
  }

  /** Does the expression match anywhere in all pieces so far, this one being the last? */
  feed(piece: string): boolean {
    this.#reached = this.#automaton.follow(this.#reached, piece);
    return this.#automaton.endsIn(this.#reached);
  }
}
