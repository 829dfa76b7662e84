import { describe, expect, test } from "vitest";
import {
  abandon,
  Chains,
  defineLink,
  end,
  goOn,
  Spawner,
  withEnvironment,
  withIdentity,
} from "../../src/chain/index.ts";
import type { Companion, Launch, Link, Reach } from "../../src/chain/index.ts";
import { UsageError } from "../../src/options/index.ts";
import { SystemError } from "../../src/posix/index.ts";
import { splitBlock } from "../../src/posix/index.ts";
import { launchOf, newWorld } from "./world.ts";
import type { World } from "./world.ts";

/** A link of this reach that leaves its name in MARKS. */
function marker(
  name: string,
  reach: Reach,
  edit: (launch: Launch) => Launch = (same) => same,
): Link {
  return defineLink({
    name,
    summary: "leave a mark",
    family: "none",
    options: {},
    operands: [],
    program: "required",
    reach,
    run(launch, { program }) {
      const marks = `${launch.environment.get("MARKS") ?? ""}${name} `;
      const marked = withEnvironment(launch, [{ name: "MARKS", value: marks }]);
      return goOn(edit({ ...marked, argv: program }));
    },
  });
}

const LINKS = [
  marker("anywhere", "anywhere"),
  marker("identity", "identity"),
  marker("process", "process"),
  marker("drop", "identity", (launch) => withIdentity(launch, { uid: 5 }, "drop")),
  marker("away", "anywhere", (launch) =>
    withEnvironment(launch, [{ name: "PATH", value: "elsewhere" }]),
  ),
  defineLink({
    ...marker("throws", "anywhere"),
    run() {
      throw new SystemError("EIO", 5, "read", "Input/output error");
    },
  }),
  defineLink({
    ...marker("misused", "anywhere"),
    run() {
      throw new UsageError("makes no sense", false);
    },
  }),
  defineLink({ ...marker("refuses", "anywhere"), run: () => end(1) }),
];

/** The marks of the links that ran in the server, and the words that were executed. */
async function spawn(world: World, words: readonly string[]): Promise<[string, string]> {
  const result = await spawnerOf(world).spawn(launchOf(words, ["PATH=here"]));
  if (result.kind !== "child") return [result.kind, ""];
  const [child] = world.posix.children;
  const variables = splitBlock(child?.request.environmentExtra ?? new Uint8Array(0));
  const marks = variables.find((text) => text.startsWith("MARKS="))?.slice("MARKS=".length) ?? "";
  return [marks.trim(), splitBlock(child?.request.argv ?? new Uint8Array(0)).join(" ")];
}

function spawnerOf({ context }: World): Spawner {
  return new Spawner("server", context);
}

function serverWorld(): World {
  return newWorld({ links: LINKS, isBecoming: false });
}

describe("what is fused for a child", () => {
  test("links that only edit, and those that use rights the child has too", async () => {
    expect(await spawn(serverWorld(), ["anywhere", "identity", "prog", "word"])).toEqual([
      "anywhere identity",
      "prog word",
    ]);
  });

  test("no link that works on its own process", async () => {
    expect(await spawn(serverWorld(), ["anywhere", "process", "anywhere", "prog"])).toEqual([
      "anywhere",
      "process anywhere prog",
    ]);
  });

  test("after a change of identity no link that uses the rights of the server", async () => {
    expect(await spawn(serverWorld(), ["drop", "anywhere", "identity", "prog"])).toEqual([
      "drop anywhere",
      "identity prog",
    ]);
  });

  test("no second change of identity: the kernel has to judge it", async () => {
    expect(await spawn(serverWorld(), ["drop", "drop", "prog"])).toEqual(["drop", "drop prog"]);
  });

  test("a link counts by the PATH of the process before it", async () => {
    expect(await spawn(serverWorld(), ["away", "anywhere", "anywhere", "prog"])).toEqual([
      "away anywhere",
      "anywhere prog",
    ]);
  });

  test("nothing when UCSPI_CHAIN says so", async () => {
    const world = serverWorld();
    const unfused = new Chains({ finder: world.context.chains.finder, fuses: false });
    const outer: World = { ...world, context: { ...world.context, chains: unfused } };
    expect(await spawn(outer, ["anywhere", "prog"])).toEqual(["", "anywhere prog"]);
  });
});

