import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { chmodSync, linkSync, mkdirSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadPosix, SystemError } from "../../../src/posix/index.ts";
import type { Posix } from "../../../src/posix/index.ts";
import { cleanFifodir, makeFifodir, notify } from "../../../src/supervise/index.ts";
import { FifoListener } from "../../../src/supervise/notify/listener.ts";
import { isRoot } from "../../support/scene.ts";

const posix = loadPosix();
const context = { posix, randomBytes };

let folder = "";
let path = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ucspi-fifodir-"));
  path = join(folder, "events");
  makeFifodir(posix, { path });
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function listen(): FifoListener {
  return FifoListener.open(context, { path });
}

function heard(listener: FifoListener): string {
  const into = Buffer.alloc(8192);
  return into.toString("latin1", 0, listener.read(into));
}

function send(text: string, kernel: Posix = posix) {
  const { told, missed, problem } = notify(kernel, { path }, Buffer.from(text, "latin1"));
  return [told, missed, problem?.code];
}

/** A kernel whose clock is some milliseconds ahead of this one's. */
function later(ms: number): Posix {
  return { ...posix, realtimeNs: () => posix.realtimeNs() + BigInt(ms) * 1_000_000n };
}

const DEAD = `ftrig1:@${"4".repeat(24)}:ABCdef`;

test("events reach every listener, whole and in order", () => {
  const listeners = [listen(), listen(), listen()];
  expect(send("dD")).toEqual([3, 0, undefined]);
  expect(send("\0u")).toEqual([3, 0, undefined]);
  expect(listeners.map(heard)).toEqual(["dD\0u", "dD\0u", "dD\0u"]);
  for (const listener of listeners) listener.close();
  expect(send("x")).toEqual([0, 0, undefined]);
  expect(readdirSync(path)).toEqual([]);
});

test("a thousand listeners hear of an event within a second, and leave nothing", () => {
  const listeners = Array.from({ length: 1000 }, listen);
  const start = performance.now();
  expect(send("u")).toEqual([1000, 0, undefined]);
  expect(performance.now() - start).toBeLessThan(1000);
  expect(new Set(listeners.map(heard))).toEqual(new Set(["u"]));
  for (const listener of listeners) listener.close();
  expect(readdirSync(path)).toEqual([]);
});

test("a fifo can be written to by all and read by its owner, whatever the umask", () => {
  const before = process.umask(0o077);
  const listener = listen();
  process.umask(before);
  const [name = ""] = readdirSync(path);
  expect(name).toMatch(/^ftrig1:@[0-9a-f]{24}:[-\w]{6}$/);
  expect(statSync(join(path, name)).mode).toBe(0o010622);
  listener.close();
});

test("a full fifo misses events as a whole, and holds up neither the notifier nor the others", () => {
  const slow = listen();
  for (let sent = 0; sent < 16; sent += 1) expect(send("x".repeat(4096))[0]).toBe(1);
  const quick = listen();
  expect(send("ab")).toEqual([1, 1, undefined]);
  expect(heard(quick)).toBe("ab");
  expect(heard(slow)).toBe("x".repeat(8192));
  expect(send("cd")).toEqual([2, 0, undefined]);
  slow.close();
  quick.close();
});

test("the fifo of a dead listener is removed by the next event, and by cleaning", () => {
  for (const remove of [() => send("x"), () => cleanFifodir(posix, { path })]) {
    posix.mkfifo(join(path, DEAD), 0o622);
    const listener = listen();
    remove();
    expect(readdirSync(path)).toHaveLength(1);
    listener.close();
  }
});

test("a fifo that is being made is left alone for a minute, and removed when nobody has opened it by then", () => {
  posix.mkfifo(join(path, `.${DEAD}`), 0o622);
  cleanFifodir(later(59_000), { path });
  send("x", later(120_000));
  expect(readdirSync(path)).toEqual([`.${DEAD}`]);
  const reader = posix.open(join(path, `.${DEAD}`), "read", { nonblocking: true });
  cleanFifodir(later(61_000), { path });
  expect(readdirSync(path)).toEqual([`.${DEAD}`]);
  posix.close(reader);
  cleanFifodir(later(61_000), { path });
  expect(readdirSync(path)).toEqual([]);
});

test("nothing is written to a file, a link to one or a directory that has the name of a fifo", () => {
  const victim = join(folder, "victim");
  writeFileSync(victim, "kept");
  const name = (digit: string): string => join(path, `ftrig1:@${digit.repeat(24)}:ABCdef`);
  writeFileSync(name("1"), "kept");
  symlinkSync(victim, name("2"));
  linkSync(victim, name("3"));
  mkdirSync(name("5"));
  expect(send("evil")).toEqual([0, 0, undefined]);
  cleanFifodir(posix, { path });
  expect([victim, name("1"), name("3")].map((file) => readFileSync(file, "utf8"))).toEqual([
    "kept",
    "kept",
    "kept",
  ]);
  expect(readdirSync(path)).toHaveLength(4);
});

