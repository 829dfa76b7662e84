import { expect, test } from "vitest";
import { ProgramSearch } from "../../src/chain/search.ts";
import { splitBlock } from "../../src/posix/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

const REMEMBERED_MS = 1_000;

class CountingPosix extends FakePosix {
  looks = 0;

  override fileVersion(path: string): ReturnType<FakePosix["fileVersion"]> {
    this.looks += 1;
    return super.fileVersion(path);
  }
}

function newSearch() {
  const [posix, clock] = [new CountingPosix(), new FakeClock()];
  const search = new ProgramSearch({ posix, clock });
  const files = (word: string, path?: string): string[] => splitBlock(search.files(word, path));
  return { posix, clock, files };
}

test("a file that is executable now comes first, and all other candidates stay", () => {
  const { posix, files } = newSearch();
  posix.putFile("/c/prog", "", 0o755);
  posix.putFile("/b/prog", "", 0o644);
  expect(files("prog", "/a:/b:/c:/d")).toEqual(["/c/prog", "/a/prog", "/b/prog", "/d/prog"]);
});

test("of several executable files the order of PATH decides", () => {
  const { posix, files } = newSearch();
  posix.putFile("/b/prog", "", 0o700);
  posix.putFile("/a/prog", "", 0o001);
  expect(files("prog", "/a:/b")).toEqual(["/a/prog", "/b/prog"]);
});

test("one that is installed in front of another is found a second later", () => {
  const { posix, clock, files } = newSearch();
  posix.putFile("/b/prog", "", 0o755);
  expect(files("prog", "/a:/b")).toEqual(["/b/prog", "/a/prog"]);
  posix.putFile("/a/prog", "", 0o755);
  expect(files("prog", "/a:/b")).toEqual(["/b/prog", "/a/prog"]);
  clock.advance(REMEMBERED_MS);
  expect(files("prog", "/a:/b")).toEqual(["/a/prog", "/b/prog"]);
});

test("many look-ups of a word in a second look at each file once", () => {
  const { posix, files } = newSearch();
  for (let count = 0; count < 1_000; count += 1) files("prog", "/a:/b");
  expect(posix.looks).toBe(2);
});

test("words are remembered by their PATH too, and not without end", () => {
  const { posix, files } = newSearch();
  posix.putFile("/b/prog", "", 0o755);
  expect(files("prog", "/a:/b")).toEqual(["/b/prog", "/a/prog"]);
  expect(files("prog", "/b:/a")).toEqual(["/b/prog", "/a/prog"]);
  for (let count = 0; count < 300; count += 1) files("prog", `/${count}:/b`);
  posix.looks = 0;
  files("prog", "/a:/b");
  expect(posix.looks).toBe(2); // it was forgotten
});

test("a word with a slash is itself, and a relative element keeps the order of PATH", () => {
  const { posix, files } = newSearch();
  posix.putFile("/b/prog", "", 0o755);
  expect(files("./prog", "/b")).toEqual(["./prog"]);
  expect(files("prog", "bin:/b")).toEqual(["bin/prog", "/b/prog"]);
  expect(posix.looks).toBe(0);
});
