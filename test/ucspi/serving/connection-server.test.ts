import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import type { Endpoint } from "../../../src/net/index.ts";
import type { Fd, WaitStatus } from "../../../src/posix/index.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import type { ConnectionServerOptions } from "../../../src/ucspi/serving/connection-server.ts";
import { TCP } from "../../../src/ucspi/serving/tcp.ts";
import { FakeKernel, SERVER_PID, socketAddress } from "../fake-kernel.ts";
import { ManualWork } from "./manual-work.ts";

/** A server whose service only records its effects; the test decides what becomes of each connection. */
function serve(options: Partial<ConnectionServerOptions<Endpoint, Endpoint>> = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const fd = kernel.listener();
  const works: ManualWork[] = [];
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
      const work = new ManualWork(connection, life);
      works.push(work);
      return work;
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
  function connect(...ips: string[]): Fd[] {
    const fds = ips.map((ip) => kernel.connect(fd, ip));
    kernel.turn();
    return fds;
  }
  return { kernel, clock, fd, works, log, server, connect };
}

function workAt(works: readonly ManualWork[], at: number): ManualWork {
  const found = works[at];
  if (found === undefined) throw new Error(`there is no connection ${at}`);
  return found;
}

test("a connection tells the listener's address, the client's and how many were alive before", () => {
  const { works, connect } = serve();
  connect("192.0.2.1", "192.0.2.2", "192.0.2.1");
  expect(works.map(({ connection: { key, number } }) => [key, number])).toEqual([
    ["192.0.2.1", 0],
    ["192.0.2.2", 0],
    ["192.0.2.1", 1],
  ]);
  const { local, peer } = workAt(works, 0).connection;
  expect([local.port, peer.port]).toEqual([7000, 50_000]);
});

test("a connection is told as accepted with the counts of when it was, and as ended with those of now", () => {
  const { works, log, connect, server } = serve();
  connect("192.0.2.1", "192.0.2.1", "192.0.2.2");
  works.forEach((work, at) => work.serve(100 + at));
  workAt(works, 0).end();
  expect(log).toEqual([
    "accepted 192.0.2.1 pid 100 1 1",
    "accepted 192.0.2.1 pid 101 2 2",
    "accepted 192.0.2.2 pid 102 1 3",
    "ended 192.0.2.1 pid 100 1 2",
  ]);
  expect(server.connections).toBe(2);
});

test("a connection that has no process is told with the pid of the server", () => {
  const { works, log, connect } = serve();
  connect("192.0.2.1");
  workAt(works, 0).end();
  expect(log).toEqual([
    `accepted 192.0.2.1 pid ${SERVER_PID} 1 1`,
    `ended 192.0.2.1 pid ${SERVER_PID} 0 0`,
  ]);
});

test("a connection ends once, whatever is told of it after that", () => {
  const { works, log, connect, server } = serve();
  connect("192.0.2.1", "192.0.2.1");
  const first = workAt(works, 0);
  first.life.failed("spawn");
  first.life.failed("spawn");
  first.end();
  expect(server.connections).toBe(1);
  expect(log).toEqual(["dropped 192.0.2.1 spawn"]);
});

test("how a process has ended is told when its tunnels are over, whatever is said meanwhile", () => {
  const statuses: WaitStatus[] = [];
  const { works, connect } = serve({
    service: (connection, life) => {
      const work = Object.assign(new ManualWork(connection, life), {
        awaitTunnels: () => undefined,
      });
      works.push(work);
      return work;
    },
    events: {
      ended: (_connection, _pid, status) => statuses.push(status),
      faulted: (error) => expect(error).toBeUndefined(),
    },
  });
  connect("192.0.2.1");
  const { life } = workAt(works, 0);
  workAt(works, 0).serve(100);
  life.ended({ kind: "exited", exitCode: 3 });
  life.ended({ kind: "exited", exitCode: 4 });
  expect(statuses).toEqual([]);
  life.tunnelsEnded();
  expect(statuses).toEqual([{ kind: "exited", exitCode: 3 }]);
});

