import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import type { Fd, WaitStatus } from "../../../src/posix/index.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import type { ConnectionServerOptions } from "../../../src/ucspi/serving/connection-server.ts";
import type { Connection, Serving } from "../../../src/ucspi/serving/connection.ts";
import { FakeKernel, SERVER_PID, socketAddress } from "../fake-kernel.ts";

const DONE: WaitStatus = { kind: "exited", exitCode: 0 };

interface Guest {
  readonly connection: Connection;
  readonly serving: Serving;
}

/** A server whose service only takes note; the test decides what becomes of each connection. */
function serve(options: Partial<ConnectionServerOptions> = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const fd = kernel.listener();
  const guests: Guest[] = [];
  const log: string[] = [];
  const server = new ConnectionServer({
    posix: kernel.posix,
    clock,
    listeners: [fd],
    maxConnections: 40,
    maxPerAddress: 40,
    asksLocalAddress: false,
    service: (connection, serving) => void guests.push({ connection, serving }),
    events: {
      accepted: ({ address }, pid, count, total) =>
        log.push(`accepted ${address} pid ${pid} ${count} ${total}`),
      ended: ({ address }, pid, _status, { count, total }) =>
        log.push(`ended ${address} pid ${pid} ${count} ${total}`),
      rejected: ({ address }, count) => log.push(`rejected ${address} ${count}`),
      dropped: ({ address }, why) => log.push(`dropped ${address} ${why}`),
      full: (isFull) => log.push(isFull ? "full" : "room"),
      acceptFailed: ({ code }) => log.push(`accept failed ${code}`),
    },
    ...options,
  });
  server.start();
  function come(...ips: string[]): Fd[] {
    const fds = ips.map((ip) => kernel.connect(fd, ip));
    kernel.turn();
    return fds;
  }
  return { kernel, clock, fd, guests, log, server, come };
}

function guest(guests: readonly Guest[], at: number): Guest {
  const found = guests[at];
  if (found === undefined) throw new Error(`there is no guest ${at}`);
  return found;
}

test("a connection tells the listener's address, the client's and how many came before", () => {
  const { guests, come } = serve();
  come("192.0.2.1", "192.0.2.2", "192.0.2.1");
  expect(guests.map(({ connection: { address, number } }) => [address, number])).toEqual([
    ["192.0.2.1", 0],
    ["192.0.2.2", 0],
    ["192.0.2.1", 1],
  ]);
  const { local, remote } = guest(guests, 0).connection;
  expect([local.port, remote.port]).toEqual([7000, 50_000]);
});

test("accounts of acceptance and end count those who are there", () => {
  const { guests, log, come, server } = serve();
  come("192.0.2.1", "192.0.2.1", "192.0.2.2");
  guests.forEach(({ serving }, at) => serving.begin(100 + at, () => {}));
  guest(guests, 0).serving.end(DONE);
  expect(log).toEqual([
    "accepted 192.0.2.1 pid 100 2 3",
    "accepted 192.0.2.1 pid 101 2 3",
    "accepted 192.0.2.2 pid 102 1 3",
    "ended 192.0.2.1 pid 100 1 2",
  ]);
  expect(server.connections).toBe(2);
});

test("a connection served within the server bears its pid", () => {
  const { guests, log, come } = serve();
  come("192.0.2.1");
  guest(guests, 0).serving.end(DONE);
  expect(log).toEqual([
    `accepted 192.0.2.1 pid ${SERVER_PID} 1 1`,
    `ended 192.0.2.1 pid ${SERVER_PID} 0 0`,
  ]);
});

test("ending twice, or dropping what has ended, counts once", () => {
  const { guests, log, come, server } = serve();
  come("192.0.2.1", "192.0.2.1");
  const { serving } = guest(guests, 0);
  serving.drop("spawn");
  serving.drop("spawn");
  serving.end(DONE);
  expect(server.connections).toBe(1);
  expect(log).toEqual(["dropped 192.0.2.1 spawn"]);
});

describe("the limit for one address", () => {
  test("closes the connection at once and says how many there are", () => {
    const { kernel, guests, log, come } = serve({ maxPerAddress: 2 });
    const [, , third = -1, other = -1] = come("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2");
    expect(log).toEqual(["rejected 192.0.2.1 2"]);
    expect(guests).toHaveLength(3);
    expect(kernel.open.has(third)).toBe(false);
    expect(kernel.open.has(other)).toBe(true);
  });

  test("admits again once one is over", () => {
    const { guests, log, come } = serve({ maxPerAddress: 1 });
    come("192.0.2.1");
    guest(guests, 0).serving.end(DONE);
    come("192.0.2.1");
    expect(guests).toHaveLength(2);
    expect(log.filter((line) => line.startsWith("rejected"))).toEqual([]);
  });

  test("tells IPv4 from the same address mapped to IPv6", () => {
    const { guests, come } = serve({ maxPerAddress: 1 });
    come("192.0.2.1", "::ffff:192.0.2.1");
    expect(guests).toHaveLength(2);
  });
});

