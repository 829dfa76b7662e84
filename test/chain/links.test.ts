/** The links by themselves, over a kernel in memory. */

import { describe, expect, test } from "vitest";
import type { Launch } from "../../src/chain/index.ts";
import { applyuidgid } from "../../src/chain/links/applyuidgid.ts";
import { connlimit } from "../../src/chain/links/connlimit.ts";
import { envuidgid } from "../../src/chain/links/envuidgid.ts";
import { fghack } from "../../src/chain/links/fghack.ts";
import { ioconnect } from "../../src/chain/links/ioconnect.ts";
import { setlock } from "../../src/chain/links/setlock.ts";
import { setsid } from "../../src/chain/links/setsid.ts";
import { setuidgid } from "../../src/chain/links/setuidgid.ts";
import { softlimit } from "../../src/chain/links/softlimit.ts";
import { reachOf, parseLink } from "../../src/chain/index.ts";
import type { Fd, Pid } from "../../src/posix/index.ts";
import { launchAfter, launchOf, newWorld, runLink } from "./world.ts";
import type { World } from "./world.ts";

function worldWithAccounts(): World {
  const world = newWorld({ isBecoming: false });
  world.posix.accounts.push({ name: "mail", uid: 8, gid: 12, home: "/", shell: "/bin/false" });
  world.posix.groups.push(
    { name: "mail", gid: 12, members: [] },
    { name: "spool", gid: 30, members: ["root", "mail"] },
    { name: "tls", gid: 20, members: ["mail"] },
  );
  return world;
}

describe("s6-softlimit", () => {
  async function limitsAfter(words: string[], facts: Partial<Launch> = {}): Promise<object> {
    const world = newWorld();
    world.posix.limits.set("nofile", { soft: 100, hard: 200 });
    const launch = launchOf(["s6-softlimit"], [], facts);
    return Object.fromEntries(
      launchAfter(await runLink(softlimit, [...words, "prog"], world, launch)).limits,
    );
  }

  test("s6-softlimit starts from the limits of the process", async () => {
    expect(await limitsAfter(["-o", "150"])).toEqual({ nofile: { soft: 150, hard: 200 } });
  });

  test("s6-softlimit starts from the limits that links before it have asked for", async () => {
    const limits = new Map([["nofile", { soft: 10, hard: 20 }]] as const);
    expect(await limitsAfter(["-o", "="], { limits })).toEqual({ nofile: { soft: 20, hard: 20 } });
  });

  test.each([
    ["18446744073709551615", Infinity],
    ["18446744073709551614", 2 ** 64],
    ["007", 7],
  ])("s6-softlimit takes a limit of %s", async (text, soft) => {
    expect(await limitsAfter(["-c", text])).toEqual({ core: { soft, hard: Infinity } });
  });

  test("s6-softlimit foresees that a process that is not root's any more may not raise a limit", async () => {
    const world = newWorld();
    world.posix.limits.set("nofile", { soft: 100, hard: 200 });
    const identity = { uid: 5, changedBy: "s6-setuidgid" };
    const launch = launchOf([], [], { identity });
    const raised = await runLink(softlimit, ["-h", "-o", "300", "prog"], world, launch);
    expect(raised).toEqual({ kind: "ended", exitCode: 111 });
    const lowered = await runLink(softlimit, ["-h", "-o", "150", "prog"], world, launch);
    expect(launchAfter(lowered).limits.get("nofile")).toEqual({ soft: 100, hard: 150 });
  });
});

describe("identity", () => {
  test("s6-setuidgid takes the groups that list the account, its own first", async () => {
    const outcome = await runLink(setuidgid, ["mail", "prog"], worldWithAccounts());
    expect(launchAfter(outcome).identity).toEqual({
      uid: 8,
      gid: 12,
      groups: [12, 30, 20],
      changedBy: "s6-setuidgid",
    });
  });

  test("s6-applyuidgid puts the group of a link before it first", async () => {
    const identity = { gid: 44, changedBy: "before" };
    const launch = launchOf([], [], { identity });
    const outcome = await runLink(applyuidgid, ["-G", "5,44", "prog"], worldWithAccounts(), launch);
    expect(launchAfter(outcome).identity).toMatchObject({ gid: 44, groups: [44, 5] });
  });

  test("an identity of which nothing is asked for changes nothing", async () => {
    for (const words of [["-u", "0"], ["-g", "0", "-z"], []]) {
      const outcome = await runLink(applyuidgid, [...words, "prog"], worldWithAccounts());
      expect(launchAfter(outcome).identity).toBeUndefined();
    }
  });

  test("s6-envuidgid lists the groups in the order of the database", async () => {
    const outcome = await runLink(envuidgid, ["mail", "prog"], worldWithAccounts());
    expect(launchAfter(outcome).environment.strings()).toEqual([
      "UID=8",
      "GID=12",
      "GIDLIST=30,20",
    ]);
  });
});

