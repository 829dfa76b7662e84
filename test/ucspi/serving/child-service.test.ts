import { describe, expect, test } from "vitest";
import { defineLink, end, Environment, goOn } from "../../../src/chain/index.ts";
import type { Launch, Link, Outcome } from "../../../src/chain/index.ts";
import { BIRTH_MS_MAX } from "../../../src/host/index.ts";
import { splitBlock } from "../../../src/posix/index.ts";
import type { Posix, SpawnRequest, WaitStatus } from "../../../src/posix/index.ts";
import { childService } from "../../../src/ucspi/serving/child-service.ts";
import { LiveConnection } from "../../../src/ucspi/serving/live-connection.ts";
import type { ConnectionOwner } from "../../../src/ucspi/serving/live-connection.ts";
import { TCP } from "../../../src/ucspi/serving/tcp.ts";
import type { AcceptedTcp } from "../../../src/ucspi/serving/tcp.ts";
import { fakeWorld, settled } from "../fake-context.ts";
import { SERVER_PID, socketAddress } from "../fake-kernel.ts";
import { fromSocketAddress } from "../../../src/net/index.ts";
import type { Endpoint } from "../../../src/net/index.ts";

/** The events of one connection, as the server is told of them. */
class Recorder implements ConnectionOwner<Endpoint, Endpoint> {
  readonly events: string[] = [];
  readonly posix: Posix;

  constructor(posix: Posix) {
    this.posix = posix;
  }

  accepted(_: unknown, pid: number): void {
    this.events.push(`accepted ${pid - SERVER_PID}`);
  }

  ended(_: unknown, _pid: unknown, status: WaitStatus): void {
    const how = status.kind === "exited" ? status.exitCode : `signal ${status.signal}`;
    this.events.push(`ended ${how}`);
  }

  dropped(_: unknown, why: string): void {
    this.events.push(`dropped ${why}`);
  }

  free(): void {
    this.events.push("freed");
  }

  recount(): number {
    return 0;
  }

  faulted(error: unknown): void {
    this.events.push(`faulted ${String(error)}`);
  }
}

/** A link that waits until the test says what comes of it. */
function gate() {
  const open: ((outcome: Outcome) => void)[] = [];
  const link: Link = defineLink({
    name: "gate",
    summary: "waits",
    family: "short",
    options: {},
    operands: [],
    program: "required",
    reach: "identity",
    run: (launch, { program }) =>
      new Promise<Outcome>((resolve) =>
        open.push((outcome) =>
          resolve(outcome.kind === "continue" ? goOn({ ...launch, argv: program }) : outcome),
        ),
      ),
  });
  return { link, open };
}

/** A link that changes nothing, and does not wait. */
const passing: Link = defineLink({
  name: "passing",
  summary: "does nothing",
  family: "short",
  options: {},
  operands: [],
  program: "required",
  reach: "anywhere",
  run: (launch, { program }) => goOn({ ...launch, argv: program }),
});

function launchOf(...argv: string[]): Launch {
  const environment = Environment.of(["PATH=/bin", "A=b", "TCPREMOTEIP=stale", "TCPCONNNUM=9"]);
  return { argv, environment, descriptors: new Map(), limits: new Map() };
}

function endpoint(ip: string, port: number) {
  const found = fromSocketAddress(socketAddress(ip, port));
  if (found === undefined) throw new TypeError(`Not an address: ${ip}`);
  return found;
}

