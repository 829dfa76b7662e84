import { beforeEach, describe, expect, test } from "vitest";
import { FAULTY_MS, ProcessHost, runTask, SharedSignals } from "../../src/host/index.ts";
import type { Faces, Resident, Signals, Stop } from "../../src/host/index.ts";
import { joinBlock } from "../../src/posix/index.ts";
import type { Pid, SpawnRequest } from "../../src/posix/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { fakeLog } from "../support/fake-log.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

const REQUEST: SpawnRequest = {
  files: joinBlock(["/bin/true"]),
  argv: joinBlock(["true"]),
  environment: joinBlock([]),
  descriptors: [],
};

/** Does what the test makes of it; `kill` ends it unless it is stubborn. */
class Sample implements Resident {
  readonly name: string;
  readonly faces: Faces;
  readonly told: Stop[] = [];
  readonly done: Promise<number>;
  end: (exitCode: number) => void = () => undefined;
  isStubborn = false;

  constructor(faces: Faces, name = "sample") {
    this.faces = faces;
    this.name = name;
    this.done = new Promise((resolve) => (this.end = resolve));
  }

  start(): void | Promise<unknown> {}

  stop(how: Stop): void {
    this.told.push(how);
    if (how === "kill" && !this.isStubborn) this.end(9);
  }
}

/** The signals of a process that the test raises. */
class SampleSignals implements Signals {
  readonly handlers = new Map<string, Set<(name: NodeJS.Signals) => void>>();

  on(names: readonly NodeJS.Signals[], handler: (name: NodeJS.Signals) => void): () => void {
    for (const name of names) {
      this.handlers.set(name, new Set([...(this.handlers.get(name) ?? []), handler]));
    }
    return () => names.forEach((name) => this.handlers.get(name)?.delete(handler));
  }

  raise(name: NodeJS.Signals): void {
    for (const handler of this.handlers.get(name) ?? []) handler(name);
  }
}

let posix: FakePosix;
let clock: FakeClock;
let source: SampleSignals;
let said: string[];
let host: ProcessHost;

beforeEach(() => {
  posix = new FakePosix();
  clock = new FakeClock();
  source = new SampleSignals();
  said = [];
  host = new ProcessHost({
    posix,
    clock,
    signals: new SharedSignals(source),
    log: fakeLog(said),
  });
});

/** The child that was made first has ended, and the event loop notices. */
function endChild(): void {
  const [child] = posix.children;
  child?.exit(0);
  posix.turn();
}

function fail(): never {
  throw new Error("oops");
}

describe("a host", () => {
  test("starts a resident, passes on how it is to stop, and tells its exit code", async () => {
    const hosted = host.run((faces) => new Sample(faces));
    hosted.stop("drain");
    hosted.stop("terminate");
    hosted.resident.end(3);
    expect(await hosted.ended).toEqual({ kind: "done", exitCode: 3 });
    expect(hosted.resident.told).toEqual(["drain", "terminate"]);
    hosted.stop("kill");
    expect(hosted.resident.told).toEqual(["drain", "terminate"]);
  });

  test.each([
    ["throws", () => fail()],
    ["rejects", () => Promise.reject(new Error("oops"))],
  ])("tells why a resident whose start %s has not started", async (_, start) => {
    const { ended } = host.run((faces) => Object.assign(new Sample(faces), { start }));
    expect(await ended).toMatchObject({ kind: "notStarted", error: { message: "oops" } });
  });

  test("throws what making a resident throws", () => {
    expect(() => host.run(fail)).toThrow("oops");
  });

  const callbacks: readonly (readonly [string, (faces: Faces) => () => void])[] = [
    [
      "watch",
      (faces) => {
        const [reader, writer] = faces.posix.pipe();
        faces.posix.watch(reader, { readable: true }, fail);
        faces.posix.write(writer, Buffer.from("x"));
        return () => posix.turn();
      },
    ],
    [
      "timer",
      (faces) => {
        faces.clock.setTimer(5, fail);
        return () => clock.advance(5);
      },
    ],
    [
      "signal handler",
      (faces) => {
        faces.signals.on(["SIGHUP"], fail);
        return () => source.raise("SIGHUP");
      },
    ],
    [
      "child's end",
      (faces) => {
        faces.children.watch(posix.spawn(REQUEST), { ended: fail });
        return () => endChild();
      },
    ],
    [
      "child's exec",
      (faces) => {
        faces.children.watch(posix.spawn(REQUEST), { executed: fail, ended: () => undefined });
        return () => endChild();
      },
    ],
  ];
  test.each(callbacks)(
    "reports a %s that throws, and kills that resident alone",
    async (_, set) => {
      const faulty = host.run((faces) => new Sample(faces, "faulty"));
      const other = host.run((faces) => new Sample(faces, "other"));
      let heard = 0;
      other.resident.faces.signals.on(["SIGHUP"], () => (heard += 1));
      set(faulty.resident.faces)();
      expect(await faulty.ended).toEqual({ kind: "faulty" });
      expect(faulty.resident.told).toEqual(["kill"]);
      expect(said).toHaveLength(1);
      expect(said[0]).toMatch(/^faulty: fatal: internal error: Error: oops\n/);
      expect(clock.pendingTimers).toBe(0);
      expect(other.resident.told).toEqual([]);
      source.raise("SIGHUP");
      expect(heard).toBeGreaterThan(0);
      other.resident.end(0);
      expect(await other.ended).toEqual({ kind: "done", exitCode: 0 });
    },
  );

  test("reports the first fault only, and gives up a resident that does not end", async () => {
    const { resident, ended } = host.run((faces) => new Sample(faces));
    resident.isStubborn = true;
    for (let i = 0; i < 3; i++) resident.faces.clock.setTimer(i, fail);
    clock.advance(FAULTY_MS);
    expect(said).toHaveLength(1);
    clock.advance(FAULTY_MS);
    expect(await ended).toEqual({ kind: "faulty" });
  });

  test("takes a stop that throws for a fault", async () => {
    const hosted = host.run((faces) => new Sample(faces));
    hosted.resident.stop = fail;
    hosted.stop("drain");
    clock.advance(FAULTY_MS);
    expect(await hosted.ended).toEqual({ kind: "faulty" });
    expect(said).toHaveLength(1);
  });

  test("takes a `done` that rejects for a fault", async () => {
    const hosted = host.run((faces) =>
      Object.assign(new Sample(faces), { done: Promise.reject(new Error("oops")) }),
    );
    await Promise.resolve();
    clock.advance(FAULTY_MS);
    expect(await hosted.ended).toEqual({ kind: "faulty" });
  });
});