describe("s6-setsid", () => {
  test("s6-setsid makes its calls in the process that becomes the program", async () => {
    const world = newWorld();
    const launch = launchAfter(await runLink(setsid, ["-b", "prog"], world));
    expect(world.posix.sessionCalls).toEqual(["setpgid 0 0"]);
    expect(launch.session).toBeUndefined();
  });

  test("s6-setsid leaves the calls to the process that creates a child", async () => {
    const world = newWorld({ isBecoming: false });
    expect(launchAfter(await runLink(setsid, ["prog"], world)).session).toBe("setsid");
    expect(launchAfter(await runLink(setsid, ["-b", "prog"], world)).session).toBe("background");
    expect(world.posix.sessionCalls).toEqual([]);
  });

  test.each([
    ["setsid", ["-s"], "setsid"],
    ["background", ["-s"], "setsid"],
    ["setsid", ["-b"], "setpgid"],
  ] as const)(
    "s6-setsid foresees for a child after %s that %j fails",
    async (session, words, call) => {
      const world = newWorld({ isBecoming: false });
      const launch = launchOf([], [], { session });
      const outcome = await runLink(setsid, [...words, "prog"], world, launch);
      expect(launchAfter(outcome).session).toBe(session);
      expect(world.said).toEqual([`s6-setsid: warning: unable to ${call}: EPERM`]);
      const strict = await runLink(setsid, [...words, "-i", "prog"], world, launch);
      expect(strict).toEqual({ kind: "ended", exitCode: 111 });
    },
  );

  test("s6-setsid takes the terminal that descriptor will be in the program", async () => {
    const world = newWorld();
    const [terminal] = world.posix.socketPair("stream");
    const launch = launchOf([], [], { descriptors: new Map([[9, terminal]]) });
    await runLink(setsid, ["-g", "-d", "9", "prog"], world, launch);
    expect(world.posix.sessionCalls).toEqual(["setpgid 0 0", `tcsetpgrp ${terminal} 100`]);
  });

  test("s6-setsid acts for a child unless it takes a terminal", () => {
    const reach = (words: string[]): string =>
      reachOf(setsid, parseLink(setsid, [...words, "prog"]).words);
    expect(["-s", "-b", "-f", "-g"].map((option) => reach([option]))).toEqual([
      "anywhere",
      "anywhere",
      "process",
      "process",
    ]);
  });
});

describe("s6-setlock", () => {
  function worldWithLock(): World {
    const world = newWorld();
    world.posix.putFile("lock", "").foreignLock = { owner: 7 as Pid, kind: "exclusive" };
    return world;
  }

  test("s6-setlock tries again until the lock is free", async () => {
    const world = worldWithLock();
    const running = runLink(setlock, ["-t", "1000", "lock", "prog"], world);
    world.clock.advance(300);
    const file = world.posix.files.get("lock");
    if (file !== undefined) file.foreignLock = undefined;
    await stepUntilDone(world, running);
    expect(launchAfter(await running).argv).toEqual(["prog"]);
    expect(world.clock.pendingTimers).toBe(0);
  });

  test("s6-setlock gives up after its time, and not before", async () => {
    const world = worldWithLock();
    const running = runLink(setlock, ["-t", "1000", "lock", "prog"], world);
    await stepUntilDone(world, running);
    expect(await running).toEqual({ kind: "ended", exitCode: 1 });
    expect(world.clock.monotonicMs()).toBeGreaterThanOrEqual(1000);
    expect(world.clock.monotonicMs()).toBeLessThan(1100);
  });

  test("s6-setlock -d gives the lock to the program by that number", async () => {
    const world = newWorld();
    const launch = launchAfter(await runLink(setlock, ["-d", "900", "lock", "prog"], world));
    expect(world.posix.openFds).toEqual([0, 1, 2, 3]);
    expect([...launch.descriptors]).toEqual([[900, 3]]);
    expect([...(world.posix.files.get("lock")?.recordLocks.values() ?? [])]).toEqual(["exclusive"]);
  });

  /** Let timers fire one by one, giving the link its turn after each. */
  async function stepUntilDone(world: World, running: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = running.finally(() => (isDone = true));
    while (!isDone) {
      world.clock.advance(10);
      await Promise.resolve();
    }
    await done;
  }
});

describe("s6-fghack", () => {
  /** Some turns of the event loop, with what promises do in between. */
  async function turns({ posix }: World): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) {
      posix.turn();
      await Promise.resolve();
    }
  }

  test("s6-fghack waits for the end of file and then for the program", async () => {
    const world = newWorld();
    const running = runLink(fghack, ["prog", "word"], world);
    await turns(world);
    const [child] = world.posix.children;
    expect(child?.argv).toEqual(["prog", "word"]);
    expect(child?.fds.length).toBe(3 + 31);
    child?.end({ kind: "exited", exitCode: 9 });
    await turns(world);
    expect(await running).toEqual({ kind: "ended", exitCode: 9 });
  });

  test("s6-fghack ends when the program writes to the pipe", async () => {
    const world = newWorld();
    const running = runLink(fghack, ["prog"], world);
    await turns(world);
    const [child] = world.posix.children;
    const writer = child?.fds.at(-1) ?? 0;
    child?.write(writer, "x");
    await turns(world);
    expect(await running).toEqual({ kind: "ended", exitCode: 102 });
    expect(world.said.at(-1)).toBe("s6-fghack: fatal: prog wrote on hackpipe");
  });

  test("s6-fghack reports that the program could not be started", async () => {
    const world = newWorld();
    world.posix.failNext("spawn", "EAGAIN");
    const outcome = await runLink(fghack, ["prog"], world);
    expect(outcome).toEqual({ kind: "ended", exitCode: 111 });
    expect(world.said.at(-1)).toBe("s6-fghack: fatal: unable to spawn prog: EAGAIN");
  });
});