function serve(argv: readonly string[], links: readonly Link[] = [], awaitsExec = false) {
  const world = fakeWorld(links);
  const { kernel, context } = world;
  const service = childService("s6-tcpserverd", launchOf(...argv), context, {
    protocol: TCP,
    awaitsExec,
    shortage: (text) => context.report("s6-tcpserverd", "warning", text),
  });
  const listener = kernel.listener();
  function connect(number = 0, local = endpoint("192.0.2.1", 80)) {
    const connection: AcceptedTcp = {
      fd: kernel.connect(listener, "192.0.2.7"),
      local,
      peer: endpoint("192.0.2.7", 50_000),
      key: "192.0.2.7",
      number,
      total: number + 1,
    };
    const { events, live } = start(connection);
    return { events, live, connection };
  }
  function start(connection: AcceptedTcp) {
    const recorder = new Recorder(kernel.posix);
    const live = new LiveConnection(connection, recorder);
    live.start(service);
    return { events: recorder.events, live };
  }
  return { ...world, connect };
}

function environmentOf(request: SpawnRequest | undefined): string[] {
  if (request === undefined) throw new Error("nothing was spawned");
  const { environment, environmentExtra = new Uint8Array(0) } = request;
  return [...splitBlock(environment), ...splitBlock(environmentExtra)].sort();
}

/** Compile the chain, as the server does before it is ready. */
async function prepared(argv: readonly string[], links: readonly Link[] = [], awaitsExec = false) {
  const made = serve(argv, links, awaitsExec);
  const first = made.connect();
  await settled();
  for (const pid of made.kernel.children) made.kernel.endChild(pid);
  made.kernel.turn();
  return { ...made, first };
}

test("the program gets the connection as descriptors 0 and 1, and the server closes its copy", async () => {
  const { kernel, connect } = await prepared(["cat"]);
  const { events, connection } = connect();
  expect(kernel.spawned.at(-1)?.descriptors).toEqual([0, connection.fd, 1, connection.fd]);
  expect(kernel.open.has(connection.fd)).toBe(false);
  expect(events).toEqual(["accepted 2"]);
});

test("the program gets the variables of its connection in place of inherited ones", async () => {
  const { kernel, connect } = await prepared(["cat"]);
  connect(3);
  expect(environmentOf(kernel.spawned.at(-1))).toEqual([
    "A=b",
    "PATH=/bin",
    "PROTO=TCP",
    "TCPCONNNUM=3",
    "TCPLOCALIP=192.0.2.1",
    "TCPLOCALPORT=80",
    "TCPREMOTEIP=192.0.2.7",
    "TCPREMOTEPORT=50000",
  ]);
});

test("how the child ended is told, and nothing of it stays open", async () => {
  const { kernel, connect } = await prepared(["cat"]);
  const openBefore = kernel.open.size;
  const { events } = connect();
  const [pid = 0] = kernel.children;
  kernel.endChild(pid, { kind: "killed", signal: 9, coreDumped: false });
  kernel.turn();
  expect(events).toEqual(["accepted 2", "freed", "ended signal 9"]);
  expect(kernel.open.size).toBe(openBefore);
});

test("signals go to the child", async () => {
  const { kernel, connect } = await prepared(["cat"]);
  const { live } = connect();
  live.signal(15);
  expect(kernel.kills).toEqual([`${SERVER_PID + 2} 15`]);
});

test("links that need not wait run before the child is made", async () => {
  const { kernel, connect } = await prepared(["passing", "cat", "-u"], [passing]);
  const { events } = connect();
  expect(events).toEqual(["accepted 2"]);
  expect(splitBlock(kernel.spawned.at(-1)?.argv ?? new Uint8Array(0))).toEqual(["cat", "-u"]);
});

test("while a link waits there is no child, and signals go to the connection", async () => {
  const { link, open } = gate();
  const { kernel, connect } = await prepared(["gate", "cat"], [link]);
  const { events } = connect();
  expect(events).toEqual([]);
  expect(kernel.spawned).toEqual([]);
  open[1]?.(goOn(launchOf()));
  await settled();
  expect(events).toEqual(["accepted 1"]);
});

