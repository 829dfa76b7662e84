import { describe, expect, test } from "vitest";
import { become, defineLink, goOn, withDescriptors, withIdentity } from "../../src/chain/index.ts";
import type { Launch, Link, Outcome, Reach } from "../../src/chain/index.ts";
import { FakeExecution } from "../support/posix/fake-posix.ts";
import type { Fd } from "../../src/posix/index.ts";
import { launchOf, newWorld } from "./world.ts";
import type { World } from "./world.ts";

function linkOf(name: string, reach: Reach, run: (launch: Launch) => Outcome): Link {
  return defineLink({
    name,
    summary: "a link of a test",
    family: "none",
    options: {},
    operands: [],
    program: "required",
    reach,
    run: (launch, { program }) => run({ ...launch, argv: program }),
  });
}

async function execution(world: World, launch: Launch): Promise<FakeExecution> {
  try {
    const code = await become(launch, "test", world.context);
    throw new Error(`ended with ${code}: ${world.said.join("; ")}`);
  } catch (error) {
    if (error instanceof FakeExecution) return error;
    throw error;
  }
}

describe("descriptors", () => {
  test("get their numbers when the program is executed", async () => {
    const world = newWorld();
    const [reader, writer] = world.posix.pipe();
    const launch = launchOf(["/prog"], [], {
      descriptors: new Map<number, Fd | "closed">([
        [0, writer],
        [1, reader],
        [2, "closed"],
        [30, writer],
      ]),
    });
    await execution(world, launch);
    expect(world.posix.accessMode(0 as Fd)).toBe("write");
    expect(world.posix.accessMode(1 as Fd)).toBe("read");
    expect(world.posix.openFds).toEqual([0, 1, 30]);
  });

  test("may change places", async () => {
    const world = newWorld();
    const [reader, writer] = world.posix.pipe();
    world.posix.dup2(reader, 0);
    world.posix.dup2(writer, 1);
    const swapped = new Map<number, Fd>([
      [0, 1 as Fd],
      [1, 0 as Fd],
    ]);
    await execution(world, launchOf(["/prog"], [], { descriptors: swapped }));
    expect(world.posix.accessMode(0 as Fd)).toBe("write");
    expect(world.posix.accessMode(1 as Fd)).toBe("read");
  });

  test("above 2 stay out of Node's way while a link still needs its event loop", async () => {
    const seen: unknown[] = [];
    const world: World = newWorld({
      links: [
        linkOf("connects", "anywhere", (launch) => {
          const [reader, writer] = world.posix.pipe();
          return goOn(
            withDescriptors(launch, [
              [0, reader],
              [6, writer],
            ]),
          );
        }),
        linkOf("waits", "process", (launch) => {
          seen.push(world.posix.accessMode(0 as Fd), world.posix.isOpen(6));
          seen.push([...launch.descriptors.keys()]);
          return goOn(launch);
        }),
      ],
    });
    world.posix.dup(0 as Fd, 5); // takes 5, so that nothing lands on 6 by chance
    await execution(world, launchOf(["connects", "waits", "/prog"]));
    expect(seen).toEqual(["read", false, [6]]);
    expect(world.posix.accessMode(6 as Fd)).toBe("write");
  });
});

describe("identity", () => {
  const drop = linkOf("drop", "anywhere", (launch) =>
    goOn(withIdentity(launch, { uid: 5, gid: 6, groups: [6] }, "drop")),
  );

  test("is taken before a link that acts with the rights of the process", async () => {
    let uid: number | undefined;
    const world: World = newWorld({
      links: [
        drop,
        linkOf("reads", "identity", (launch) => {
          uid = world.posix.getuid();
          return goOn(launch);
        }),
      ],
    });
    await execution(world, launchOf(["drop", "reads", "/prog"]));
    expect(uid).toBe(5);
    expect(world.posix.identity).toEqual({ uid: 5, gid: 6, groups: [6] });
  });

  test("that the kernel refuses is told by the link that wanted it", async () => {
    const world = newWorld({ links: [drop, linkOf("other", "anywhere", goOn)] });
    world.posix.failNext("setgroups", "EPERM");
    expect(await become(launchOf(["drop", "other", "/prog"]), "test", world.context)).toBe(111);
    expect(world.said).toEqual(["drop: fatal: unable to set supplementary group list: EPERM"]);
  });

  test("does not take away the right to raise a hard limit asked for before", async () => {
    const world = newWorld({ links: [drop] });
    world.posix.limits.set("nofile", { soft: 10, hard: 20 });
    const limits = new Map([["nofile", { soft: 30, hard: 40 }]] as const);
    await execution(world, launchOf(["drop", "/prog"], [], { limits }));
    expect(world.posix.getrlimit("nofile")).toEqual({ soft: 30, hard: 40 });
  });
});

test("the directory is entered and the umask set before the identity changes", async () => {
  const world = newWorld();
  const [calls, chdir, setuid] = [
    [] as string[],
    world.posix.chdir.bind(world.posix),
    world.posix.setuid.bind(world.posix),
  ];
  world.posix.chdir = (path) => {
    calls.push(`chdir ${path}`);
    chdir(path);
  };
  world.posix.setuid = (uid) => {
    calls.push(`setuid ${uid}, umask ${world.posix.umask(0).toString(8)}`);
    setuid(uid);
  };
  const launch = launchOf(["/prog"], [], {
    directory: "/srv",
    umask: 0o27,
    identity: { uid: 7, changedBy: "test" },
  });
  await execution(world, launch);
  expect(calls).toEqual(["chdir /srv", "setuid 7, umask 27"]);
});

describe("execution", () => {
  test("searches PATH as it was before the last link", async () => {
    const world = newWorld();
    const { files } = await execution(world, launchOf(["prog"], ["PATH=/a::/b"]));
    expect(files).toEqual(["/a/prog", "/b/prog"]);
  });

  test.each([
    ["ENOENT", 127],
    ["EACCES", 126],
    ["ENOEXEC", 126],
  ])("that fails with %s is %i", async (code, exitCode) => {
    const world = newWorld();
    world.posix.failNext("execve", code);
    expect(await become(launchOf(["prog"]), "last", world.context)).toBe(exitCode);
    expect(world.said[0]).toMatch(/^last: fatal: unable to exec prog: /);
  });

  test("a link can ask for another process image", async () => {
    const world: World = newWorld({
      links: [
        linkOf("leaves", "process", (launch) => ({
          kind: "execute",
          launch: { ...launch, argv: ["inner", "/prog"] },
        })),
        linkOf("inner", "anywhere", goOn),
      ],
    });
    const { argv, environment } = await execution(world, launchOf(["leaves", "x"], ["PATH=/a"]));
    expect(argv).toEqual(["inner", "/prog"]);
    expect(environment.join(" ")).toMatch(/UCSPI_INHERITED=/); // it is one of ours
  });

  test("an empty rest is success", async () => {
    const world = newWorld();
    expect(await become(launchOf([]), "test", world.context)).toBe(0);
  });
});
