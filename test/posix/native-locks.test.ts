/** flock(2) and record locks, which exclude open files, and those of fcntl(2), which exclude processes. */
import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/native.ts";
import type { Fd, Pid } from "../../src/posix/posix.ts";
import { peer } from "../support/scene.ts";
import {
  fixtureCommand,
  inheritedEnvironment,
  request,
  run,
  temporaryFolder,
  waitFor,
} from "./program.ts";

const posix = loadPosix();
const folder = temporaryFolder();

function openLock(name: string): Fd {
  return posix.open(folder.file(name), "readwrite", { create: 0o600 });
}

test("flock excludes another open file, shares, and is given up", () => {
  const [one, other] = [openLock("flock"), openLock("flock")];
  expect(posix.flock(one, "exclusive", true)).toBe(true);
  expect(posix.flock(other, "shared", false)).toBe(false);
  expect(posix.flock(one, "shared", false)).toBe(true);
  expect(posix.flock(other, "shared", true)).toBe(true);
  expect(posix.flock(other, "exclusive", false)).toBe(false);
  posix.flock(one, "unlock", false);
  expect(posix.flock(other, "exclusive", false)).toBe(true);
  posix.close(one);
  posix.close(other);
});

const perl = peer("perl");

/** Takes a lock of fcntl(2) as its second word says, tells so, and holds it until its input ends. */
const HOLD_PROCESS_LOCK = `
use Fcntl;
my ($path, $kind) = @ARGV;
open(my $file, "+<", $path) or die;
my $lock = pack("s s x![q] q q i x4", $kind eq "shared" ? F_RDLCK : F_WRLCK, 0, 0, 0, 0);
fcntl($file, F_SETLK, $lock) or exit 1;
syswrite(STDOUT, "!");
sysread(STDIN, my $nothing, 1);
`;

const HOLDERS = {
  process: (words: readonly string[]) => [perl.path, "-e", HOLD_PROCESS_LOCK, ...words],
  description: (words: readonly string[]) => fixtureCommand("lock-holder", words),
};

/** Have another process take a record lock, and run `use` while it holds it. */
function whileLocked(
  by: keyof typeof HOLDERS,
  kind: string,
  use: (fd: Fd, holder: Pid) => void,
): void {
  const name = `${by}-${kind}`;
  const fd = openLock(name);
  const [told, tell] = posix.pipe();
  const [released, release] = posix.pipe();
  const holder = posix.spawn(
    request(HOLDERS[by]([folder.file(name), kind]), {
      env: inheritedEnvironment(),
      descriptors: [0, released, 1, tell],
    }),
  );
  posix.close(tell);
  expect(posix.read(told, new Uint8Array(1))).toBe(1);
  use(fd, holder.pid);
  posix.close(release);
  posix.waitReady(holder.pidfd, { readable: true }, -1);
  expect(waitFor(holder.pid)).toEqual({ kind: "exited", exitCode: 0 });
  expect(posix.recordLock(fd, "exclusive", false)).toBe(true);
  for (const open of [fd, told, released, holder.pidfd]) posix.close(open);
}

for (const by of ["process", "description"] as const) {
  const skip = by === "process" && perl.isMissing;
  describe.skipIf(skip)(`a record lock that another ${by} holds${skip ? perl.why : ""}`, () => {
    test("a record lock of another process or file conflicts when it is exclusive, and has an owner", () => {
      whileLocked(by, "exclusive", (fd, holder) => {
        expect(posix.recordLock(fd, "shared", false)).toBe(false);
        expect(posix.recordLockOwner(fd, "shared")).toBe(by === "process" ? holder : by);
      });
    });

    test("a record lock of another process or file conflicts with an exclusive one only when it is shared", () => {
      whileLocked(by, "shared", (fd, holder) => {
        expect(posix.recordLock(fd, "shared", false)).toBe(true);
        expect(posix.recordLockOwner(fd, "shared")).toBeUndefined();
        expect(posix.recordLock(fd, "exclusive", false)).toBe(false);
        expect(posix.recordLockOwner(fd, "exclusive")).toBe(by === "process" ? holder : by);
        expect(posix.recordLock(fd, "unlock", false)).toBe(true);
      });
    });
  });
}

test.skipIf(perl.isMissing)(`a record lock of ours keeps a process out${perl.why}`, () => {
  const fd = openLock("ours");
  expect(posix.recordLock(fd, "shared", false)).toBe(true);
  posix.close(openLock("ours"));
  const words = [folder.file("ours"), "exclusive"];
  expect(run(HOLDERS.process(words)).status).toEqual({ kind: "exited", exitCode: 1 });
  posix.close(fd);
  expect(run(HOLDERS.process(words), { descriptors: [0, -1] }).stdout).toBe("!");
});

test("waiting for a record lock ends when its holder does", () => {
  const fd = openLock("waited");
  const [told, tell] = posix.pipe();
  const [released, release] = posix.pipe();
  const holder = posix.spawn(
    request(fixtureCommand("lock-holder", [folder.file("waited"), "exclusive"]), {
      env: inheritedEnvironment(),
      descriptors: [0, released, 1, tell],
    }),
  );
  expect(posix.read(told, new Uint8Array(1))).toBe(1);
  posix.close(release);
  expect(posix.recordLock(fd, "exclusive", true)).toBe(true);
  posix.waitReady(holder.pidfd, { readable: true }, -1);
  waitFor(holder.pid);
  for (const open of [fd, told, tell, released, holder.pidfd]) posix.close(open);
});
