import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { Listener } from "../../../src/ucspi/serving/listener.ts";
import { FakeKernel } from "../fake-kernel.ts";

function listen({ room = Infinity } = {}) {
  const kernel = new FakeKernel();
  const clock = new FakeClock();
  const fd = kernel.listener();
  const state = { room, accepted: [] as number[], failures: [] as string[] };
  const listener = new Listener(fd, kernel.posix, clock, {
    room: () => state.room,
    accepted(connection) {
      state.room -= 1;
      state.accepted.push(connection.fd);
    },
    failed: ({ code }) => state.failures.push(code),
  });
  listener.start();
  return { kernel, clock, fd, state, listener };
}

test("all connections in the queue are accepted, in order", () => {
  const { kernel, fd, state } = listen();
  const clients = [1, 2, 3].map(() => kernel.connect(fd, "192.0.2.1"));
  kernel.turn();
  expect(state.accepted).toEqual(clients);
});

test("no more are accepted than there is room for", () => {
  const { kernel, fd, state, listener } = listen({ room: 2 });
  for (let client = 0; client < 5; client += 1) kernel.connect(fd, "192.0.2.1");
  kernel.turnOnce();
  listener.pause(); // as the server does that has no room left
  expect(state.accepted).toHaveLength(2);
  expect(kernel.waiting(fd)).toBe(3);
  state.room = 3;
  listener.resume();
  kernel.turn();
  expect(state.accepted).toHaveLength(5);
});

test("a paused listener leaves new connections in the queue", () => {
  const { kernel, fd, state, listener } = listen();
  listener.pause();
  kernel.connect(fd, "192.0.2.1");
  kernel.turn();
  expect(state.accepted).toEqual([]);
  expect(kernel.acceptCalls).toBe(0);
  listener.resume();
  kernel.turn();
  expect(state.accepted).toHaveLength(1);
});

test("one turn of the event loop accepts a bounded number", () => {
  const { kernel, fd, state } = listen();
  for (let client = 0; client < 100; client += 1) kernel.connect(fd, "192.0.2.1");
  kernel.turnOnce();
  expect(state.accepted.length).toBe(8);
  kernel.turn();
  expect(state.accepted.length).toBe(100);
});

describe("a shortage of descriptors", () => {
  test("a shortage of descriptors is reported once, and the socket is left alone until a retry is due", () => {
    const { kernel, clock, fd, state } = listen();
    kernel.connect(fd, "192.0.2.1");
    kernel.acceptFailure = "EMFILE";
    kernel.turn();
    expect(kernel.acceptCalls).toBe(1); // and the loop has connect to rest
    for (let second = 0; second < 100; second += 1) {
      clock.advance(100);
      kernel.turn();
    }
    expect(kernel.acceptCalls).toBe(101);
    expect(state.failures).toEqual(["EMFILE"]);
  });

  test("accepting resumes when there are descriptors again, and the next shortage is reported again", () => {
    const { kernel, clock, fd, state } = listen();
    const client = kernel.connect(fd, "192.0.2.1");
    kernel.acceptFailure = "ENFILE";
    kernel.turn();
    kernel.acceptFailure = undefined;
    clock.advance(100);
    kernel.turn();
    expect(state.accepted).toEqual([client]);
    kernel.connect(fd, "192.0.2.1");
    kernel.acceptFailure = "ENOMEM";
    kernel.turn();
    expect(state.failures).toEqual(["ENFILE", "ENOMEM"]);
  });

  test("room that appears before the retry does not shorten the wait", () => {
    const { kernel, clock, fd, listener } = listen();
    kernel.connect(fd, "192.0.2.1");
    kernel.acceptFailure = "EMFILE";
    kernel.turn();
    listener.resume();
    kernel.turn();
    expect(kernel.acceptCalls).toBe(1);
    clock.advance(100);
    kernel.turn();
    expect(kernel.acceptCalls).toBe(2);
  });

  test("a listener of a full server does not accept when its retry is due", () => {
    const { kernel, clock, fd, state, listener } = listen();
    kernel.connect(fd, "192.0.2.1");
    kernel.acceptFailure = "EMFILE";
    kernel.turn();
    kernel.acceptFailure = undefined;
    state.room = 0;
    clock.advance(100);
    kernel.turn();
    expect(state.accepted).toEqual([]);
    state.room = 1;
    listener.resume();
    kernel.turn();
    expect(state.accepted).toHaveLength(1);
  });
});

test("a stopped listener has no timer and no watch left, and closes nothing", () => {
  const { kernel, clock, fd, state, listener } = listen();
  kernel.connect(fd, "192.0.2.1");
  kernel.acceptFailure = "EMFILE";
  kernel.turn();
  listener.stop();
  kernel.acceptFailure = undefined;
  expect(clock.pendingTimers).toBe(0);
  kernel.turn();
  listener.resume();
  kernel.turn();
  expect(state.accepted).toEqual([]);
  expect(kernel.open.has(fd)).toBe(true);
});

test("a fault in the handling of a connection is rethrown, and the others are passed on", () => {
  const { kernel, fd, state } = listen();
  const clients = [1, 2, 3, 4].map(() => kernel.connect(fd, "192.0.2.1"));
  const push = state.accepted.push.bind(state.accepted);
  Object.defineProperty(state.accepted, "push", {
    value: (client: number) => {
      push(client);
      if (client !== clients[2]) throw new TypeError("a bug");
    },
  });
  expect(() => kernel.turn()).toThrow("a bug");
  expect(state.accepted).toEqual(clients);
});
