/**
 * POSIX extended regular expressions as regcomp(3) of glibc reads them in the C locale: from text to a
 * tree. Bytes are characters of the same number (latin1), since that locale knows no others.
 *
 * Whatever has a meaning that we do not have (back-references), or a different one elsewhere, is refused:
 * an expression that is accepted means here exactly what it means to the C suite.
 */

/** A set of bytes, by number. */
export type ByteSet = readonly boolean[];

/** A place in the text, between two bytes. */
export type TextPlace =
  | "start"
  | "lineStart"
  | "end"
  | "lineEnd"
  | "wordBoundary"
  | "insideOrOutsideWord"
  | "wordStart"
  | "wordEnd";

export type RegexNode =
  | { readonly kind: "empty" }
  | { readonly kind: "bytes"; readonly set: ByteSet }
  | { readonly kind: "place"; readonly place: TextPlace }
  | { readonly kind: "sequence"; readonly items: readonly RegexNode[] }
  | { readonly kind: "either"; readonly branches: readonly RegexNode[] }
  | {
      readonly kind: "repeat";
      readonly item: RegexNode;
      readonly least: number;
      /** Infinity for no limit. */
      readonly most: number;
    };

/** Text that is no expression of this syntax, or one that we refuse; the message says why. */
export class RegexError extends Error {
  override readonly name = "RegexError";
}

/** RE_DUP_MAX of glibc. */
const REPETITIONS_MAX = 0x7fff;
/** The deepest nesting of groups. */
const DEPTH_MAX = 200;

const EMPTY: RegexNode = { kind: "empty" };

const REPETITIONS: Readonly<Record<string, { readonly least: number; readonly most: number }>> = {
  "*": { least: 0, most: Infinity },
  "+": { least: 1, most: Infinity },
  "?": { least: 0, most: 1 },
};

/** The tree of an expression. Throws RegexError. */
export function parseRegex(source: string): RegexNode {
  if (source.includes("\0")) throw new RegexError("a NUL byte");
  for (const character of source) {
    if (character.charCodeAt(0) > 0xff) throw new RegexError("a character that is no byte");
  }
  return new RegexParser(source).parse();
}