test("a connection that a signal ends while its link waits never gets a child", async () => {
  for (const signal of [15, 9]) {
    const { link, open } = gate();
    const { kernel, connect } = await prepared(["gate", "cat"], [link]);
    const { events, live, connection } = connect();
    live.signal(signal);
    expect(events).toEqual(["accepted 0", "freed", "ended signal 15"]); // at once
    expect(kernel.shutDown).toEqual([connection.fd]);
    open[1]?.(goOn(launchOf()));
    await settled();
    expect(events).toEqual(["accepted 0", "freed", "ended signal 15"]);
    expect(kernel.spawned).toEqual([]);
    expect(kernel.open.has(connection.fd)).toBe(false);
  }
});

test("SIGCONT does not end a connection whose link waits", async () => {
  const { link, open } = gate();
  const { connect } = await prepared(["gate", "cat"], [link]);
  const { events, live } = connect();
  live.signal(18);
  open[1]?.(goOn(launchOf()));
  await settled();
  expect(events).toEqual(["accepted 1"]);
});

test("a refusal by a link is an end with its exit code, and closes the connection", async () => {
  const { link, open } = gate();
  const { kernel, connect } = await prepared(["gate", "cat"], [link]);
  const { events, connection } = connect();
  open[1]?.(end(1));
  await settled();
  expect(events).toEqual(["accepted 0", "freed", "ended 1"]);
  expect(kernel.open.has(connection.fd)).toBe(false);
});

test("a link that fails in an unforeseen way drops the connection", async () => {
  const broken: Link = { ...passing, run: () => Promise.reject(new TypeError("a bug")) };
  const { kernel, connect } = await prepared(["passing", "cat"], [broken]);
  const { events, connection } = connect();
  await settled();
  expect(events).toEqual(["dropped TypeError: a bug", "freed"]);
  expect(kernel.open.has(connection.fd)).toBe(false);
});

test("a shortage of processes is told once, and passes", async () => {
  const { kernel, clock, said, connect } = await prepared(["cat"]);
  kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
  const made = [connect(), connect()];
  clock.advance(1000);
  expect(said).toEqual([
    "s6-tcpserverd: warning: unable to spawn cat: strerror of EAGAIN, retrying",
  ]);
  kernel.spawnFailure = undefined;
  clock.advance(500); // the waits between retries have become longer
  expect(made.map(({ events }) => events.at(-1))).toEqual(["accepted 2", "accepted 3"]);
  for (const pid of kernel.children) kernel.endChild(pid);
  kernel.turn();
  expect(clock.pendingTimers).toBe(0);
  expect(made.some(({ connection }) => kernel.open.has(connection.fd))).toBe(false);
});

test("a shortage that lasts drops the connection in the end", async () => {
  const { kernel, clock, connect } = await prepared(["cat"]);
  kernel.spawnFailure = { code: "ENOMEM", syscall: "clone" };
  const { events, connection } = connect();
  clock.advance(60_000);
  expect(events).toEqual(["dropped spawn cat: strerror of ENOMEM", "freed"]);
  expect(clock.pendingTimers).toBe(0);
  expect(kernel.open.has(connection.fd)).toBe(false);
});

test("a signal ends a connection that waits for a process", async () => {
  const { kernel, clock, connect } = await prepared(["cat"]);
  kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
  const { events, live, connection } = connect();
  live.signal(15);
  kernel.spawnFailure = undefined;
  clock.advance(100);
  expect(events.at(-1)).toBe("ended signal 15");
  expect(kernel.spawned).toHaveLength(1); // the one before
  expect(kernel.open.has(connection.fd)).toBe(false);
});

test("a shortage behind a link is a shortage all the same", async () => {
  const { kernel, clock, connect } = await prepared(["passing", "cat"], [passing]);
  kernel.spawnFailure = { code: "EAGAIN", syscall: "clone" };
  const { events } = connect();
  kernel.spawnFailure = undefined;
  clock.advance(100);
  expect(events.at(-1)).toBe("accepted 2");
});

