/** Fd holders that run out of descriptors, and fd holders with very many. */

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { holdMany } from "../support/fd-many.ts";
import { connectClient, posix, ruleFiles, startHolder } from "../support/fd-holder.ts";
import { newScene } from "../support/scene.ts";
import type { SceneProcess } from "../support/scene.ts";

function limit(holder: SceneProcess, soft: number): void {
  execFileSync("prlimit", ["--pid", String(holder.pid), `--nofile=${soft}:`]);
}

/** The lowest number that a process has free. */
function firstFree(pid: number): number {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let free = 0;
  while (taken.has(free)) free += 1;
  return free;
}

test("a newcomer is served with the last descriptor that a holder can have", async () => {
  await using scene = await newScene({ files: ruleFiles() });
  const holder = await startHolder(scene);
  using client = await connectClient(scene.path("s"));
  await client.list();
  limit(holder, firstFree(holder.pid) + 1);
  using last = await connectClient(scene.path("s"));
  expect(await last.list()).toEqual([]);
});

test("a newcomer for whom there is no descriptor waits until there is one", async () => {
  await using scene = await newScene({ files: ruleFiles() });
  const holder = await startHolder(scene);
  using client = await connectClient(scene.path("s"));
  await client.list();
  const before = posix.getrlimit("nofile").soft;
  limit(holder, firstFree(holder.pid));
  using newcomer = await connectClient(scene.path("s"));
  const answer = newcomer.list();
  await holder.lines(/unable to accept: Too many open files/);
  limit(holder, Number(before));
  expect(await answer).toEqual([]);
});

test("a client whose rule cannot be read is refused with a warning that names it", async () => {
  await using scene = await newScene({
    files: { ...ruleFiles(), [`rules/uid/${posix.geteuid()}/exec/file`]: "" },
  });
  const holder = await startHolder(scene);
  using client = await connectClient(scene.path("s"));
  await expect(client.list()).rejects.toMatchObject({ code: "EPIPE" });
  await holder.lines(/warning: rule uid\/\d+: unable to read rules\/uid\/\d+\/exec/);
});

test("1,500 descriptors are held, listed, retrieved, transferred and expire", async () => {
  await holdMany(1500);
});