class RegexParser {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): RegexNode {
    return this.#alternation();
  }

  get #next(): string | undefined {
    return this.#source[this.#at];
  }

  get #isAtEnd(): boolean {
    return this.#at >= this.#source.length;
  }

  /** Is this the end of a branch? A closing parenthesis outside of groups is an ordinary character. */
  get #isAtBranchEnd(): boolean {
    return this.#isAtEnd || this.#next === "|" || (this.#next === ")" && this.#depth > 0);
  }

  #alternation(): RegexNode {
    const branches = [this.#branch()];
    while (this.#next === "|") {
      this.#at += 1;
      branches.push(this.#branch());
    }
    const [only = EMPTY, ...others] = branches;
    return others.length === 0 ? only : { kind: "either", branches };
  }

  #branch(): RegexNode {
    const items: RegexNode[] = [];
    while (!this.#isAtBranchEnd) items.push(this.#expression());
    const [only = EMPTY, ...others] = items;
    return others.length === 0 ? only : { kind: "sequence", items };
  }

  /** An atom and its repetitions. Behind a place nothing can be repeated: `^*` is an error. */
  #expression(): RegexNode {
    let item = this.#atom();
    if (item.kind === "place" && this.#source[this.#at - 1] !== ")") return item;
    for (;;) {
      const repeated = this.#repetition(item);
      if (repeated === undefined) return item;
      item = repeated;
    }
  }

  #atom(): RegexNode {
    const character = this.#take();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "bytes", set: this.#bracket() };
      case ".":
        return { kind: "bytes", set: ANY };
      case "^":
        return { kind: "place", place: "lineStart" };
      case "$":
        return { kind: "place", place: "lineEnd" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
      case "{":
        throw new RegexError(`nothing to repeat before "${character}"`);
      default:
        return literal(character);
    }
  }

  #group(): RegexNode {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new RegexError(`more than ${DEPTH_MAX} nested groups`);
    const inner = this.#alternation();
    if (this.#isAtEnd) throw new RegexError('"(" without ")"');
    this.#at += 1;
    this.#depth -= 1;
    return inner;
  }

  #escape(): RegexNode {
    if (this.#isAtEnd) throw new RegexError('"\\" at the end');
    const character = this.#take();
    if (character >= "1" && character <= "9") throw new RegexError("a back-reference");
    const place = ESCAPED_PLACES[character];
    if (place !== undefined) return { kind: "place", place };
    const set = ESCAPED_SETS[character];
    return set === undefined ? literal(character) : { kind: "bytes", set };
  }

  #repetition(item: RegexNode): RegexNode | undefined {
    if (this.#next === "{") return this.#interval(item);
    const times = REPETITIONS[this.#next ?? ""];
    if (times === undefined) return undefined;
    this.#at += 1;
    const repeat = { kind: "repeat", item, ...times } as const;
    return times.least > 0 ? copied(repeat) : repeat;
  }

  /** `{3}`, `{3,}`, `{3,5}` or `{,5}`. */
  #interval(item: RegexNode): RegexNode {
    const found = /^\{(\d*)(?:(,)(\d*))?\}/.exec(this.#source.slice(this.#at));
    const [text = "", first = "", comma, second = ""] = found ?? [];
    if (found === null || (first === "" && (comma === undefined || second === ""))) {
      throw new RegexError('"{" without a number of repetitions and "}"');
    }
    const least = Number(first);
    const most = comma === undefined ? least : second === "" ? Infinity : Number(second);
    if (least > most) throw new RegexError(`${text} has its numbers in the wrong order`);
    if (least > REPETITIONS_MAX || (most > REPETITIONS_MAX && most !== Infinity)) {
      throw new RegexError(`${text} has a number above ${REPETITIONS_MAX}`);
    }
    this.#at += text.length;
    return copied({ kind: "repeat", item, least, most });
  }

  /** What follows `[`, up to its `]`. A backslash is an ordinary character here. */
  #bracket(): ByteSet {
    const set = Array.from({ length: 256 }, () => false);
    const isNegated = this.#next === "^";
    if (isNegated) this.#at += 1;
    const start = this.#at;
    while (this.#next !== "]" || this.#at === start) {
      this.#bracketItem(set, this.#at === start);
    }
    this.#at += 1;
    return isNegated ? set.map((isIn, byte) => byte > 0 && !isIn) : set;
  }

  #bracketItem(set: boolean[], isFirst: boolean): void {
    if (this.#next === "-" && !isFirst && this.#source[this.#at + 1] !== "]") {
      throw new RegexError('"-" in "[" that is neither first, last nor between two characters');
    }
    const start = this.#bracketElement();
    if (typeof start !== "number") {
      start.forEach((isIn, byte) => isIn && (set[byte] = true));
      return;
    }
    const isRange = this.#next === "-" && this.#source[this.#at + 1] !== "]";
    if (!isRange) {
      set[start] = true;
      return;
    }
    this.#at += 1;
    const end = this.#bracketElement();
    if (typeof end !== "number" || end < start) throw new RegexError("a range in the wrong order");
    for (let byte = start; byte <= end; byte += 1) set[byte] = true;
  }

  /** A byte, or the set of a class. */
  #bracketElement(): number | ByteSet {
    if (this.#isAtEnd) throw new RegexError('"[" without "]"');
    const two = this.#source.slice(this.#at, this.#at + 2);
    if (two !== "[:" && two !== "[=" && two !== "[.") return this.#take().charCodeAt(0);
    const end = this.#source.indexOf(`${two[1]}]`, this.#at + 2);
    if (end < 0) throw new RegexError(`"${two}" without "${two[1]}]"`);
    const name = this.#source.slice(this.#at + 2, end);
    this.#at = end + 2;
    return two === "[:" ? classNamed(name) : onlyByte(name, two);
  }

  #take(): string {
    const character = this.#source[this.#at] ?? "";
    this.#at += 1;
    return character;
  }
}

