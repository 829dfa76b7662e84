/**
 * Deciding whether an expression matches somewhere in a text, in time that grows with the length of the
 * text and not with the expression's possibilities: all of them are followed at once (Thompson), and sets
 * of states that were met are remembered with the bytes that lead on from them.
 *
 * JavaScript's own engine tries one possibility after the other, so that an expression like `(a|a)*b` takes
 * longer than anybody lives; and whoever chooses the text can be another than who has chosen the expression.
 */

import { RegexError, WORD_BYTES } from "./syntax.ts";
import type { ByteSet, TextPlace, RegexNode } from "./syntax.ts";

/** A state: what has to come next. */
type Instruction =
  | { readonly kind: "bytes"; readonly set: ByteSet; readonly next: number }
  | { readonly kind: "place"; readonly place: TextPlace; readonly next: number }
  | { readonly kind: "either"; readonly nexts: readonly number[] }
  | { readonly kind: "match" };

/** The most states of one expression, and the most sets of them that are remembered. */
const STATES_MAX = 20_000;
const SETS_MAX = 512;

const NEWLINE = 0x0a;

/**
 * The byte on one side of a place, as far as places ask for it. A newline is one only where the match goes
 * on beyond it: so it is in glibc, where `a$\nb` and `a\n^b` match a text that `a$` and `^b` do not.
 */
type Side = "none" | "word" | "other" | "newline";

/** A set of states before a byte, and the byte before it. */
export interface StateSet {
  readonly states: readonly number[];
  /** The side before `states`, and before `continued`, which a match has reached that has taken a newline. */
  readonly before: Side;
  readonly continued: readonly number[];
  /** By the next byte; `match` where the expression has matched before it. */
  readonly nexts: (StateSet | "match" | undefined)[];
  matchesAtEnd: boolean | undefined;
}

export class Automaton {
  readonly #instructions: Instruction[] = [];
  readonly #first: number;
  #sets = new Map<string, StateSet>();

  /** Throws RegexError for an expression that is too large. */
  constructor(tree: RegexNode) {
    const match = this.#add({ kind: "match" });
    this.#first = this.#compile(tree, match);
  }

  /** Does the expression match anywhere in the text, one character for each byte? */
  matches(text: string): boolean {
    return this.endsIn(this.follow(this.start(), text));
  }

  /** The states before a text. */
  start(): StateSet {
    return this.#setOf("none", [this.#first], []);
  }

  /** The states after one more piece of a text, or "match" where it has matched before the end of that. */
  follow(from: StateSet | "match", text: string): StateSet | "match" {
    let set = from;
    for (let at = 0; at < text.length && set !== "match"; at += 1) {
      const byte = text.charCodeAt(at) & 0xff;
      set = set.nexts[byte] ?? this.#advance(set, byte);
    }
    return set;
  }

  /** Does it match if the text ends here? */
  endsIn(set: StateSet | "match"): boolean {
    if (set === "match") return true;
    set.matchesAtEnd ??= this.#close(set, "none") === "match";
    return set.matchesAtEnd;
  }

  /** The first state of what matches `node` and goes on with the state `next`. */
  #compile(node: RegexNode, next: number): number {
    switch (node.kind) {
      case "empty":
        return next;
      case "bytes":
        return this.#add({ kind: "bytes", set: node.set, next });
      case "place":
        return this.#add({ kind: "place", place: node.place, next });
      case "sequence":
        return node.items.reduceRight((after, item) => this.#compile(item, after), next);
      case "either": {
        const nexts = node.branches.map((branch) => this.#compile(branch, next));
        return this.#add({ kind: "either", nexts });
      }
      case "repeat":
        return this.#repeat(node, next);
    }
  }

  #repeat({ item, least, most }: RegexNode & { readonly kind: "repeat" }, next: number): number {
    let first = next;
    if (most === Infinity) {
      const nexts = [next];
      first = this.#add({ kind: "either", nexts });
      nexts.push(this.#compile(item, first));
    } else {
      for (let count = least; count < most; count += 1) {
        first = this.#add({ kind: "either", nexts: [next, this.#compile(item, first)] });
      }
    }
    for (let count = 0; count < least; count += 1) first = this.#compile(item, first);
    return first;
  }

  #add(instruction: Instruction): number {
    if (this.#instructions.length >= STATES_MAX) {
      throw new RegexError(`more than ${STATES_MAX} states, which its repetitions multiply`);
    }
    return this.#instructions.push(instruction) - 1;
  }

  #advance(set: StateSet, byte: number): StateSet | "match" {
    const after: Side = WORD_BYTES[byte] === true ? "word" : "other";
    let closed = this.#close(set, after);
    if (closed !== "match" && byte === NEWLINE) closed = this.#close(set, "newline");
    const next = closed === "match" ? closed : this.#step(closed, byte, after);
    set.nexts[byte] = next;
    return next;
  }

  /** The states after a byte; a match may begin anywhere, so the first is always one of them. */
  #step(closed: ReadonlySet<number>, byte: number, before: Side): StateSet {
    const nexts = new Set<number>();
    for (const state of closed) {
      const instruction = this.#instructions[state];
      if (instruction?.kind === "bytes" && instruction.set[byte] === true) {
        nexts.add(instruction.next);
      }
    }
    if (byte === NEWLINE) return this.#setOf(before, [this.#first], [...nexts].toSorted(ascending));
    return this.#setOf(before, [...nexts.add(this.#first)].toSorted(ascending), []);
  }

  /** All states that are reached without a byte, or "match" if that is one of them. */
  #close(set: StateSet, after: Side): ReadonlySet<number> | "match" {
    const begun = this.#reach(set.states, set.before, after);
    if (begun === "match" || set.continued.length === 0) return begun;
    const continued = this.#reach(set.continued, "newline", after);
    return continued === "match" ? continued : new Set([...begun, ...continued]);
  }

  /** Between anything and a "newline" there is no match, for that does not take the newline. */
  #reach(states: readonly number[], before: Side, after: Side): ReadonlySet<number> | "match" {
    const reached = new Set(states);
    for (const state of reached) {
      const instruction = this.#instructions[state];
      if (instruction?.kind === "match" && after !== "newline") return "match";
      if (instruction?.kind === "either") for (const next of instruction.nexts) reached.add(next);
      if (instruction?.kind === "place" && isAt(instruction.place, before, after)) {
        reached.add(instruction.next);
      }
    }
    return reached;
  }

  #setOf(before: Side, states: readonly number[], continued: readonly number[]): StateSet {
    const key = `${before} ${states.join(" ")} / ${continued.join(" ")}`;
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    if (this.#sets.size >= SETS_MAX) this.#sets = new Map();
    const set: StateSet = { states, before, continued, nexts: [], matchesAtEnd: undefined };
    this.#sets.set(key, set);
    return set;
  }
}

function ascending(a: number, b: number): number {
  return a - b;
}

function isAt(place: TextPlace, before: Side, after: Side): boolean {
  switch (place) {
    case "start":
      return before === "none";
    case "lineStart":
      return before === "none" || before === "newline";
    case "end":
      return after === "none";
    case "lineEnd":
      return after === "none" || after === "newline";
    case "wordStart":
      return before !== "word" && after === "word";
    case "wordEnd":
      return before === "word" && after !== "word";
    case "wordBoundary":
      return (before === "word") !== (after === "word");
    case "insideOrOutsideWord":
      return (before === "word") === (after === "word");
  }
}