describe("the limit for one address", () => {
  test("closes the connection at once and says how many there are", () => {
    const { kernel, works, log, connect } = serve({ maxPerKey: 2 });
    const [, , third = -1, other = -1] = connect(
      "192.0.2.1",
      "192.0.2.1",
      "192.0.2.1",
      "192.0.2.2",
    );
    expect(log).toEqual(["rejected 192.0.2.1 2"]);
    expect(works).toHaveLength(3);
    expect(kernel.open.has(third)).toBe(false);
    expect(kernel.open.has(other)).toBe(true);
  });

  test("admits again once one is over", () => {
    const { works, log, connect } = serve({ maxPerKey: 1 });
    connect("192.0.2.1");
    workAt(works, 0).end();
    connect("192.0.2.1");
    expect(works).toHaveLength(2);
    expect(log.filter((line) => line.startsWith("rejected"))).toEqual([]);
  });

  test("tells IPv4 from the same address mapped to IPv6", () => {
    const { works, connect } = serve({ maxPerKey: 1 });
    connect("192.0.2.1", "::ffff:192.0.2.1");
    expect(works).toHaveLength(2);
  });
});

describe("the limit for all", () => {
  test("leaves new connections in the queue, and takes them when there is room", () => {
    const { kernel, fd, works, log, connect } = serve({ maxConnections: 2 });
    connect("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4");
    expect(works).toHaveLength(2);
    expect(kernel.waiting(fd)).toBe(2);
    expect(log).toEqual(["full"]);
    workAt(works, 0).life.failed("serve");
    kernel.turn();
    expect(works).toHaveLength(3);
    expect(log).toEqual(["full", "dropped 192.0.2.1 serve", "room", "full"]);
  });

  test("holds over all listeners together", () => {
    const { kernel, works } = (() => {
      const second = new FakeKernel();
      const listeners = [second.listener(), second.listener("::1", 7001)];
      const made = serve({ posix: second.posix, listeners, maxConnections: 3 });
      for (const fd of listeners) for (const _ of [1, 2, 3]) second.connect(fd, "192.0.2.1");
      second.turn();
      return { kernel: second, works: made.works };
    })();
    expect(works).toHaveLength(3);
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
        return Object.assign(new ManualWork(connection, life), {
          prepare: () => life.failed("serve"),
        });
      },
    });
    for (let client = 0; client < 10; client += 1) kernel.connect(fd, "192.0.2.1");
    kernel.turn();
    expect(served).toBe(10);
    expect(log.filter((line) => line === "full")).toHaveLength(10);
  });
});

test("the local address is the connection's own when the server is told to ask", () => {
  const { kernel, works, connect } = serve({ asksLocalAddress: true });
  kernel.sockname = socketAddress("192.0.2.99", 7000);
  connect("192.0.2.1");
  expect(workAt(works, 0).connection.local.address.bytes).toEqual(new Uint8Array([192, 0, 2, 99]));
});

test("a connection that was reset before its address could be asked for is closed, and holds no slot", () => {
  const { kernel, works, connect, server } = serve({ asksLocalAddress: true });
  const [client = -1] = connect("192.0.2.1");
  expect(works).toEqual([]);
  expect(server.connections).toBe(0);
  expect(kernel.open.has(client)).toBe(false);
});

test("a failure to accept is told", () => {
  const { kernel, log, connect } = serve();
  kernel.acceptFailure = "EMFILE";
  connect("192.0.2.1");
  expect(log).toEqual(["accept failed EMFILE"]);
});

