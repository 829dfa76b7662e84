/** A server with its processes, when something goes wrong with one of its connections. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defineLink, end, Environment, goOn, withCompanion } from "../../../src/chain/index.ts";
import type { Companion, Launch, Link, Outcome } from "../../../src/chain/index.ts";
import type { Endpoint } from "../../../src/net/index.ts";
import { childService } from "../../../src/ucspi/serving/child-service.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import { TCP } from "../../../src/ucspi/serving/tcp.ts";
import { fakeWorld, settled } from "../fake-context.ts";
import { SERVER_PID } from "../fake-kernel.ts";

const SIGTERM = 15;
const SIGKILL = 9;
const SIGCONT = 18;

const LINK = {
  summary: "of a test",
  family: "short",
  options: {},
  operands: [],
  program: "required",
  reach: "anywhere",
} as const;

/** A tunnel that tells what is done to it. */
class Tunnel implements Companion {
  readonly calls: string[] = [];
  readonly ended: Promise<void>;
  finish: () => void = () => undefined;

  constructor() {
    this.ended = new Promise((resolve) => (this.finish = resolve));
  }

  release(pid: number | undefined): void {
    this.calls.push(pid === undefined ? "release" : "release to a process");
  }

  abort(): void {
    this.calls.push("abort");
    this.finish();
  }
}

/** Links that wait until the test opens them, and one that sets a tunnel up. */
function links() {
  const gates: ((outcome?: Outcome) => void)[] = [];
  const tunnels: Tunnel[] = [];
  const gate: Link = defineLink({
    ...LINK,
    name: "gate",
    run: (launch, { program }) =>
      new Promise<Outcome>((resolve) =>
        gates.push((outcome = goOn({ ...launch, argv: program })) => resolve(outcome)),
      ),
  });
  const tunnel: Link = defineLink({
    ...LINK,
    name: "tunnel",
    run(launch, { program }) {
      const companion = new Tunnel();
      tunnels.push(companion);
      return goOn(withCompanion({ ...launch, argv: program }, companion));
    },
  });
  const broken: Link = defineLink({
    ...LINK,
    name: "broken",
    run() {
      throw new TypeError("a bug");
    },
  });
  const refusing: Link = defineLink({ ...LINK, name: "refusing", run: () => end(3) });
  return { gates, tunnels, list: [gate, tunnel, broken, refusing] };
}

function launchOf(argv: readonly string[]): Launch {
  const environment = Environment.of(["PATH=/bin"]);
  return { argv, environment, descriptors: new Map(), limits: new Map() };
}

/** A server of processes that has served its first connection, so that its chain is compiled. */
async function serve(chain: string, { awaitsExec = false, maxConnections = 40 } = {}) {
  const { gates, tunnels, list } = links();
  const world = fakeWorld(list);
  const { kernel, clock, context } = world;
  const fd = kernel.listener();
  const log: string[] = [];
  const server = new ConnectionServer<Endpoint, Endpoint>({
    posix: kernel.posix,
    clock,
    protocol: TCP,
    listeners: [fd],
    maxConnections,
    maxPerKey: maxConnections,
    asksLocalAddress: false,
    service: childService("server", launchOf(chain.split(" ")), context, {
      protocol: TCP,
      awaitsExec,
      shortage: (text) => log.push(text),
    }),
    events: {
      accepted: (_, pid) => log.push(`accepted ${pid - SERVER_PID}`),
      ended: (_, pid, status) =>
        log.push(
          `ended ${pid - SERVER_PID} ${status.kind === "exited" ? status.exitCode : `signal ${status.signal}`}`,
        ),
      dropped: (_, why) => log.push(`dropped ${why}`),
      acceptFailed: ({ code }) => log.push(`accept ${code}`),
      faulted: (error) => log.push(`faulted ${String(error)}`),
    },
  });
  server.start();
  const connect = (count = 1): void => {
    for (let client = 0; client < count; client += 1) kernel.connect(fd, "192.0.2.1");
    kernel.turn();
  };
  /** Everybody's program ends. */
  const endAll = (): void => {
    for (const pid of kernel.children) kernel.endChild(pid);
    kernel.turn();
  };
  await warmUp();
  const openAtRest = kernel.open.size;
  /** Nothing of any connection is left. */
  const expectRest = (): void => {
    expect(server.connections).toBe(0);
    expect(kernel.open.size).toBe(openAtRest);
    expect(clock.pendingTimers).toBe(0);
    expect(kernel.children).toEqual([]);
  };
  async function warmUp(): Promise<void> {
    connect();
    await settled();
    for (const open of gates.splice(0)) open();
    await settled();
    endAll();
    for (const tunnel of tunnels.splice(0)) tunnel.finish();
    await settled();
    log.length = 0;
    kernel.spawned.length = 0;
  }
  return { ...world, fd, gates, tunnels, log, server, connect, endAll, expectRest };
}