describe("the limit for all", () => {
  test("leaves newcomers in the queue, and takes them when there is room", () => {
    const { kernel, fd, guests, log, come } = serve({ maxConnections: 2 });
    come("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4");
    expect(guests).toHaveLength(2);
    expect(kernel.waiting(fd)).toBe(2);
    expect(log).toEqual(["full"]);
    guest(guests, 0).serving.drop("serve");
    kernel.turn();
    expect(guests).toHaveLength(3);
    expect(log).toEqual(["full", "dropped 192.0.2.1 serve", "room", "full"]);
  });

  test("holds over all listeners together", () => {
    const { kernel, guests } = (() => {
      const second = new FakeKernel();
      const listeners = [second.listener(), second.listener("::1", 7001)];
      const made = serve({ posix: second.posix, listeners, maxConnections: 3 });
      for (const fd of listeners) for (const _ of [1, 2, 3]) second.connect(fd, "192.0.2.1");
      second.turn();
      return { kernel: second, guests: made.guests };
    })();
    expect(guests).toHaveLength(3);
    expect(kernel.open.size).toBe(2 + 6);
  });

  test("a service that ends at once never fills the server", () => {
    const kernel = new FakeKernel();
    const fd = kernel.listener();
    let served = 0;
    const { log } = serve({
      posix: kernel.posix,
      listeners: [fd],
      maxConnections: 1,
      service(_, serving) {
        served += 1;
        serving.end(DONE);
      },
    });
    for (let client = 0; client < 10; client += 1) kernel.connect(fd, "192.0.2.1");
    kernel.turn();
    expect(served).toBe(10);
    expect(log.filter((line) => line === "full")).toHaveLength(10);
  });
});

test("the local address is the connection's own when the server is told to ask", () => {
  const { kernel, guests, come } = serve({ asksLocalAddress: true });
  kernel.sockname = socketAddress("192.0.2.99", 7000);
  come("192.0.2.1");
  expect(guest(guests, 0).connection.local.address.bytes).toEqual(new Uint8Array([192, 0, 2, 99]));
});

test("a connection that has gone before its address could be asked is closed and forgotten", () => {
  const { kernel, guests, come, server } = serve({ asksLocalAddress: true });
  const [client = -1] = come("192.0.2.1");
  expect(guests).toEqual([]);
  expect(server.connections).toBe(0);
  expect(kernel.open.has(client)).toBe(false);
});

test("failures to accept are told", () => {
  const { kernel, log, come } = serve();
  kernel.acceptFailure = "EMFILE";
  come("192.0.2.1");
  expect(log).toEqual(["accept failed EMFILE"]);
});

test("signals reach those who serve, and those who still wait", () => {
  const { guests, come, server } = serve();
  const sent: string[] = [];
  come("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4");
  guest(guests, 0).serving.begin(100, (signal) => sent.push(`100 ${signal}`));
  guest(guests, 1).serving.wait((signal) => sent.push(`waiting ${signal}`));
  guest(guests, 2).serving.begin(102, (signal) => sent.push(`102 ${signal}`));
  guest(guests, 2).serving.end(DONE);
  server.signal(15);
  expect(sent).toEqual(["100 15", "waiting 15"]);
});

describe("draining", () => {
  test("accepts nobody and waits for the last", async () => {
    const { kernel, clock, fd, guests, come, server } = serve();
    come("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    come("192.0.2.3");
    expect(kernel.waiting(fd)).toBe(1);
    for (const { serving } of guests) serving.end(DONE);
    expect(await drained).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test("gives up at its deadline", async () => {
    const { clock, guests, come, server } = serve();
    come("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    guest(guests, 0).serving.end(DONE);
    clock.advance(4999);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(1);
    expect(await drained).toBe(false);
    expect(server.connections).toBe(1);
  });

  test("without a deadline waits for as long as it takes", async () => {
    const { clock, guests, come, server } = serve();
    come("192.0.2.1");
    const drained = server.drain(undefined);
    clock.advance(1e9);
    guest(guests, 0).serving.drop("serve");
    expect(await drained).toBe(true);
  });

  test("is over at once when nobody is there", async () => {
    const { clock, server } = serve();
    expect(await server.drain(5000)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a full server that drains does not resume when there is room", async () => {
    const { kernel, fd, guests, come, server } = serve({ maxConnections: 1 });
    come("192.0.2.1", "192.0.2.2");
    const drained = server.drain(undefined);
    guest(guests, 0).serving.end(DONE);
    kernel.turn();
    expect(await drained).toBe(true);
    expect(kernel.waiting(fd)).toBe(1);
  });
});

test("clients whom a proxy announces are counted by their own addresses as well", () => {
  const { guests, come, server } = serve({ maxPerAddress: 5 });
  come("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1");
  const announce = (at: number, address: string): number =>
    guest(guests, at).serving.announce(address);
  expect([announce(0, "203.0.113.7"), announce(1, "203.0.113.7")]).toEqual([0, 1]);
  expect(announce(2, "203.0.113.8")).toBe(0);
  expect(announce(2, "203.0.113.7")).toBe(2); // a proxy behind a proxy
  expect(announce(3, "203.0.113.8")).toBe(0);
  guest(guests, 0).serving.end(DONE);
  expect(announce(0, "203.0.113.7")).toBe(0); // over: not counted again
  expect(announce(3, "203.0.113.7")).toBe(2);
  expect(server.connections).toBe(3);
  come("192.0.2.1", "203.0.113.7");
  expect(guests.slice(4).map(({ connection }) => connection.number)).toEqual([3, 0]);
});