test("signals go to whoever serves a connection, and end connections that have no process yet", () => {
  const { kernel, works, log, connect, server } = serve();
  const [, waiting = -1] = connect("192.0.2.1", "192.0.2.2", "192.0.2.3");
  workAt(works, 0).serve(100);
  workAt(works, 2).serve(102);
  workAt(works, 2).end();
  log.length = 0;
  server.signal(18);
  server.signal(15);
  server.signal(18);
  expect(works.map(({ effects }) => effects.slice(1))).toEqual([
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
  test("accepts no connection, and waits for the last one", async () => {
    const { kernel, clock, fd, works, connect, server } = serve();
    connect("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    connect("192.0.2.3");
    expect(kernel.waiting(fd)).toBe(1);
    for (const work of works) work.end();
    expect(await drained).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test("gives up at its deadline", async () => {
    const { clock, works, connect, server } = serve();
    connect("192.0.2.1", "192.0.2.2");
    const drained = server.drain(5000);
    workAt(works, 0).end();
    clock.advance(4999);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(1);
    expect(await drained).toBe(false);
    expect(server.connections).toBe(1);
  });

  test("without a deadline waits for as long as it takes", async () => {
    const { clock, works, connect, server } = serve();
    connect("192.0.2.1");
    const drained = server.drain(undefined);
    clock.advance(1e9);
    workAt(works, 0).life.failed("serve");
    expect(await drained).toBe(true);
  });

  test("is over at once when no connection is alive", async () => {
    const { clock, server } = serve();
    expect(await server.drain(5000)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  test("a full server that drains does not resume when there is room", async () => {
    const { kernel, fd, log, works, connect, server } = serve({ maxConnections: 1 });
    connect("192.0.2.1", "192.0.2.2");
    const drained = server.drain(undefined);
    workAt(works, 0).end();
    kernel.turn();
    expect(await drained).toBe(true);
    expect(log).not.toContain("room"); // no new connection is accepted
    expect(kernel.waiting(fd)).toBe(1);
  });
});

test("clients for whom a proxy speaks are counted by their own addresses as well", () => {
  const { works, connect, server } = serve({ maxPerKey: 5 });
  connect("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1");
  const countAs = (at: number, address: string): number => workAt(works, at).life.countAs(address);
  expect([countAs(0, "203.0.113.7"), countAs(1, "203.0.113.7")]).toEqual([0, 1]);
  expect(countAs(2, "203.0.113.8")).toBe(0);
  expect(countAs(2, "203.0.113.7")).toBe(2); // a proxy behind a proxy
  expect(countAs(3, "203.0.113.8")).toBe(0);
  workAt(works, 0).end();
  expect(countAs(0, "203.0.113.7")).toBe(0); // over: not counted again
  expect(countAs(3, "203.0.113.7")).toBe(2);
  expect(server.connections).toBe(3);
  connect("192.0.2.1", "203.0.113.7");
  expect(works.slice(4).map(({ connection }) => connection.number)).toEqual([3, 0]);
});

describe("a fault in the handling of one connection", () => {
  test("of a service that throws drops it, and the rest of the batch is served", () => {
    const served: string[] = [];
    const { kernel, log, server, connect } = serve({
      service(connection, life) {
        if (connection.key === "192.0.2.2") throw new TypeError("a bug");
        served.push(connection.key);
        return new ManualWork(connection, life);
      },
    });
    const [first = -1, second = -1, third = -1] = connect("192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(served).toEqual(["192.0.2.1", "192.0.2.3"]);
    expect(log).toEqual(["dropped 192.0.2.2 TypeError: a bug"]);
    expect([first, second, third].map((fd) => kernel.open.has(fd))).toEqual([true, false, true]);
    expect(server.connections).toBe(2);
  });

  test("of a protocol that throws closes it, and the rest of the batch is served", () => {
    const { kernel, works, log, server, connect } = serve({
      protocol: {
        ...TCP,
        key(peer) {
          const key = TCP.key(peer);
          if (key === "192.0.2.2") throw new TypeError("a bug");
          return key;
        },
      },
    });
    const [, second = -1] = connect("192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(works).toHaveLength(2);
    expect(log).toEqual(["faulted TypeError: a bug"]);
    expect(kernel.open.has(second)).toBe(false);
    expect(server.connections).toBe(2);
  });

  test("of a function that is told of events is told, and changes nothing", () => {
    const faults: unknown[] = [];
    const bug = (): never => {
      throw new TypeError("a bug");
    };
    const { kernel, works, server, connect } = serve({
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
    connect("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3");
    expect(server.connections).toBe(3);
    for (const work of works) work.serve(100);
    workAt(works, 0).end();
    workAt(works, 1).life.failed("serve");
    kernel.acceptFailure = "EMFILE";
    connect("192.0.2.4");
    expect(server.connections).toBe(1);
    // Accepted three times, and one each of: rejected, full, ended, room, dropped, failed to accept.
    expect(faults).toEqual(Array.from({ length: 9 }, () => "TypeError: a bug"));
  });

  test("of the very function that is told of faults is thrown from a timer of the server", () => {
    const { works, connect, clock } = serve({
      events: {
        accepted: () => {
          throw new TypeError("a bug");
        },
        faulted: (error) => {
          throw error;
        },
      },
    });
    connect("192.0.2.1");
    for (const work of works) work.serve(100);
    expect(() => clock.advance(0)).toThrow("a bug");
  });
});

describe("a connection whose own address cannot be asked for", () => {
  test.each(["ENOTCONN", "ECONNRESET", "EINVAL"])(
    "because it was reset (%s) is closed without a word",
    (code) => {
      const { kernel, log, server, connect } = serve({ asksLocalAddress: true });
      kernel.sockname = code;
      const [client = -1] = connect("192.0.2.1");
      expect(log).toEqual([]);
      expect(server.connections).toBe(0);
      expect(kernel.open.has(client)).toBe(false);
    },
  );

  test.each(["ENOMEM", "ENOBUFS"])(
    "for want of memory (%s) is closed, and that is told",
    (code) => {
      const { kernel, log, server, connect } = serve({ asksLocalAddress: true });
      kernel.sockname = code;
      const fds = connect("192.0.2.1", "192.0.2.2");
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
