/**
 * The files at which execvp(3) would find a word (local-services.md, section 1.4), remembered for a
 * second: a server executes the same program for each connection, and its children are to do one
 * execve, not one for each element of PATH.
 */

import type { Clock } from "../clock/index.ts";
import { joinBlock } from "../posix/index.ts";
import type { Posix } from "../posix/index.ts";

/** The search path of a process that has no PATH. */
const DEFAULT_PATH = "/usr/bin:/bin";

/**
 * The files execvp would try for `word`, in order: the word itself if it has a slash, otherwise one
 * for each element of `path`. Empty elements are skipped, never the current directory; where there are no
 * others, the empty path, which is no file's.
 */
export function candidateFiles(word: string, path: string | undefined): readonly string[] {
  if (word.includes("/")) return [word];
  const elements = (path ?? DEFAULT_PATH).split(":").filter((element) => element !== "");
  return elements.length === 0 ? [""] : elements.map((element) => `${element}/${word}`);
}

/** The time for which a look-up is valid, in milliseconds. */
const REMEMBERED_MS = 1_000;

/** The number of look-ups that are remembered: rules may set any number of values of PATH. */
const REMEMBERED_MAX = 256;

interface Found {
  readonly block: Uint8Array;
  readonly untilMs: number;
}

/**
 * Look-ups in PATH. All candidates stay in the list, those first that are executable files now: so a
 * program that is removed or replaced is found wherever it is at once, as execvp would, and one that is
 * installed in front of another after a second. A look-up is a stat(2) for each element of PATH.
 */
export class ProgramSearch {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #found = new Map<string, Found>();

  constructor({ posix, clock }: { readonly posix: Posix; readonly clock: Clock }) {
    this.#posix = posix;
    this.#clock = clock;
  }

  /** The files to try for a word, as a block for `spawn` and `execve`. */
  files(word: string, path: string | undefined): Uint8Array {
    const key = path === undefined ? word : `${word}\0${path}`;
    const nowMs = this.#clock.monotonicMs();
    const known = this.#found.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.block;
    const block = joinBlock(this.#order(candidateFiles(word, path)));
    if (this.#found.size >= REMEMBERED_MAX) this.#found.clear();
    this.#found.set(key, { block, untilMs: nowMs + REMEMBERED_MS });
    return block;
  }

  /** A relative candidate depends on the directory of the child: then the order stays as it is. */
  #order(candidates: readonly string[]): readonly string[] {
    const isDecided = candidates.length > 1 && candidates.every((file) => file.startsWith("/"));
    if (!isDecided) return candidates;
    const executable = new Set(candidates.filter((file) => this.#isExecutable(file)));
    return [...executable, ...candidates.filter((file) => !executable.has(file))];
  }

  #isExecutable(file: string): boolean {
    const version = this.#posix.fileVersion(file);
    if (typeof version === "string") return false;
    return (version.mode & S_IFMT) === S_IFREG && (version.mode & ANY_EXECUTE) !== 0;
  }
}

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const ANY_EXECUTE = 0o111;