describe("a child that the event loop cannot watch", () => {
  test("a child that the event loop cannot watch is served and reaped all the same, and so is the rest of its batch", async () => {
    const { kernel, clock, log, server, connect, endAll, sigchld, expectRest } = await serve("cat");
    kernel.childWatchFailure = "ENOSPC";
    connect(3);
    expect(kernel.spawned).toHaveLength(3);
    expect(server.connections).toBe(3);
    endAll();
    sigchld();
    await settled();
    clock.advance(0);
    expect(log.filter((line) => line.startsWith("ended"))).toHaveLength(3);
    expectRest();
  });
});

describe("a launch without a client", () => {
  test.each([SIGTERM, SIGKILL])(
    "a launch whose client closed while a link waited is abandoned, after signal %i",
    async (signal) => {
      const { kernel, gates, tunnels, log, server, connect, expectRest } =
        await serve("tunnel gate cat");
      connect();
      server.signal(signal);
      expect(log).toEqual(["accepted 0", "ended 0 signal 15"]);
      expect(tunnels[0]?.calls).toEqual([]); // the link may still be at work with it
      gates[0]?.();
      await settled();
      expect(tunnels[0]?.calls).toEqual(["release", "abort"]);
      expect(kernel.spawned).toEqual([]);
      expect(log).toHaveLength(2);
      expectRest();
    },
  );

  test("a launch whose client closed is abandoned when the link refuses it after that", async () => {
    const { gates, tunnels, server, connect, expectRest } = await serve("tunnel gate cat");
    connect();
    server.signal(SIGTERM);
    gates[0]?.(end(1));
    await settled();
    expect(tunnels[0]?.calls).toEqual(["release", "abort"]);
    expectRest();
  });
});

test("a client that closes before a signal ends its connection is no fault", async () => {
  const { kernel, gates, log, server, connect, expectRest } = await serve("gate cat");
  connect();
  kernel.shutdownFailure = "ENOTCONN";
  server.signal(SIGTERM);
  gates[0]?.();
  await settled();
  expect(log).toEqual(["accepted 0", "ended 0 signal 15"]);
  expectRest();
});

test.each([
  ["at once", "tunnel refusing cat"],
  ["after it has waited", "tunnel gate cat"],
])(
  "a link that refuses %s abandons the tunnel before it, and reports its exit code",
  async (_, chain) => {
    const { gates, tunnels, log, connect, expectRest } = await serve(chain);
    connect();
    gates[0]?.(end(3));
    await settled();
    expect(tunnels[0]?.calls).toEqual(["release", "abort"]);
    expect(log).toEqual(["accepted 0", "ended 0 3"]);
    expectRest();
  },
);

describe("a signal for a connection", () => {
  test("a signal ends a connection that waits for a process, and the processes of its links, at once", async () => {
    for (const signal of [SIGTERM, SIGKILL]) {
      const { kernel, tunnels, log, server, connect, expectRest } = await serve("tunnel cat");
      kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
      connect();
      server.signal(SIGCONT);
      expect(server.connections).toBe(1);
      server.signal(signal);
      expect(log.slice(1)).toEqual(["accepted 0", "ended 0 signal 15"]);
      expect(tunnels[0]?.calls).toEqual(["release", "abort"]);
      expectRest();
    }
  });

  test("a signal for a connection goes to its process, whatever it is", async () => {
    const { kernel, server, connect } = await serve("cat");
    connect();
    for (const signal of [SIGCONT, SIGTERM, SIGKILL]) server.signal(signal);
    const pid = SERVER_PID + 2;
    expect(kernel.kills).toEqual([`${pid} 18`, `${pid} 15`, `${pid} 9`]);
  });

  test("a signal reaches the other connections when one program has taken an identity that may not be signalled", async () => {
    const { kernel, log, server, connect } = await serve("cat");
    connect(3);
    kernel.killFailures.set(SERVER_PID + 2, "EPERM");
    server.signal(SIGTERM);
    expect(kernel.kills).toEqual([`${SERVER_PID + 3} 15`, `${SERVER_PID + 4} 15`]);
    expect(log.filter((line) => line.startsWith("faulted"))).toEqual([]);
  });

  test("a signal that ends connections aborts the tunnels of a program that has ended, and SIGCONT does not", async () => {
    const { tunnels, log, server, connect, endAll, expectRest } = await serve("tunnel cat");
    connect();
    endAll();
    server.signal(SIGCONT);
    await settled();
    expect(tunnels[0]?.calls).toEqual(["release to a process"]);
    expect(server.connections).toBe(1);
    server.signal(SIGTERM);
    await settled();
    expect(tunnels[0]?.calls).toEqual(["release to a process", "abort"]);
    expect(log).toEqual(["accepted 2", "ended 2 0"]);
    expectRest();
  });
});

