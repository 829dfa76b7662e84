/**
 * Which descriptors children get, on the real kernel: compared with children that clone has given a
 * copy of the whole table, with the parent closing, reusing and killing at once.
 */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Child, Fd, SpawnRequest } from "../../src/posix/posix.ts";
import {
  fixtureCommand,
  inheritedEnvironment,
  readToEnd,
  request,
  temporaryFolder,
} from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

/** Numbers that nothing else here uses, low and high; the highest may be above those that children copy. */
const NUMBERS = [60, 61, 62, 63, 64, 65, 200, 201, 700, 3_000];
const LETTERS = "abcdefghij";

for (const letter of `${LETTERS}z`) writeFileSync(folder.file(letter), letter);

const { soft, hard } = posix.getrlimit("nofile");
if (soft < 4096) posix.setrlimit("nofile", { soft: Math.min(4096, hard), hard });

/** Open a file under this number, in place of whatever had it. */
function place(letter: string, fd: number, closeOnExec: boolean): void {
  const file = posix.open(folder.file(letter), "read");
  posix.dup2(file, fd, closeOnExec);
  if (file !== fd) posix.close(file);
}

/** What the descriptors of this process lead to. */
function ownTable(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return []; // the listing's own
    }
  });
}

interface Born {
  readonly child: Child;
  readonly output: Fd;
}

/** A child that lists its descriptors. What it was given is closed at once, and the number taken again. */
function bear(moves: readonly number[], parts: Partial<SpawnRequest>): Born {
  const [output, input] = posix.pipe();
  const child = posix.spawn(
    request(["ls", "-l", "/proc/self/fd"], { ...parts, descriptors: [1, input, ...moves] }),
  );
  posix.close(input);
  place("z", input, true);
  posix.close(input);
  return { child, output };
}

/** The files of ours that the child has, by number; undefined when it was killed. */
function seenBy({ child, output }: Born): Record<string, string> | undefined {
  posix.waitReady(child.pidfd, { readable: true }, -1);
  posix.close(child.pidfd);
  const status = posix.reap(child.pid);
  expect(posix.birthFailure(child.birth)).toBeUndefined();
  const text = readToEnd(output); // which ends: nobody holds the other end any more
  posix.close(output);
  if (status?.kind === "killed") return undefined;
  const entries = text.matchAll(/ (\d+) -> (.*)\/([a-z])$/gm);
  return Object.fromEntries(
    [...entries]
      .filter(([, , directory]) => directory === folder.path)
      .map(([, fd = "", , letter = ""]) => [fd, letter]),
  );
}

type Open = "closed" | "close-on-exec" | "inheritable";

interface Scene {
  readonly opened: readonly Open[];
  readonly births: readonly Birth[];
}

interface Birth {
  /** Pairs of indices into NUMBERS; a source of -1 closes. */
  readonly moves: readonly (readonly [number, number])[];
  readonly closesOthers: boolean;
  readonly isKilled: boolean;
  /** Which of our descriptors are another file as soon as the child was created. */
  readonly reused: readonly number[];
}

const index = fc.nat(NUMBERS.length - 1);
const birth: fc.Arbitrary<Birth> = fc.record({
  moves: fc.uniqueArray(fc.tuple(index, fc.integer({ min: -1, max: NUMBERS.length - 1 })), {
    selector: ([target]) => target,
    maxLength: 6,
  }),
  closesOthers: fc.boolean(),
  isKilled: fc.boolean(),
  reused: fc.subarray(NUMBERS.map((_, at) => at)),
});
const scene: fc.Arbitrary<Scene> = fc.record({
  opened: fc.array(fc.constantFrom<Open>("closed", "close-on-exec", "inheritable"), {
    minLength: NUMBERS.length,
    maxLength: NUMBERS.length,
  }),
  births: fc.array(birth, { minLength: 1, maxLength: 4 }),
});

/** Open what the scene says. Those that are inheritable are not reused: they are not named. */
function setUp(opened: readonly Open[]): void {
  opened.forEach((how, at) => {
    const fd = NUMBERS[at] ?? -1;
    if (how !== "closed") place(LETTERS[at] ?? "", fd, how === "close-on-exec");
    else if (posix.isOpen(fd)) posix.close(fd);
  });
}

function movesOf({ moves }: Birth, opened: readonly Open[]): number[] {
  return moves.flatMap(([target, source]) => {
    if (source >= 0 && opened[source] === "closed") return [];
    return [NUMBERS[target] ?? -1, source < 0 ? -1 : (NUMBERS[source] ?? -1)];
  });
}

