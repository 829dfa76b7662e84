/** The fake kernel does what the real one does, and the tricks that only it can do. */
import { describe, expect, test } from "vitest";

import { joinBlock } from "../../src/posix/bytes.ts";
import { FakeExecution, FakePosix } from "../support/posix/fake-posix.ts";
import { loadPosix } from "../../src/posix/native.ts";
import type { SpawnRequest } from "../../src/posix/posix.ts";
import { filesConformance } from "./files-conformance.ts";
import { posixConformance } from "./posix-conformance.ts";
import { codeOf, temporaryFolder } from "./program.ts";

const folder = temporaryFolder();

for (const conformance of [posixConformance, filesConformance]) {
  const fake = new FakePosix();
  fake.putDirectory("/folder");
  conformance("fake", fake, "/folder");
  conformance("real", loadPosix(), folder.path);
}

function request(parts: Partial<SpawnRequest> = {}): SpawnRequest {
  return {
    files: joinBlock(["/bin/program"]),
    argv: joinBlock(["program", "word"]),
    environment: joinBlock(["A=a"]),
    descriptors: [],
    ...parts,
  };
}

describe("children of the fake", () => {
  test("children of the fake show the attributes they were spawned with", () => {
    const fake = new FakePosix();
    const { pid } = fake.spawn(request({ environmentExtra: joinBlock(["B=b"]) }));
    const child = fake.child(pid);
    expect(child.argv).toEqual(["program", "word"]);
    expect(Object.fromEntries(child.environment)).toEqual({ A: "a", B: "b" });
    expect(child.fds).toEqual([0, 1, 2]);
  });

  test("children of the fake write to the descriptors they were given, and close them when they end", () => {
    const fake = new FakePosix();
    const [reader, writer] = fake.pipe();
    const { pid, pidfd } = fake.spawn(request({ descriptors: [1, writer, 2, -1] }));
    fake.close(writer);
    const child = fake.child(pid);
    expect(child.fds).toEqual([0, 1]);
    child.write(1, "hello");
    expect(fake.read(reader, new Uint8Array(9))).toBe(5);
    expect(fake.waitReady(pidfd, { readable: true }, 0)).toBeUndefined();
    expect(fake.reap(pid)).toBeUndefined();
    child.exit(3);
    expect(fake.read(reader, new Uint8Array(9))).toBe(0);
    expect(fake.waitReady(pidfd, { readable: true }, 0)).toMatchObject({ readable: true });
    expect(fake.peekEndedChild()).toBe(pid);
    expect(fake.reap(pid)).toEqual({ kind: "exited", exitCode: 3 });
    expect(codeOf(() => fake.reap(pid))).toBe("ECHILD");
  });

  test("children of the fake are sent signals, and only the one they cannot refuse ends them", () => {
    const fake = new FakePosix();
    const { pid } = fake.spawn(request());
    fake.kill(pid, 15);
    expect(fake.reap(pid)).toBeUndefined();
    fake.kill(pid, 9);
    expect(fake.child(pid).signals).toEqual([15, 9]);
    expect(fake.reap(pid)).toEqual({ kind: "killed", signal: 9, coreDumped: false });
    expect(codeOf(() => fake.kill(pid, 15))).toBe("ESRCH");
  });
});

describe("watches of the fake", () => {
  test("watches of the fake are called by turns of the loop as long as there is something", () => {
    const fake = new FakePosix();
    const [reader, writer] = fake.pipe();
    let calls = 0;
    const watch = fake.watch(reader, { readable: true }, () => void calls++);
    expect(fake.turn()).toBe(0);
    fake.write(writer, Buffer.from("x"));
    expect([fake.turn(), fake.turn(), calls]).toEqual([1, 1, 2]);
    watch.update({});
    expect(fake.turn()).toBe(0);
  });

  test("watches of the fake are called by hand, and not after they were closed in the same turn", () => {
    const fake = new FakePosix();
    const [one, two] = [fake.pipe()[0], fake.pipe()[0]];
    const called: string[] = [];
    const second = fake.watch(two, { readable: true }, () => called.push("two"));
    fake.watch(one, { readable: true }, () => {
      called.push("one");
      second.close();
    });
    fake.fire(one, { hangup: true });
    fake.fire(two, { readable: true });
    expect(called).toEqual(["one"]);
  });
});

test("a scripted peer connects to a listener", () => {
  const fake = new FakePosix();
  const listener = fake.socket("inet", "stream");
  fake.bind(listener, { family: "inet", bytes: new Uint8Array(4), port: 80, scope: 0 });
  fake.listen(listener, 1);
  const from = {
    family: "inet",
    bytes: Uint8Array.of(192, 0, 2, 7),
    port: 4242,
    scope: 0,
  } as const;
  const peer = fake.connectFrom(from, listener);
  expect(fake.read(peer, new Uint8Array(4))).toBeUndefined();
  const [accepted] = fake.accept(listener, 1);
  expect(accepted?.peer).toEqual(from);
});

test("an injected failure happens once, in its turn", () => {
  const fake = new FakePosix();
  fake.failNext("pipe", "EMFILE");
  fake.failNext("pipe", "ENFILE");
  expect([codeOf(() => fake.pipe()), codeOf(() => fake.pipe())]).toEqual(["EMFILE", "ENFILE"]);
  expect(codeOf(() => fake.pipe())).toBeUndefined();
});

test("a call of the fake that would block for ever is reported as a bug", () => {
  const fake = new FakePosix();
  const [reader] = fake.pipe();
  expect(() => fake.read(reader, new Uint8Array(1))).toThrow(/would block/);
  expect(() => fake.waitReady(reader, { readable: true }, -1)).toThrow(/would block/);
});

test("becoming another program is signalled by an exception in the fake", () => {
  const fake = new FakePosix();
  const { files, argv, environment } = request();
  expect(() => fake.execve(files, argv, environment)).toThrow(FakeExecution);
  expect(() => fake.execve(files, argv, environment)).toThrow("executed program word");
});

test("a process of the fake without root gains no rights", () => {
  const fake = new FakePosix();
  fake.setgroups([5]);
  fake.setuid(1000);
  expect(fake.identity).toEqual({ uid: 1000, gid: 0, groups: [5] });
  expect(codeOf(() => fake.setuid(0))).toBe("EPERM");
  expect(codeOf(() => fake.setgroups([]))).toBe("EPERM");
  fake.setrlimit("nofile", { soft: 1, hard: 2 });
  expect(codeOf(() => fake.setrlimit("nofile", { soft: 1, hard: 3 }))).toBe("EPERM");
});

test("a replaced file is another version", () => {
  const fake = new FakePosix();
  fake.putFile("/f", "same");
  const before = fake.fileVersion("/f");
  fake.putFile("/f", "same");
  expect(fake.fileVersion("/f")).not.toEqual(before);
  expect(fake.fileText("/f")).toBe("same");
});