describe("the children of a process", () => {
  test("are the same for all residents, each of which hears of its own", () => {
    const heard: string[] = [];
    const [one, two] = ["one", "two"].map((name) => {
      const { faces } = host.run((own) => new Sample(own, name)).resident;
      const child = posix.spawn(REQUEST);
      faces.children.watch(child, { ended: () => heard.push(name) });
      return { faces, child };
    });
    expect(one?.faces.children.has(two?.child.pid ?? (0 as Pid))).toBe(true);
    endChild();
    expect(heard).toEqual(["one"]);
    if (two !== undefined) two.faces.children.release(two.child);
    for (const child of posix.children.slice(1)) child.exit(0);
    posix.turn();
    expect(heard).toEqual(["one"]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("orphans", () => {
  /** Is a child that nobody waits for still there, once everything due is done? */
  function hasZombie(): boolean {
    clock.advance(1_000);
    return posix.hasChildren();
  }

  function openHost(ownsProcess: boolean): ProcessHost {
    return new ProcessHost({
      posix,
      clock,
      signals: new SharedSignals(source),
      log: fakeLog(said),
      ownsProcess,
    });
  }

  beforeEach(() => {
    posix.spawn(REQUEST);
    endChild();
    posix.isSpawned = () => false; // it came from somebody else
  });

  test("are reaped by the host of a process of our own, from its first resident on", () => {
    const own = openHost(true);
    expect(hasZombie()).toBe(true);
    expect(source.handlers.size).toBe(0);
    own.run((faces) => new Sample(faces));
    expect(hasZombie()).toBe(false);
    own.run((faces) => new Sample(faces));
    expect(source.handlers.get("SIGCHLD")?.size).toBe(1);
  });

  test("are left alone by the host of a library", () => {
    openHost(false).run((faces) => new Sample(faces));
    expect(hasZombie()).toBe(true);
    expect(source.handlers.get("SIGCHLD")?.size ?? 0).toBe(0);
  });
});

describe("a task", () => {
  test("is done with the value of its work", async () => {
    expect(await runTask(host, "work", () => 7)).toEqual({ kind: "done", exitCode: 7 });
  });

  test("has not started when its work throws", async () => {
    expect(await runTask(host, "work", fail)).toMatchObject({
      kind: "notStarted",
      error: { message: "oops" },
    });
  });

  test("is given up when one of its callbacks throws", async () => {
    const ended = runTask(host, "work", ({ clock: own }) => {
      own.setTimer(5, fail);
      return new Promise<never>(() => undefined);
    });
    clock.advance(5);
    expect(await ended).toEqual({ kind: "faulty" });
    expect(said[0]).toMatch(/^work: fatal: internal error: Error: oops\n/);
  });
});

describe("the signals of a process", () => {
  test("are taken once, as long as somebody wants them", () => {
    const signals = new SharedSignals(source);
    const heard: string[] = [];
    const stopOne = signals.on(["SIGTERM", "SIGHUP"], (name) => heard.push(`one ${name}`));
    const stopTwo = signals.on(["SIGTERM"], (name) => heard.push(`two ${name}`));
    expect(source.handlers.get("SIGTERM")?.size).toBe(1);
    source.raise("SIGTERM");
    expect(heard).toEqual(["one SIGTERM", "two SIGTERM"]);
    stopOne();
    stopOne();
    expect([source.handlers.get("SIGTERM")?.size, source.handlers.get("SIGHUP")?.size]).toEqual([
      1, 0,
    ]);
    stopTwo();
    expect(source.handlers.get("SIGTERM")?.size).toBe(0);
  });

  test("reach a handler no more that another one has taken off", () => {
    const signals = new SharedSignals(source);
    const heard: string[] = [];
    signals.on(["SIGTERM"], () => stop());
    const stop = signals.on(["SIGTERM"], () => heard.push("late"));
    source.raise("SIGTERM");
    expect(heard).toEqual([]);
  });
});