describe("s6-connlimit", () => {
  test.each([
    [["PROTO=TCP", "TCPCONNNUM=4294967295", "TCPCONNMAX=4294967295"], "continue"],
    [["PROTO=TCP", "TCPCONNNUM=4294967296"], 100],
    [["PROTO=TCP", "TCPCONNNUM=2", "TCPCONNMAX=1"], 1],
    [["PROTO=TCP", "TCPCONNNUM=1x"], 100],
  ])("s6-connlimit with %j decides: %s", async (variables, expected) => {
    const outcome = await runLink(connlimit, ["prog"], newWorld(), launchOf([], variables));
    expect(outcome.kind === "ended" ? outcome.exitCode : outcome.kind).toBe(expected);
  });
});

describe("s6-ioconnect", () => {
  interface Wiring {
    readonly world: World;
    readonly launch: Launch;
    /** The other ends: of standard input and output, and of the connection. */
    readonly input: Fd;
    readonly output: Fd;
    readonly peer: Fd;
  }

  function wire(): Wiring {
    const world = newWorld();
    const { posix } = world;
    const [stdin, input] = posix.pipe();
    const [output, stdout] = posix.pipe();
    posix.dup2(stdin, 0);
    posix.dup2(stdout, 1);
    for (const fd of [stdin, stdout]) posix.close(fd);
    const [socket, peer] = posix.socketPair("stream");
    const descriptors = new Map([
      [6, socket],
      [7, posix.dup(socket)],
    ]);
    for (const fd of [input, output, peer]) posix.setNonblocking(fd, true);
    return { world, launch: launchOf([], [], { descriptors }), input, output, peer };
  }

  function read({ world }: Wiring, fd: Fd): string | undefined {
    const bytes = new Uint8Array(1000);
    const count = world.posix.read(fd, bytes);
    return count === undefined ? undefined : Buffer.from(bytes.subarray(0, count)).toString();
  }

  function settle({ world }: Wiring): void {
    for (let turns = 0; turns < 10; turns += 1) world.posix.turn();
  }

  test("s6-ioconnect copies both ways, shuts down and ends", async () => {
    const wiring = wire();
    const { world, input, output, peer } = wiring;
    const running = runLink(ioconnect, [], world, wiring.launch);
    world.posix.write(input, Buffer.from("request"));
    world.posix.write(peer, Buffer.from("reply"));
    settle(wiring);
    expect([read(wiring, peer), read(wiring, output)]).toEqual(["request", "reply"]);
    world.posix.close(input);
    settle(wiring);
    expect(read(wiring, peer)).toBe(""); // end of file
    world.posix.shutdown(peer, "write");
    settle(wiring);
    expect(await running).toEqual({ kind: "ended", exitCode: 0 });
    expect(world.clock.pendingTimers).toBe(0);
  });

  test("s6-ioconnect times out only while nothing moves and nothing is left to write", async () => {
    const wiring = wire();
    const { world, peer } = wiring;
    const running = runLink(ioconnect, ["-t", "1000"], world, wiring.launch);
    world.clock.advance(900);
    world.posix.write(peer, Buffer.from("x"));
    settle(wiring);
    world.clock.advance(900);
    expect(world.clock.pendingTimers).toBe(1);
    world.posix.write(peer, Buffer.alloc(200_000)); // more than a pipe holds: nobody reads
    settle(wiring);
    world.clock.advance(5000);
    expect(world.clock.pendingTimers).toBe(1);
    for (let text = read(wiring, wiring.output); text !== undefined; settle(wiring)) {
      text = read(wiring, wiring.output);
    }
    world.clock.advance(2000);
    expect(await running).toEqual({ kind: "ended", exitCode: 1 });
  });

  test("s6-ioconnect stops reading on SIGTERM and writes what it has", async () => {
    const wiring = wire();
    const { world, output, peer } = wiring;
    const running = runLink(ioconnect, [], world, wiring.launch);
    world.posix.write(peer, Buffer.alloc(100_000, "a"));
    settle(wiring);
    world.raise("SIGTERM");
    let total = 0;
    for (let text = read(wiring, output); text !== ""; text = read(wiring, output)) {
      total += text?.length ?? 0;
      settle(wiring);
    }
    expect(total).toBe(65_536); // a buffer full; the rest had not been read
    expect(await running).toEqual({ kind: "ended", exitCode: 0 });
  });
});
