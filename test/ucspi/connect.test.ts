/** Connecting to one of several addresses, against a fake kernel and a clock that the test steps. */

import { describe, expect, test } from "vitest";
import { FakeClock } from "../support/fake-clock.ts";
import { deadlineAfter } from "../../src/clock/index.ts";
import { formatIp, fromSocketAddress, parseIpList } from "../../src/net/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import type { Fd, SocketAddress } from "../../src/posix/index.ts";
import { connectInTurn, connectOverlapping } from "../../src/ucspi/client/connect.ts";
import type { Connected, ConnectRequest } from "../../src/ucspi/client/connect.ts";
import { settled } from "./fake-context.ts";

interface Trial {
  readonly ip: string;
  readonly fd: Fd;
}

/** A kernel whose connections are neither made nor refused until the test says so. */
class SlowNetwork extends FakePosix {
  /** Every attempt, oldest first. */
  readonly trials: Trial[] = [];
  /** Addresses that answer at once: with a connection, or with an errno. */
  readonly prompt = new Map<string, string>();

  override connect(fd: Fd, address: SocketAddress): boolean {
    const ip = textOf(address);
    this.trials.push({ ip, fd });
    const answer = this.prompt.get(ip);
    if (answer === undefined) return false;
    if (answer === "connected") return true;
    this.failNext("connect", answer);
    return super.connect(fd, address);
  }

  /** The newest attempt at this address is over: with a connection, or with an errno. */
  answer(ip: string, code?: string): void {
    const trial = this.trials.findLast((one) => one.ip === ip);
    if (trial === undefined) throw new Error(`nobody tries ${ip}`);
    if (code !== undefined) this.failNext("socketError", code);
    this.fire(trial.fd, { writable: true });
  }

  get tried(): readonly string[] {
    return this.trials.map(({ ip }) => ip);
  }
}

function textOf(address: SocketAddress): string {
  const endpoint = fromSocketAddress(address);
  return endpoint === undefined ? "" : formatIp(endpoint.address);
}

interface Bench {
  readonly network: SlowNetwork;
  readonly clock: FakeClock;
  /** Descriptors that were not there before. */
  open(): readonly Fd[];
  /** The end, in short: `connected IP`, or `IP CODE` for each failure. */
  start(
    connect: typeof connectInTurn,
    hosts: string,
    request?: Partial<ConnectRequest>,
  ): Promise<readonly string[]>;
}

function newBench(): Bench {
  const network = new SlowNetwork();
  const clock = new FakeClock();
  const before = network.openFds;
  return {
    network,
    clock,
    open: () => network.openFds.filter((fd) => !before.includes(fd)),
    async start(connect, hosts, request = {}) {
      const addresses = parseIpList(hosts) ?? [];
      const times = { firstMs: 2000, secondMs: 58_000 };
      const rest = { port: 80, localIp: undefined, localPort: 0, deadline: undefined };
      return outcomeOf(await connect(network, clock, { addresses, times, ...rest, ...request }));
    },
  };
}

function outcomeOf(result: Connected): readonly string[] {
  return result.kind === "connected"
    ? [`connected ${formatIp(result.address)}`]
    : result.failures.map(({ address, code }) => `${formatIp(address)} ${code}`);
}

/** Is a promise still pending, once all that is ready has run? */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  return (await Promise.race([promise, settled().then(() => pending)])) === pending;
}