test("variables of many local addresses are not kept forever, and stay right", async () => {
  const { kernel, connect } = await prepared(["cat"]);
  for (let last = 0; last < 600; last += 1) {
    const ip = `198.51.${100 + (last >> 8)}.${last & 255}`;
    connect(0, endpoint(ip, 80));
    expect(environmentOf(kernel.spawned.at(-1))).toContain(`TCPLOCALIP=${ip}`);
  }
});

describe("a program that is not executed", () => {
  test("drops the connection in the name of the server that was to execute it", async () => {
    const { kernel, said, connect } = await prepared(["cat"]);
    const { events } = connect();
    kernel.failChild(kernel.children.at(-1) ?? 0, "ENOENT", "execve");
    kernel.turn();
    expect(events).toEqual(["accepted 2", "dropped spawn cat: strerror of ENOENT", "freed"]);
    expect(said).toEqual([]);
  });

  test.each([
    ["ENOENT", 127],
    ["EACCES", 126],
  ])("behind a link, for %s, is told by the link, with exit code %i", async (code, exitCode) => {
    const { kernel, said, connect } = await prepared(["passing", "cat"], [passing]);
    const { events } = connect();
    kernel.failChild(kernel.children.at(-1) ?? 0, code, "execve");
    kernel.turn();
    expect(events).toEqual(["accepted 2", "freed", `ended ${exitCode}`]);
    expect(said).toEqual([`passing: fatal: unable to exec cat: strerror of ${code}`]);
  });

  test("takes 127 from a program that has run for what it is", async () => {
    const { kernel, connect } = await prepared(["cat"]);
    const { events } = connect();
    kernel.endChild(kernel.children.at(-1) ?? 0, { kind: "exited", exitCode: 127 });
    kernel.turn();
    expect(events).toEqual(["accepted 2", "freed", "ended 127"]);
  });
});

describe("a service that awaits the exec", () => {
  test("tells that a connection was accepted when its program was executed, and not before", async () => {
    const { kernel, clock, connect } = await prepared(["cat"], [], true);
    kernel.holdsBirths = true;
    const openBefore = kernel.open.size;
    const { events } = connect();
    clock.advance(1);
    expect(events).toEqual([]);
    kernel.execute();
    clock.advance(2);
    expect(events).toEqual(["accepted 2"]);
    kernel.endChild(kernel.children.at(-1) ?? 0);
    kernel.turn();
    expect(events).toEqual(["accepted 2", "freed", "ended 0"]);
    expect(kernel.open.size).toBe(openBefore);
  });

  test("never tells so of a connection whose program could not be executed", async () => {
    const { kernel, connect } = await prepared(["cat"], [], true);
    kernel.holdsBirths = true;
    const { events } = connect();
    kernel.failChild(kernel.children.at(-1) ?? 0, "ENOENT", "execve");
    kernel.turn();
    expect(events).toEqual(["dropped spawn cat: strerror of ENOENT", "freed"]);
  });

  test("sends signals to a child that has not executed its program yet", async () => {
    const { kernel, connect } = await prepared(["cat"], [], true);
    kernel.holdsBirths = true;
    const { live } = connect();
    live.signal(15);
    expect(kernel.kills).toEqual([`${SERVER_PID + 2} 15`]);
  });

  test("kills a child that is stuck before its program, whose slot is then free", async () => {
    const { kernel, clock, said, connect } = await prepared(["cat"], [], true);
    kernel.holdsBirths = true;
    const { events } = connect();
    clock.advance(2 * BIRTH_MS_MAX);
    expect(kernel.kills).toEqual([`${SERVER_PID + 2} 9`]);
    kernel.endChild(kernel.children.at(-1) ?? 0, { kind: "killed", signal: 9, coreDumped: false });
    kernel.turn();
    expect(events).toEqual(["accepted 2", "freed", "ended signal 9"]);
    expect(said).toEqual([
      `s6-tcpserverd: warning: child ${SERVER_PID + 2} was killed before it could execute cat`,
    ]);
    expect(clock.pendingTimers).toBe(0);
  });
});
