import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import type { Endpoint } from "../../../src/net/index.ts";
import type { Fd, WaitStatus } from "../../../src/posix/index.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import type { ConnectionServerOptions } from "../../../src/ucspi/serving/connection-server.ts";
import { TCP } from "../../../src/ucspi/serving/tcp.ts";
import { FakeKernel, SERVER_PID, socketAddress } from "../fake-kernel.ts";
import { Guest } from "./guest.ts";

/** A server whose service only takes note; the test decides what becomes of each connection. */
function serve(options: Partial<ConnectionServerOptions<Endpoint, Endpoint>> = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const fd = kernel.listener();
  const guests: Guest[] = [];
  const log: string[] = [];
  const server = new ConnectionServer({
    posix: kernel.posix,
    clock,
    protocol: TCP,
    listeners: [fd],
    maxConnections: 40,
    maxPerKey: 40,
    asksLocalAddress: false,
    service(connection, life) {
      const arrival = new Guest(connection, life);
      guests.push(arrival);
      return arrival;
    },
    events: {
      accepted: ({ key }, pid, count, total) =>
        log.push(`accepted ${key} pid ${pid} ${count} ${total}`),
      ended: ({ key }, pid, _status, { count, total }) =>
        log.push(`ended ${key} pid ${pid} ${count} ${total}`),
      rejected: ({ key }, count) => log.push(`rejected ${key} ${count}`),
      dropped: ({ key }, why) => log.push(`dropped ${key} ${why}`),
      full: (isFull) => log.push(isFull ? "full" : "room"),
      acceptFailed: ({ code }) => log.push(`accept failed ${code}`),
      faulted: (error) => log.push(`faulted ${String(error)}`),
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
  expect(guests.map(({ connection: { key, number } }) => [key, number])).toEqual([
    ["192.0.2.1", 0],
    ["192.0.2.2", 0],
    ["192.0.2.1", 1],
  ]);
  const { local, peer } = guest(guests, 0).connection;
  expect([local.port, peer.port]).toEqual([7000, 50_000]);
});

test("accounts of acceptance and end count those who are there", () => {
  const { guests, log, come, server } = serve();
  come("192.0.2.1", "192.0.2.1", "192.0.2.2");
  guests.forEach((arrival, at) => arrival.serve(100 + at));
  guest(guests, 0).end();
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
  guest(guests, 0).end();
  expect(log).toEqual([
    `accepted 192.0.2.1 pid ${SERVER_PID} 1 1`,
    `ended 192.0.2.1 pid ${SERVER_PID} 0 0`,
  ]);
});

test("ending twice, or dropping what has ended, counts once", () => {
  const { guests, log, come, server } = serve();
  come("192.0.2.1", "192.0.2.1");
  const first = guest(guests, 0);
  first.life.failed("spawn");
  first.life.failed("spawn");
  first.end();
  expect(server.connections).toBe(1);
  expect(log).toEqual(["dropped 192.0.2.1 spawn"]);
});

test("how a process has ended is told when its tunnels are over, whatever is said meanwhile", () => {
  const statuses: WaitStatus[] = [];
  const { guests, come } = serve({
    service: (connection, life) => {
      const arrival = Object.assign(new Guest(connection, life), { awaitTunnels: () => undefined });
      guests.push(arrival);
      return arrival;
    },
    events: {
      ended: (_connection, _pid, status) => statuses.push(status),
      faulted: (error) => expect(error).toBeUndefined(),
    },
  });
  come("192.0.2.1");
  const { life } = guest(guests, 0);
  guest(guests, 0).serve(100);
  life.ended({ kind: "exited", exitCode: 3 });
  life.ended({ kind: "exited", exitCode: 4 });
  expect(statuses).toEqual([]);
  life.tunnelsEnded();
  expect(statuses).toEqual([{ kind: "exited", exitCode: 3 }]);
});

describe("the limit for one address", () => {
  test("closes the connection at once and says how many there are", () => {
    const { kernel, guests, log, come } = serve({ maxPerKey: 2 });
    const [, , third = -1, other = -1] = come("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2");
    expect(log).toEqual(["rejected 192.0.2.1 2"]);
    expect(guests).toHaveLength(3);
    expect(kernel.open.has(third)).toBe(false);
    expect(kernel.open.has(other)).toBe(true);
  });

  test("admits again once one is over", () => {
    const { guests, log, come } = serve({ maxPerKey: 1 });
    come("192.0.2.1");
    guest(guests, 0).end();
    come("192.0.2.1");
    expect(guests).toHaveLength(2);
    expect(log.filter((line) => line.startsWith("rejected"))).toEqual([]);
  });

  test("tells IPv4 from the same address mapped to IPv6", () => {
    const { guests, come } = serve({ maxPerKey: 1 });
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
    guest(guests, 0).life.failed("serve");
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
      service(connection, life) {
        served += 1;
        return Object.assign(new Guest(connection, life), { prepare: () => life.failed("serve") });
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

test("signals reach those who serve, and end connections that nobody serves yet", () => {
  const { kernel, guests, log, come, server } = serve();
  const [, waiting = -1] = come("192.0.2.1", "192.0.2.2", "192.0.2.3");
  guest(guests, 0).serve(100);
  guest(guests, 2).serve(102);
  guest(guests, 2).end();
  log.length = 0;
  server.signal(18);
  server.signal(15);
  server.signal(18);
  expect(guests.map(({ effects }) => effects.slice(1))).toEqual([
    ["create", "forward 18", "forward 15", "forward 18"],
    [],
    ["create"],
  ]);
  expect(kernel.shutDown).toEqual([waiting]);
  expect(log).toEqual([
    `accepted 192.0.2.2 pid ${SERVER_PID} 1 2`,
    `ended 192.0.2.2 pid ${SERVER_PID} 0 1`,
  ]);
});

describe("draining", () => {
  test("accepts nobody and waits for the last", async () => {
    const { kernel, clock, fd, guests, come, server } = serve();
    come("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    come("192.0.2.3");
    expect(kernel.waiting(fd)).toBe(1);
    for (const arrival of guests) arrival.end();
    expect(await drained).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test("gives up at its deadline", async () => {
    const { clock, guests, come, server } = serve();
    come("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    guest(guests, 0).end();
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
    guest(guests, 0).life.failed("serve");
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
    guest(guests, 0).end();
    kernel.turn();
    expect(await drained).toBe(true);
    expect(kernel.waiting(fd)).toBe(1);
  });
});

test("clients for whom a proxy speaks are counted by their own addresses as well", () => {
  const { guests, come, server } = serve({ maxPerKey: 5 });
  come("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1");
  const countAs = (at: number, address: string): number => guest(guests, at).life.countAs(address);
  expect([countAs(0, "203.0.113.7"), countAs(1, "203.0.113.7")]).toEqual([0, 1]);
  expect(countAs(2, "203.0.113.8")).toBe(0);
  expect(countAs(2, "203.0.113.7")).toBe(2); // a proxy behind a proxy
  expect(countAs(3, "203.0.113.8")).toBe(0);
  guest(guests, 0).end();
  expect(countAs(0, "203.0.113.7")).toBe(0); // over: not counted again
  expect(countAs(3, "203.0.113.7")).toBe(2);
  expect(server.connections).toBe(3);
  come("192.0.2.1", "203.0.113.7");
  expect(guests.slice(4).map(({ connection }) => connection.number)).toEqual([3, 0]);
});

describe("a fault in the handling of one connection", () => {
  test("of a service that throws drops it, and the rest of the batch is served", () => {
    const served: string[] = [];
    const { kernel, log, server, come } = serve({
      service(connection, life) {
        if (connection.key === "192.0.2.2") throw new TypeError("a bug");
        served.push(connection.key);
        return new Guest(connection, life);
      },
    });
    const [first = -1, second = -1, third = -1] = come("192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(served).toEqual(["192.0.2.1", "192.0.2.3"]);
    expect(log).toEqual(["dropped 192.0.2.2 TypeError: a bug"]);
    expect([first, second, third].map((fd) => kernel.open.has(fd))).toEqual([true, false, true]);
    expect(server.connections).toBe(2);
  });

  test("of a protocol that throws closes it, and the rest of the batch is served", () => {
    const { kernel, guests, log, server, come } = serve({
      protocol: {
        ...TCP,
        key(peer) {
          const key = TCP.key(peer);
          if (key === "192.0.2.2") throw new TypeError("a bug");
          return key;
        },
      },
    });
    const [, second = -1] = come("192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(guests).toHaveLength(2);
    expect(log).toEqual(["faulted TypeError: a bug"]);
    expect(kernel.open.has(second)).toBe(false);
    expect(server.connections).toBe(2);
  });

  test("of those who are told of events is told, and changes nothing", () => {
    const faults: unknown[] = [];
    const bug = (): never => {
      throw new TypeError("a bug");
    };
    const { kernel, guests, server, come } = serve({
      maxConnections: 3,
      maxPerKey: 1,
      events: {
        accepted: bug,
        ended: bug,
        rejected: bug,
        dropped: bug,
        full: bug,
        acceptFailed: bug,
        faulted: (error) => faults.push(String(error)),
      },
    });
    come("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(server.connections).toBe(3);
    for (const arrival of guests) arrival.serve(100);
    guest(guests, 0).end();
    guest(guests, 1).life.failed("serve");
    kernel.acceptFailure = "EMFILE";
    come("192.0.2.4");
    expect(server.connections).toBe(1);
    // Accepted three times, and one each of: rejected, full, ended, room, dropped, failed to accept.
    expect(faults).toEqual(Array.from({ length: 9 }, () => "TypeError: a bug"));
  });

  test("of the very function that is told of faults is thrown from a timer of the server", () => {
    const { guests, come, clock } = serve({
      events: {
        accepted: () => {
          throw new TypeError("a bug");
        },
        faulted: (error) => {
          throw error;
        },
      },
    });
    come("192.0.2.1");
    for (const arrival of guests) arrival.serve(100);
    expect(() => clock.advance(0)).toThrow("a bug");
  });
});

describe("a connection whose own address cannot be asked for", () => {
  test.each(["ENOTCONN", "ECONNRESET", "EINVAL"])(
    "because it was reset (%s) is closed without a word",
    (code) => {
      const { kernel, log, server, come } = serve({ asksLocalAddress: true });
      kernel.sockname = code;
      const [client = -1] = come("192.0.2.1");
      expect(log).toEqual([]);
      expect(server.connections).toBe(0);
      expect(kernel.open.has(client)).toBe(false);
    },
  );

  test.each(["ENOMEM", "ENOBUFS"])(
    "for want of memory (%s) is closed, and that is told",
    (code) => {
      const { kernel, log, server, come } = serve({ asksLocalAddress: true });
      kernel.sockname = code;
      const fds = come("192.0.2.1", "192.0.2.2");
      expect(log).toEqual([`accept failed ${code}`, `accept failed ${code}`]);
      expect(server.connections).toBe(0);
      expect(fds.some((fd) => kernel.open.has(fd))).toBe(false);
    },
  );
});

describe("the listeners of a server", () => {
  test("are watched once, however often one is named", () => {
    const kernel = new FakeKernel();
    const fd = kernel.listener();
    serve({ posix: kernel.posix, listeners: [fd, fd] });
    expect(kernel.watches).toBe(1);
  });

  test("are none of them watched when one cannot be", () => {
    const kernel = new FakeKernel();
    const listeners = [kernel.listener(), kernel.listener("::1", 7001)];
    const { posix } = kernel;
    const { watch } = posix;
    posix.watch = (fd, interest, ready) => {
      if (fd === listeners[1]) kernel.listenerWatchFailure = "ENOSPC";
      return watch(fd, interest, ready);
    };
    expect(() => serve({ posix, listeners })).toThrow("strerror of ENOSPC");
    expect(kernel.watches).toBe(0);
  });
});