/** What the child is to have, by the words of SpawnRequest. */
function expected({ moves, closesOthers }: Birth, opened: readonly Open[]): Record<string, string> {
  const has = new Map<number, string>();
  opened.forEach((how, at) => {
    if (how === "inheritable" && !closesOthers) has.set(NUMBERS[at] ?? -1, LETTERS[at] ?? "");
  });
  for (const [target, source] of moves) {
    const fd = NUMBERS[target] ?? -1;
    if (source < 0) has.delete(fd);
    else if (opened[source] !== "closed") has.set(fd, LETTERS[source] ?? "");
  }
  return Object.fromEntries(has);
}

function act(opened: readonly Open[], birth: Birth, parts: Partial<SpawnRequest>): Born {
  setUp(opened);
  const { closesOthers, isKilled, reused } = birth;
  const born = bear(movesOf(birth, opened), { closesOthers, ...parts });
  if (isKilled) posix.kill(born.child.pid, 9);
  for (const at of reused) {
    const fd = NUMBERS[at] ?? -1;
    if (opened[at] === "close-on-exec") place("z", fd, true);
  }
  return born;
}

describe("the descriptors of children", () => {
  test("descriptors of a child are those of the request, whatever happens to ours meanwhile", () => {
    const ownScore = Number(readFileSync("/proc/self/oom_score_adj", "latin1"));
    const table = { oomScore: ownScore }; // such a child has a copy of the whole table
    setUp(NUMBERS.map(() => "closed"));
    seenBy(bear([], {})); // the first birth sets descriptors aside
    const before = ownTable();
    fc.assert(
      fc.property(scene, ({ opened, births }) => {
        for (const birth of births) {
          const born = act(opened, birth, {});
          const copied = act(opened, { ...birth, isKilled: false }, table);
          const seen = seenBy(born);
          if (!birth.isKilled) expect(seen).toEqual(expected(birth, opened));
          expect(seenBy(copied)).toEqual(expected(birth, opened));
        }
        setUp(NUMBERS.map(() => "closed"));
        expect(ownTable()).toEqual(before);
      }),
      { numRuns: 20 },
    );
  });

  test("descriptors of children are their own when forty are created at once and half of them killed", () => {
    const before = ownTable();
    const born = Array.from({ length: 40 }, (_, count) => {
      const letter = LETTERS[count % LETTERS.length] ?? "";
      place(letter, 60, true);
      const one = bear([61, 60], {});
      if (count % 2 === 1) posix.kill(one.child.pid, 9);
      posix.close(60 as Fd);
      return { one, letter };
    });
    born.forEach(({ one, letter }, count) => {
      const seen = seenBy(one);
      if (count % 2 === 0) expect(seen).toEqual({ 61: letter });
    });
    expect(ownTable()).toEqual(before);
  });

  test("descriptors of a child include the directory that it enters, in the same way", () => {
    const opened = posix.open(folder.path, "read", { directory: true });
    const directory = posix.dup2(opened, 3_500, true);
    posix.close(opened);
    const [output, input] = posix.pipe();
    const child = posix.spawn(request(["pwd", "-P"], { directory, descriptors: [1, input] }));
    for (const fd of [input, directory]) posix.close(fd);
    expect(readToEnd(output)).toBe(`${realpathSync(folder.path)}\n`);
    posix.close(output);
    posix.waitReady(child.pidfd, { readable: true }, -1);
    posix.close(child.pidfd);
    posix.reap(child.pid);
  });

  test("descriptors of a child may be more than one message holds", () => {
    const before = ownTable();
    const many = Array.from({ length: 300 }, () => posix.open("/dev/null", "read"));
    place("a", 3_000, true);
    const moves = many.flatMap((fd, at) => [400 + at, fd]);
    expect(seenBy(bear([...moves, 60, 3_000], {}))).toEqual({ 60: "a" });
    for (const fd of [...many, 3_000 as Fd]) posix.close(fd);
    expect(ownTable()).toEqual(before);
  });
});

const canCompile = spawnSync("cc", ["--version"]).status === 0;

test.skipIf(!canCompile).each([
  ["close_range", "SYS_close_range", "ANY"],
  ["a table of its own to close_range", "SYS_close_range", "2"],
  ["socketpair", "SYS_socketpair", "ANY"],
  ["sendmsg", "SYS_sendmsg", "ANY"],
])(
  "children have their descriptors where the system refuses %s (needs a C compiler)",
  (_, refused, flags) => {
    const source = `${import.meta.dirname}/../fixtures/posix/refuse-call.c`;
    const filter = folder.file(`refuse-${refused}-${flags}`);
    const words = ["-o", filter, `-DREFUSED=${refused}`, `-DFLAGS=${flags}`, source];
    expect(spawnSync("cc", words, { encoding: "utf8" }).stderr).toBe("");
    const { stdout } = spawnSync(filter, fixtureCommand("handover"), {
      encoding: "utf8",
      env: { ...process.env, ...inheritedEnvironment() },
    });
    expect(stdout).toBe("one two inherited\nour table is as before\n");
  },
);