/** glibc makes copies of what is repeated so, and loses the places in some of them. */
function copied(repeat: RegexNode & { readonly kind: "repeat" }): RegexNode {
  if (hasPlace(repeat.item)) throw new RegexError('a place like "^" in what "+" or "{" repeats');
  return repeat;
}

function hasPlace(node: RegexNode): boolean {
  switch (node.kind) {
    case "place":
      return true;
    case "sequence":
      return node.items.some(hasPlace);
    case "either":
      return node.branches.some(hasPlace);
    case "repeat":
      return hasPlace(node.item);
    case "empty":
    case "bytes":
      return false;
  }
}

function literal(character: string): RegexNode {
  return { kind: "bytes", set: onlySet(character.charCodeAt(0)) };
}

/** One set for each byte, whatever the number of characters. */
const ONLY_SETS: ByteSet[] = [];

function onlySet(byte: number): ByteSet {
  return (ONLY_SETS[byte] ??= setOf((other) => other === byte));
}

/** `[.a.]` is the byte, and in the C locale so is `[=a=]`. */
function onlyByte(name: string, opening: string): number | ByteSet {
  if (name.length !== 1) throw new RegexError(`"${opening}${name}": no single character`);
  const byte = name.charCodeAt(0);
  return opening === "[." ? byte : onlySet(byte);
}

function classNamed(name: string): ByteSet {
  const set = CLASSES.get(name);
  if (set === undefined) throw new RegexError(`no class of characters "[:${name}:]"`);
  return set;
}

function setOf(isIn: (byte: number) => boolean): ByteSet {
  return Array.from({ length: 256 }, (_, byte) => isIn(byte));
}

/** The bytes that a pattern of JavaScript matches, all of them ASCII. */
function asciiSet(pattern: RegExp): ByteSet {
  return setOf((byte) => byte < 0x80 && pattern.test(String.fromCharCode(byte)));
}

/** Texts are C strings: no set has the NUL. */
const ANY = setOf((byte) => byte > 0);

/** The classes of the C locale. */
const CLASSES: ReadonlyMap<string, ByteSet> = new Map([
  ["alnum", asciiSet(/[0-9A-Za-z]/)],
  ["alpha", asciiSet(/[A-Za-z]/)],
  ["blank", asciiSet(/[ \t]/)],
  ["cntrl", setOf((byte) => byte < 0x20 || byte === 0x7f)],
  ["digit", asciiSet(/[0-9]/)],
  ["graph", asciiSet(/[!-~]/)],
  ["lower", asciiSet(/[a-z]/)],
  ["print", asciiSet(/[ -~]/)],
  ["punct", asciiSet(/[!-/:-@[-`{-~]/)],
  ["space", asciiSet(/[ \t\n\v\f\r]/)],
  ["upper", asciiSet(/[A-Z]/)],
  ["xdigit", asciiSet(/[0-9A-Fa-f]/)],
]);

/** The bytes of words: letters, digits and `_`. */
export const WORD_BYTES: ByteSet = asciiSet(/\w/);

const SPACE = classNamed("space");

/** What glibc adds to POSIX. */
const ESCAPED_SETS: Readonly<Record<string, ByteSet>> = {
  w: WORD_BYTES,
  W: setOf((byte) => byte > 0 && WORD_BYTES[byte] !== true),
  s: SPACE,
  S: setOf((byte) => byte > 0 && SPACE[byte] !== true),
};

const ESCAPED_PLACES: Readonly<Record<string, TextPlace>> = {
  "`": "start",
  "'": "end",
  b: "wordBoundary",
  B: "insideOrOutsideWord",
  "<": "wordStart",
  ">": "wordEnd",
};