describe("a drain", () => {
  test("a drain waits for a connection whose link waits, and lets it be served", async () => {
    const { gates, log, server, connect, endAll, expectRest } = await serve("gate cat");
    connect();
    const drained = server.drain(undefined);
    gates[0]?.();
    await settled();
    expect(log).toEqual(["accepted 2"]);
    endAll();
    expect(await drained).toBe(true);
    expectRest();
  });

  test("a drain waits for a connection that waits for a process", async () => {
    const { kernel, clock, server, connect, endAll, expectRest } = await serve("cat");
    kernel.spawnFailure = { code: "EMFILE", syscall: "clone" };
    connect();
    const drained = server.drain(60_000);
    clock.advance(100);
    kernel.spawnFailure = undefined;
    clock.advance(200);
    expect(kernel.spawned).toHaveLength(1);
    endAll();
    expect(await drained).toBe(true);
    expectRest();
  });

  test("a drain at its deadline leaves connections that a signal ends in every state", async () => {
    const { kernel, clock, gates, server, connect, endAll, expectRest } = await serve("gate cat");
    connect(3);
    kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
    gates[0]?.();
    await settled();
    kernel.spawnFailure = undefined;
    gates[1]?.();
    await settled();
    const drained = server.drain(50);
    clock.advance(50);
    expect(await drained).toBe(false);
    server.signal(SIGTERM);
    expect(server.connections).toBe(1); // the one with a process
    gates[2]?.();
    endAll();
    await settled();
    expectRest();
  });
});

describe("a shortage", () => {
  test.each(["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"])(
    "a shortage of processes (%s) is reported once, and retried with a backoff",
    async (code) => {
      const { kernel, clock, log, connect, expectRest } = await serve("cat");
      let asked = 0;
      kernel.spawnFailure = {
        get code(): string {
          asked += 1;
          return code;
        },
        syscall: "clone",
      };
      connect(2);
      const times: number[] = [];
      for (let ms = 0; ms < 20_000; ms += 100) {
        clock.advance(100);
        times.push(asked);
      }
      expect(asked).toBe(2 * 7);
      expect([1, 2, 3, 7, 15, 31, 47].map((at) => times[at - 1])).toEqual([4, 4, 6, 8, 10, 12, 14]);
      const why = `spawn cat: strerror of ${code}`;
      expect(log).toEqual([`unable to ${why}, retrying`, `dropped ${why}`, `dropped ${why}`]);
      expectRest();
    },
  );

  test("a shortage that has passed is reported again when it comes back", async () => {
    const { kernel, clock, log, connect, endAll, expectRest } = await serve("cat");
    for (const _ of [1, 2]) {
      kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
      connect();
      kernel.spawnFailure = undefined;
      clock.advance(100);
      endAll();
    }
    expect(log.filter((line) => line.endsWith("retrying"))).toHaveLength(2);
    expectRest();
  });

  test("a shortage of room in the event loop makes a listener that was paused try again", async () => {
    const { kernel, clock, log, connect, endAll } = await serve("cat", { maxConnections: 1 });
    connect(2);
    kernel.listenerWatchFailure = "ENOMEM";
    endAll();
    expect(log.filter((line) => line.startsWith("accept "))).toEqual(["accept ENOMEM"]);
    kernel.listenerWatchFailure = undefined;
    clock.advance(100);
    kernel.turn();
    expect(kernel.spawned).toHaveLength(2);
  });
});

test("a link that throws costs its connection, and not the rest of the batch", async () => {
  const { log, connect, expectRest } = await serve("broken cat");
  connect(3);
  await settled();
  expect(log).toEqual([
    "dropped TypeError: a bug",
    "dropped TypeError: a bug",
    "dropped TypeError: a bug",
  ]);
  expectRest();
});