describe("a link that fails for a child", () => {
  test.each([
    ["throws", 111, "throws: fatal: unable to read: Input/output error"],
    ["misused", 100, "misused: fatal: makes no sense"],
  ])("%s ends its chain with %i and not the server", async (name, exitCode, text) => {
    const world = serverWorld();
    const result = await spawnerOf(world).spawn(launchOf([name, "prog"], ["PATH=here"]));
    expect(result).toEqual({ kind: "ended", exitCode });
    expect(world.said).toEqual([text]);
  });

  test("a refusal is an exit code", async () => {
    expect(await spawn(serverWorld(), ["refuses", "prog"])).toEqual(["ended", ""]);
  });
});

test("what a child could not do is told by the link that asked for it", async () => {
  const world = serverWorld();
  const spawner = spawnerOf(world);
  const spawned = await spawner.spawn(launchOf(["drop", "anywhere", "prog"], ["PATH=here"]));
  if (spawned.kind !== "child") throw new Error(spawned.kind);
  const ends: unknown[] = [];
  spawner.follow(spawned, { ended: (end) => ends.push(end) });
  world.posix.children[0]?.fail(new SystemError("EPERM", 1, "setuid", "Operation not permitted"));
  world.posix.turn();
  expect(ends).toEqual([{ kind: "exited", exitCode: 111 }]);
  expect(world.said).toEqual(["drop: fatal: unable to setuid: Operation not permitted"]);
});

test("a child that was killed before its program is told as killed, by the link that made it", async () => {
  const world = serverWorld();
  world.posix.holdsBirths = true;
  const spawner = spawnerOf(world);
  const spawned = await spawner.spawn(launchOf(["anywhere", "prog"], ["PATH=here"]));
  if (spawned.kind !== "child") throw new Error(spawned.kind);
  const ends: unknown[] = [];
  spawner.follow(spawned, { ended: (end) => ends.push(end) });
  world.posix.kill(spawned.child.pid, 9);
  world.posix.turn();
  expect(ends).toEqual([{ kind: "killed", signal: 9, coreDumped: false }]);
  expect(world.said).toEqual([
    `anywhere: warning: child ${spawned.child.pid} was killed before it could execute prog`,
  ]);
});

test("a child enters the directory and has the umask of its launch", async () => {
  const world = serverWorld();
  await spawnerOf(world).spawn(launchOf(["prog"], [], { directory: "/srv", umask: 0o27 }));
  expect(world.posix.children[0]?.request).toMatchObject({ directory: "/srv", umask: 0o27 });
});

test("what links have set up is ended when the system cannot make a process", async () => {
  const world = serverWorld();
  world.posix.failNext("spawn", "EAGAIN");
  const events: string[] = [];
  const companion: Companion = {
    release: (pid) => events.push(`release ${pid}`),
    abort: () => events.push("abort"),
    ended: Promise.resolve(),
  };
  const launch = launchOf(["prog"], [], { companions: [companion] });
  expect(await spawnerOf(world).spawn(launch)).toMatchObject({ kind: "failed" });
  expect(events).toEqual(["release undefined", "abort"]);
});

/** Things beside a process, of which the first cannot be closed well. */
function reluctantCompanions(events: string[]): Companion[] {
  return ["first", "second"].map((name) => ({
    release(pid) {
      events.push(`release ${name} ${pid === undefined ? "without" : "with"} a child`);
      if (name === "first") throw new SystemError("EIO", 5, "close", "Input/output error");
    },
    abort: () => events.push(`abort ${name}`),
    ended: Promise.resolve(),
  }));
}

test("a child that was made is one, whatever closing what it was given says", async () => {
  const world = serverWorld();
  const events: string[] = [];
  const companions = reluctantCompanions(events);
  const result = await spawnerOf(world).spawn(launchOf(["prog"], [], { companions }));
  expect(result).toMatchObject({ kind: "child", companions });
  expect(events).toEqual(["release first with a child", "release second with a child"]);
  const [{ pid } = { pid: 0 }] = world.posix.children;
  expect(world.said).toEqual([
    `server: warning: unable to close what child ${pid} was given: Input/output error`,
  ]);
});

test("everything beside a launch that is abandoned is ended, even if one thing cannot be closed", () => {
  const events: string[] = [];
  const launch = launchOf(["prog"], [], { companions: reluctantCompanions(events) });
  expect(() => abandon(launch)).toThrow("Input/output error");
  expect(events).toEqual([
    "release first without a child",
    "abort first",
    "release second without a child",
    "abort second",
  ]);
});
