import { expect, test } from "vitest";
import { ConnectError, connectLocal } from "../../../src/ucspi/index.ts";
import type { LocalConnectRequest } from "../../../src/ucspi/index.ts";
import type { Fd } from "../../../src/posix/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";

const REQUEST: LocalConnectRequest = {
  name: "/run/s",
  isAbstract: false,
  bindPath: undefined,
  timeoutMs: undefined,
};

interface Kernel {
  readonly posix: FakePosix;
  readonly clock: FakeClock;
  readonly listener: Fd;
}

/** A server whose backlog has room for one connection more than it says. */
function newKernel(backlog: number): Kernel {
  const posix = new FakePosix();
  posix.putDirectory("/run");
  const listener = posix.socket("unix", "stream");
  posix.bind(listener, { family: "unix", path: "/run/s" });
  posix.listen(listener, backlog);
  return { posix, clock: new FakeClock(), listener };
}

/** Let everything that promises have made ready run. */
async function settled(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

test("a local connection is made at once where there is room", async () => {
  const kernel = newKernel(1);
  const fd = await connectLocal(REQUEST, kernel);
  expect(kernel.posix.accept(kernel.listener, 2)).toHaveLength(1);
  expect(kernel.posix.getpeername(fd)).toEqual({ family: "unix", path: "/run/s" });
});

test("a local connection waits for a server that has no room, without end unless it is told one", async () => {
  const kernel = newKernel(0);
  await connectLocal(REQUEST, kernel);
  let fd: Fd | undefined;
  const connecting = connectLocal(REQUEST, kernel).then((connected) => (fd = connected));
  for (let step = 0; step < 200; step += 1) {
    await settled();
    kernel.clock.advance(20);
  }
  expect(fd).toBeUndefined();
  kernel.posix.accept(kernel.listener, 1);
  await settled();
  kernel.clock.advance(20);
  await connecting;
  expect(fd).toBeDefined();
});

test("a local connection is given up when its time is over, and nothing of it is left", async () => {
  const kernel = newKernel(0);
  await connectLocal(REQUEST, kernel);
  const before = kernel.posix.openFds;
  const request = { ...REQUEST, timeoutMs: 100, bindPath: "/run/c" };
  const connecting = connectLocal(request, kernel);
  const refused = expect(connecting).rejects.toThrow(ConnectError);
  for (let step = 0; step < 20; step += 1) {
    await settled();
    kernel.clock.advance(20);
  }
  await refused;
  expect(kernel.posix.openFds).toEqual(before);
  expect(kernel.posix.linkVersion("/run/c")).toBe("ENOENT");
});

test("a local connection that fails says why, and leaves no path behind, but for one that was there before", async () => {
  const kernel = newKernel(0);
  kernel.posix.putFile("/run/taken", "");
  const before = kernel.posix.openFds;
  const attempt = (request: Partial<LocalConnectRequest>): Promise<unknown> =>
    connectLocal({ ...REQUEST, ...request }, kernel).catch((error: unknown) => String(error));
  expect(await attempt({ name: "/run/missing", bindPath: "/run/c" })).toBe(
    "ConnectError: unable to connect to /run/missing: ENOENT",
  );
  expect(await attempt({ bindPath: "/run/taken" })).toBe(
    "ConnectError: unable to bind to /run/taken: EADDRINUSE",
  );
  expect(await attempt({ name: "name", isAbstract: true })).toBe(
    "ConnectError: unable to connect to @name: ECONNREFUSED",
  );
  expect(await attempt({ name: "x".repeat(108) })).toMatch(/ENAMETOOLONG \(at most 107 bytes\)$/);
  expect(await attempt({ bindPath: "x".repeat(108) })).toMatch(
    /unable to bind to x+: ENAMETOOLONG/,
  );
  expect(kernel.posix.openFds).toEqual(before);
  expect(kernel.posix.linkVersion("/run/c")).toBe("ENOENT");
  expect(kernel.posix.linkVersion("/run/taken")).not.toBe("ENOENT");
});