test("nothing is written to a file that takes the place of a fifo while the directory is read", () => {
  const listener = listen();
  const [name = ""] = readdirSync(path);
  const kernel: Posix = {
    ...posix,
    readDirectory(fd) {
      const entries = posix.readDirectory(fd);
      if (entries.length > 0) {
        unlinkSync(join(path, name));
        writeFileSync(join(path, name), "kept");
      }
      return entries;
    },
  };
  expect(send("evil", kernel)).toEqual([0, 0, undefined]);
  expect(readFileSync(join(path, name), "utf8")).toBe("kept");
  listener.close();
});

test("other names are nobody's fifos", () => {
  for (const name of [`.${DEAD}`, `${DEAD}x`, DEAD.slice(1), "ftrig2:@", "lock"]) {
    posix.mkfifo(join(path, name), 0o600);
  }
  expect(send("x")).toEqual([0, 0, undefined]);
  cleanFifodir(posix, { path });
  expect(readdirSync(path)).toHaveLength(5);
});

test("a directory that gets another name while it is listened in loses no event and keeps no fifo", () => {
  const listener = listen();
  renameSync(path, `${path}.moved`);
  makeFifodir(posix, { path });
  expect(send("x")).toEqual([0, 0, undefined]);
  path = `${path}.moved`;
  expect(send("y")).toEqual([1, 0, undefined]);
  expect(heard(listener)).toBe("y");
  listener.close();
  expect(readdirSync(path)).toEqual([]);
});

test("a shortage of descriptors is told, and misses of listeners who close their fifos are none", () => {
  const listeners = [listen(), listen()];
  const short = (code: string): Posix => ({
    ...posix,
    open(name, mode, options) {
      if (mode === "write") throw new SystemError(code, 1, "open", code);
      return posix.open(name, mode, options);
    },
  });
  expect(send("x", short("EMFILE"))).toEqual([0, 0, "EMFILE"]);
  expect(send("x", short("EACCES"))).toEqual([0, 2, undefined]);
  for (const listener of listeners) listener.close();
});

test.each(["mkfifo", "setMode", "rename"] as const)(
  "a listener whose %s fails leaves neither a fifo nor a descriptor",
  (call) => {
    const kernel: Posix = {
      ...posix,
      [call]() {
        throw new SystemError("ENOSPC", 28, call, "No space left on device");
      },
    };
    const before = readdirSync("/proc/self/fd").length;
    const open = (): unknown => FifoListener.open({ posix: kernel, randomBytes }, { path });
    expect(open).toThrow("No space left");
    expect(readdirSync(path)).toEqual([]);
    expect(readdirSync("/proc/self/fd")).toHaveLength(before);
  },
);

test("a name that is taken is tried again with another", () => {
  const draws = [0, 0, 1].map((value) => new Uint8Array(6).fill(value));
  const kernel = { ...posix, realtimeNs: () => 1_700_000_000_000_000_000n };
  const next = (): FifoListener =>
    FifoListener.open(
      { posix: kernel, randomBytes: () => draws.shift() ?? new Uint8Array(6) },
      { path },
    );
  posix.mkfifo(join(path, ".ftrig1:@400000006553f12500000000:AAAAAA"), 0o600);
  const listener = next();
  expect(readdirSync(path).toSorted()[1]).toBe("ftrig1:@400000006553f12500000000:BBBBBB");
  listener.close();
});

test("a fifodir is made once, and changed only when that is asked for", () => {
  const mode = (): number => statSync(path).mode & 0o7777;
  expect(mode()).toBe(0o1733);
  chmodSync(path, 0o700);
  makeFifodir(posix, { path });
  expect(mode()).toBe(0o700);
  makeFifodir(posix, { path }, { force: true });
  expect(mode()).toBe(0o1733);
  writeFileSync(`${path}.file`, "");
  expect(() => makeFifodir(posix, { path: `${path}.file` })).toThrow("Not a directory");
});

test.skipIf(!isRoot)("a fifodir for a group gives its fifos that group", () => {
  path = join(folder, "group");
  makeFifodir(posix, { path }, { gid: 4242 });
  expect(statSync(path)).toMatchObject({ gid: 4242 });
  expect(statSync(path).mode & 0o7777).toBe(0o3730);
  const listener = listen();
  const [name = ""] = readdirSync(path);
  expect(statSync(join(path, name)).gid).toBe(4242);
  listener.close();
});

test("a fifodir whose mode cannot be set is not made at all", () => {
  const kernel: Posix = {
    ...posix,
    setMode() {
      throw new SystemError("EPERM", 1, "fchmod", "Operation not permitted");
    },
  };
  expect(() => makeFifodir(kernel, { path: `${path}.new` })).toThrow("not permitted");
  expect(readdirSync(folder)).toEqual(["events"]);
});
