/**
 * The environment of a program to come: an immutable base with edits on top. The base is marshalled
 * once for all the programs it is given to; an edit costs only its own bytes.
 */

import type { EnvironmentEdit } from "../net/index.ts";
import { encodeBytes, joinBlock } from "../posix/index.ts";

/** NAME=VALUE strings, NUL-terminated, in the two parts that execve(2) is given one after the other. */
export interface EnvironmentBlocks {
  readonly base: Uint8Array;
  readonly extra: Uint8Array;
}

/** The number of sets of replaced names that keep their marshalled remainder of the base. */
const REMAINDERS_MAX = 64;

/** Variables by name. Edits make new environments; nothing changes in place. */
export class Environment {
  readonly #base: Base;
  readonly #edits: readonly EnvironmentEdit[];

  private constructor(base: Base, edits: readonly EnvironmentEdit[]) {
    this.#base = base;
    this.#edits = edits;
  }

  /** From NAME=VALUE strings; the first of a name counts, as for getenv(3). */
  static of(variables: Iterable<string>): Environment {
    return new Environment(new Base(variables), []);
  }

  get(name: string): string | undefined {
    const edit = this.#edits.findLast((candidate) => candidate.name === name);
    return edit === undefined ? this.#base.variables.get(name) : edit.value;
  }

  /** The names of the variables that begin so. */
  namesStartingWith(prefix: string): string[] {
    const edited = this.#edits.map(({ name }) => name).filter((name) => name.startsWith(prefix));
    const names = new Set([...this.#base.namesStartingWith(prefix), ...edited]);
    return [...names].filter((name) => this.get(name) !== undefined);
  }

  /** This environment after some edits, applied in order. */
  with(edits: readonly EnvironmentEdit[]): Environment {
    if (edits.length === 0) return this;
    return new Environment(
      this.#base,
      this.#edits.length === 0 ? edits : [...this.#edits, ...edits],
    );
  }

  /** The same variables, marshalled anew: for a server, before it gives them to many programs. */
  flattened(): Environment {
    return this.#edits.length === 0 ? this : Environment.of(this.strings());
  }

  /** The edits since the base, in order. */
  get edits(): readonly EnvironmentEdit[] {
    return this.#edits;
  }

  /** NAME=VALUE strings. */
  strings(): string[] {
    const variables = new Map(this.#base.variables);
    for (const { name, value } of this.#edits) {
      variables.delete(name);
      if (value !== undefined) variables.set(name, value);
    }
    return Array.from(variables, ([name, value]) => `${name}=${value}`);
  }

  blocks(): EnvironmentBlocks {
    if (this.#edits.length === 0) return { base: this.#base.without(""), extra: NOTHING };
    let names = "";
    let strings = "";
    for (let at = 0; at < this.#edits.length; at += 1) {
      const edit = this.#edits[at];
      if (edit === undefined || this.#isReplaced(edit.name, at)) continue;
      if (this.#base.variables.has(edit.name)) names += `${edit.name}=`;
      if (edit.value !== undefined) strings += `${edit.name}=${edit.value}\0`;
    }
    return { base: this.#base.without(names), extra: encodeBytes(strings) };
  }

  #isReplaced(name: string, at: number): boolean {
    for (let later = at + 1; later < this.#edits.length; later += 1) {
      if (this.#edits[later]?.name === name) return true;
    }
    return false;
  }
}

const NOTHING = new Uint8Array(0);

class Base {
  readonly variables = new Map<string, string>();
  readonly #remainders = new Map<string, Uint8Array>();
  readonly #startingWith = new Map<string, readonly string[]>();

  constructor(variables: Iterable<string>) {
    for (const variable of variables) {
      const equals = variable.indexOf("=");
      const name = variable.slice(0, Math.max(equals, 0));
      if (equals >= 0 && !this.variables.has(name)) {
        this.variables.set(name, variable.slice(equals + 1));
      }
    }
  }

  /** Worked out once for each prefix, of which programs ask for two or three. */
  namesStartingWith(prefix: string): readonly string[] {
    const known = this.#startingWith.get(prefix);
    if (known !== undefined) return known;
    const names = [...this.variables.keys()].filter((name) => name.startsWith(prefix));
    this.#startingWith.set(prefix, names);
    return names;
  }

  /** The marshalled variables but for some, whose names are given each with an "=" behind it. */
  without(names: string): Uint8Array {
    const known = this.#remainders.get(names);
    if (known !== undefined) return known;
    const gone = new Set(names.split("="));
    const kept = [...this.variables].filter(([name]) => !gone.has(name));
    const block = joinBlock(kept.map(([name, value]) => `${name}=${value}`));
    if (this.#remainders.size < REMAINDERS_MAX) this.#remainders.set(names, block);
    return block;
  }
}
