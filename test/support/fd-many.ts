/** Very many held descriptors, through their whole lives. */

import { expect } from "vitest";
import { taiAt, taiFromUnix } from "../../src/clock/index.ts";
import type { HolderClient } from "../../src/supervise/fdholder/index.ts";
import { connectClient, linkOf, openCount, posix, ruleFiles, startHolder } from "./fd-holder.ts";
import { newScene } from "./scene.ts";

const TIMEOUT_MS = 120_000;

/** The entries that are imported at a time. */
const IMPORTED = 1000;

/** From the import of the entries until they expire. */
const EXPIRY_NS = 300_000_000n;

/**
 * Have a holder keep so many copies of one file, list them, retrieve some, transfer all to a second holder
 * with one command, and have them expire there. Each holder has open what it holds, and no more.
 */
export async function holdMany(total: number): Promise<void> {
  await using scene = await newScene({ files: { ...ruleFiles(), held: "" } });
  const words = (most: number): string[] => ["-i", "rules", "-n", String(most)];
  const first = await startHolder(scene, { words: words(total), socket: "a" });
  // An import needs room for all of it, also where it replaces entries.
  const second = await startHolder(scene, { words: words(total + IMPORTED), socket: "b" });
  using from = await connectClient(scene.path("a"), TIMEOUT_MS);
  using to = await connectClient(scene.path("b"), TIMEOUT_MS);
  await Promise.all([from.list(), to.list()]);
  const [emptyFirst, emptySecond] = [openCount(first.pid), openCount(second.pid)];
  const file = scene.path("held");

  const ids = Array.from({ length: total }, (_, index) => `descriptor ${index}`).toSorted();
  const fd = posix.open(file, "read");
  for (const id of ids) await from.store(fd, id);
  await expect(from.store(fd, "one too many")).rejects.toMatchObject({ code: "ENFILE" });
  posix.close(fd);
  expect(openCount(first.pid)).toBe(emptyFirst + total);

  const transfer = ["-t", `${TIMEOUT_MS}:${TIMEOUT_MS}`, "a", "b"];
  (await scene.run("s6-fdholder-transferdump", transfer)).exits(0).stderrIs("");
  expect(openCount(second.pid)).toBe(emptySecond + total);
  for (const holder of [from, to]) {
    expect((await holder.list()).toSorted()).toEqual(ids);
    await expectSome(holder, ids, file);
  }

  await expireAll(to);
  expect(openCount(second.pid)).toBe(emptySecond);
  expect(openCount(first.pid)).toBe(emptyFirst + total);
}

/** A hundredth of the entries, each of which is the file. */
async function expectSome(
  holder: HolderClient,
  ids: readonly string[],
  file: string,
): Promise<void> {
  for (let index = 0; index < ids.length; index += 100) {
    const fd = await holder.retrieve(ids[index] ?? "");
    expect(linkOf(`/proc/self/fd/${fd}`)).toBe(file);
    posix.close(fd);
  }
}

/** Import everything again, with limits that are near, and wait until nothing is left. */
async function expireAll(holder: HolderClient): Promise<void> {
  const dump = await holder.getDump();
  const limit = taiAt(taiFromUnix(posix.realtimeNs()) + EXPIRY_NS);
  for (let start = 0; start < dump.length; start += IMPORTED) {
    const some = dump.slice(start, start + IMPORTED);
    await holder.setDump(some.map((entry) => ({ ...entry, limit })));
  }
  for (const { fd } of dump) posix.close(fd);
  while ((await holder.list()).length > 0);
}