describe("connecting in turn", () => {
  test("connecting in turn takes the first address that answers, with an open socket and nothing else left", async () => {
    const { network, clock, open, start } = newBench();
    network.prompt.set("192.0.2.1", "ECONNREFUSED");
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2,192.0.2.3");
    await settled();
    expect(network.tried).toEqual(["192.0.2.1", "192.0.2.2"]);
    network.answer("192.0.2.2");
    expect(await result).toEqual(["connected 192.0.2.2"]);
    expect(open()).toEqual([network.trials[1]?.fd]);
    expect(clock.pendingTimers).toBe(0);
    expect(network.turn()).toBe(0);
  });

  test("connecting in turn gives each address x, then each that failed y, and reports why it failed last", async () => {
    const { network, clock, open, start } = newBench();
    const times = { firstMs: 1000, secondMs: 3000 };
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2", { times });
    for (const [ms, tried] of [
      [999, 1],
      [1, 2],
      [1000, 3],
      [2999, 3],
      [1, 4],
    ] as const) {
      clock.advance(ms);
      await settled();
      expect(network.trials).toHaveLength(tried);
    }
    expect(network.tried).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"]);
    network.answer("192.0.2.2", "EHOSTUNREACH");
    expect(await result).toEqual(["192.0.2.1 ETIMEDOUT", "192.0.2.2 EHOSTUNREACH"]);
    expect(open()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("two addresses that do not answer take 4 seconds where each has 1 and 1", async () => {
    const { clock, start } = newBench();
    const times = { firstMs: 1000, secondMs: 1000 };
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2", { times });
    for (let second = 0; second < 4; second += 1) {
      expect(await isPending(result)).toBe(true);
      clock.advance(1000);
    }
    expect(await result).toEqual(["192.0.2.1 ETIMEDOUT", "192.0.2.2 ETIMEDOUT"]);
  });

  test("an address that fails in the first pass may answer in the second", async () => {
    const { network, clock, open, start } = newBench();
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2");
    clock.advance(2000);
    await settled();
    network.answer("192.0.2.2", "ECONNREFUSED");
    await settled();
    clock.advance(30_000);
    network.answer("192.0.2.1");
    expect(await result).toEqual(["connected 192.0.2.1"]);
    expect(open()).toHaveLength(1);
  });

  test("a single address gets both times in one attempt", async () => {
    const { network, clock, start } = newBench();
    const result = start(connectInTurn, "192.0.2.1");
    clock.advance(59_999);
    expect(await isPending(result)).toBe(true);
    clock.advance(1);
    expect(await result).toEqual(["192.0.2.1 ETIMEDOUT"]);
    expect(network.trials).toHaveLength(1);
  });

  test("connecting without a second time has one pass", async () => {
    const { network, clock, start } = newBench();
    const times = { firstMs: 1000, secondMs: 0 };
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2", { times });
    clock.advance(1000);
    await settled();
    clock.advance(1000);
    expect(await result).toHaveLength(2);
    expect(network.trials).toHaveLength(2);
  });

  test("the deadline of the whole run ends the attempt under way", async () => {
    const { network, clock, open, start } = newBench();
    const deadline = deadlineAfter(clock, 2500);
    const result = start(connectInTurn, "192.0.2.1,192.0.2.2", { deadline });
    clock.advance(2000);
    await settled();
    expect(network.tried).toEqual(["192.0.2.1", "192.0.2.2"]);
    clock.advance(500);
    // The rest of the second pass has no time, and takes none.
    for (let turns = 0; turns < 4; turns += 1) {
      await settled();
      clock.advance(0);
    }
    expect(await result).toEqual(["192.0.2.1 ETIMEDOUT", "192.0.2.2 ETIMEDOUT"]);
    expect(open()).toEqual([]);
  });

  test("a local address that cannot be bound ends the run", async () => {
    const { network, open, start } = newBench();
    network.failNext("bind", "EADDRNOTAVAIL");
    await expect(start(connectInTurn, "192.0.2.1,192.0.2.2")).rejects.toThrow("EADDRNOTAVAIL");
    expect(open()).toEqual([]);
    expect(network.trials).toEqual([]);
    network.failNext("socket", "EMFILE");
    await expect(start(connectInTurn, "192.0.2.1")).rejects.toThrow("EMFILE");
  });

  test("every socket is bound: to the wildcard of its family, or to what was asked for", async () => {
    const { network, start } = newBench();
    network.prompt.set("192.0.2.1", "connected").set("2001:db8::1", "connected");
    await start(connectInTurn, "192.0.2.1");
    await start(connectInTurn, "2001:db8::1");
    const [localIp] = parseIpList("127.0.0.9") ?? [];
    await start(connectInTurn, "192.0.2.1", { localIp, localPort: 1234 });
    const locals = network.trials.map(({ fd }) => network.getsockname(fd));
    expect(locals.map(textOf)).toEqual(["0.0.0.0", "::", "127.0.0.9"]);
    expect(locals[2]).toMatchObject({ port: 1234 });
  });
});

describe("overlapping attempts", () => {
  test("overlapping attempts begin 250 ms apart, the families taking turns", async () => {
    const { network, clock, start } = newBench();
    const result = start(connectOverlapping, "::1,::2,::3,192.0.2.1,192.0.2.2");
    const expected = ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"];
    for (let count = 1; count <= expected.length; count += 1) {
      await settled();
      expect(network.tried).toEqual(expected.slice(0, count));
      clock.advance(249);
      await settled();
      expect(network.tried).toHaveLength(count);
      clock.advance(1);
    }
    network.answer("::2");
    expect(await result).toEqual(["connected ::2"]);
  });

  test("overlapping attempts end when one has succeeded, and their sockets are closed", async () => {
    const { network, clock, open, start } = newBench();
    const result = start(connectOverlapping, "192.0.2.1,192.0.2.2,192.0.2.3");
    for (let begun = 0; begun < 2; begun += 1) {
      await settled();
      clock.advance(250);
    }
    await settled();
    expect(open()).toHaveLength(3);
    network.answer("192.0.2.2");
    expect(await result).toEqual(["connected 192.0.2.2"]);
    expect(open()).toEqual([network.trials[1]?.fd]);
    expect(clock.pendingTimers).toBe(0);
    expect(network.turn()).toBe(0);
  });

  test("one of two overlapping attempts that succeed at the same time is kept", async () => {
    const { network, clock, open, start } = newBench();
    const result = start(connectOverlapping, "192.0.2.1,192.0.2.2");
    await settled();
    clock.advance(250);
    await settled();
    network.answer("192.0.2.2");
    network.answer("192.0.2.1");
    const [winner] = await result;
    await settled();
    expect(open()).toHaveLength(1);
    expect(winner).toBe("connected 192.0.2.2");
  });

  test("the next overlapping attempt begins at once after one that has failed", async () => {
    const { network, open, start } = newBench();
    const result = start(connectOverlapping, "192.0.2.1,192.0.2.2,192.0.2.3");
    await settled();
    network.answer("192.0.2.1", "ECONNREFUSED");
    await settled();
    expect(network.tried).toEqual(["192.0.2.1", "192.0.2.2"]);
    network.prompt.set("192.0.2.3", "ENETUNREACH");
    network.answer("192.0.2.2", "ECONNRESET");
    expect(await result).toEqual([
      "192.0.2.1 ECONNREFUSED",
      "192.0.2.2 ECONNRESET",
      "192.0.2.3 ENETUNREACH",
    ]);
    expect(open()).toEqual([]);
  });

  test("overlapping attempts share x and y, all of them together, and the deadline", async () => {
    const { clock, open, start } = newBench();
    const times = { firstMs: 1000, secondMs: 1000 };
    const result = start(connectOverlapping, "192.0.2.1,192.0.2.2", { times });
    await settled();
    clock.advance(250);
    await settled();
    clock.advance(1749);
    expect(await isPending(result)).toBe(true);
    clock.advance(1);
    expect(await result).toEqual(["192.0.2.1 ETIMEDOUT", "192.0.2.2 ETIMEDOUT"]);
    const hurried = start(connectOverlapping, "192.0.2.1", { deadline: deadlineAfter(clock, 10) });
    clock.advance(10);
    expect(await hurried).toEqual(["192.0.2.1 ETIMEDOUT"]);
    expect(open()).toEqual([]);
  });

  test("overlapping attempts end when a local address cannot be bound, those under way too", async () => {
    const { network, clock, open, start } = newBench();
    const result = start(connectOverlapping, "192.0.2.1,192.0.2.2");
    const failure = expect(result).rejects.toThrow("EADDRINUSE");
    await settled();
    network.failNext("bind", "EADDRINUSE");
    clock.advance(250);
    await failure;
    await settled();
    expect(open()).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("overlapping attempts share a local port that was asked for", async () => {
    const { network, start } = newBench();
    network.prompt.set("192.0.2.1", "connected");
    await start(connectOverlapping, "192.0.2.1", { localPort: 1234 });
    await start(connectOverlapping, "192.0.2.1");
    await start(connectInTurn, "192.0.2.1", { localPort: 1235 });
    const shared = network.trials.map(({ fd }) => network.hasOption(fd, "setReuseAddress"));
    expect(shared).toEqual([true, false, false]);
  });
});