test("a program that cannot be executed ends its tunnels", async () => {
  for (const awaitsExec of [true, false]) {
    const { kernel, tunnels, log, connect, expectRest } = await serve("tunnel cat", { awaitsExec });
    connect();
    kernel.failChild(kernel.children[0] ?? 0, "ENOENT", "execve");
    kernel.turn();
    tunnels[0]?.finish();
    await settled();
    expect(tunnels[0]?.calls[0]).toBe("release to a process");
    // The tunnel's link answers for what it could not execute.
    expect(log).toEqual(["accepted 2", "ended 2 127"]);
    expectRest();
  }
});

test("a signal reaches a process that has not executed its program yet", async () => {
  const { kernel, log, server, connect, endAll, expectRest } = await serve("cat", {
    awaitsExec: true,
  });
  kernel.holdsBirths = true;
  connect();
  for (const signal of [SIGCONT, SIGTERM, SIGKILL]) server.signal(signal);
  const pid = SERVER_PID + 2;
  expect(kernel.kills).toEqual([`${pid} 18`, `${pid} 15`, `${pid} 9`]);
  expect(log).toEqual([]);
  endAll();
  expect(log).toEqual(["accepted 2", "ended 2 0"]);
  expectRest();
});

test("a drain waits for a process that has not executed its program yet", async () => {
  const { kernel, server, connect, endAll, expectRest } = await serve("cat", { awaitsExec: true });
  kernel.holdsBirths = true;
  connect();
  const drained = server.drain(undefined);
  kernel.execute();
  kernel.turn();
  expect(server.connections).toBe(1);
  endAll();
  expect(await drained).toBe(true);
  expectRest();
});

type Step =
  | { readonly do: "connect" | "open" | "refuse" | "end" | "tunnel" | "advance" | "settle" }
  | { readonly do: "hold" | "execute" | "fail" }
  | { readonly do: "signal"; readonly number: number }
  | { readonly do: "spawn" | "watch" | "listen"; readonly code: string | undefined };

const code = fc.constantFrom(undefined, "EAGAIN", "EMFILE", "ENOMEM");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("connect" as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("open", "refuse", "end", "tunnel", "advance", "settle"),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("signal" as const),
      number: fc.constantFrom(SIGTERM, SIGCONT, SIGKILL),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("spawn", "watch", "listen"), code }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("hold", "execute", "fail") }) },
);

test("every resource is released when all connections are over, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, awaitsExec) => {
      const world = await serve("tunnel gate cat", { awaitsExec, maxConnections: 4 });
      const { kernel, clock, gates, tunnels, server, log } = world;
      for (const what of steps) {
        if (what.do === "connect") world.connect();
        else if (what.do === "open") gates.shift()?.();
        else if (what.do === "refuse") gates.shift()?.(end(1));
        else if (what.do === "end") world.endAll();
        else if (what.do === "tunnel") tunnels.at(-1)?.finish();
        else if (what.do === "advance") clock.advance(300);
        else if (what.do === "signal") server.signal(what.number);
        else if (what.do === "hold") kernel.holdsBirths = true;
        else if (what.do === "execute") kernel.execute();
        else if (what.do === "fail") {
          kernel.failChild(kernel.children.at(-1) ?? 0, "EACCES", "execve");
          kernel.turn();
        } else if (what.do === "watch") kernel.childWatchFailure = what.code;
        else if (what.do === "listen") kernel.listenerWatchFailure = what.code;
        else if (what.do === "spawn") {
          kernel.spawnFailure =
            what.code === undefined ? undefined : { code: what.code, syscall: "clone" };
        } else await settled();
        expect(server.connections).toBeLessThanOrEqual(4);
      }
      kernel.spawnFailure = undefined;
      kernel.listenerWatchFailure = undefined;
      for (
        let round = 0;
        round < 60 &&
        (server.connections > 0 || kernel.waiting(world.fd) > 0 || clock.pendingTimers > 0);
        round += 1
      ) {
        for (const open of gates.splice(0)) open();
        await settled();
        clock.advance(1600);
        world.endAll();
        world.sigchld();
        for (const tunnel of tunnels.splice(0)) tunnel.finish();
        await settled();
      }
      for (const open of gates.splice(0)) open();
      await settled();
      world.expectRest();
      expect(log.filter((line) => line.startsWith("faulted"))).toEqual([]);
      const count = (word: string): number => log.filter((line) => line.startsWith(word)).length;
      expect(count("accepted")).toBe(count("ended"));
    }),
    { numRuns: 150 },
  );
});
