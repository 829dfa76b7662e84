import { describe, expect, test } from "vitest";
import { LockTable } from "../../../src/posix/index.ts";
import type { Fd, SocketType } from "../../../src/posix/index.ts";
import { BindError, bindLocal } from "../../../src/ucspi/index.ts";
import type { BindRequest } from "../../../src/ucspi/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";

const REQUEST: BindRequest = {
  name: "/run/s",
  isAbstract: false,
  type: "stream",
  backlog: 5,
  mode: 0o700,
  replacesStale: true,
};

interface Kernel {
  readonly posix: FakePosix;
  readonly locks: LockTable;
}

function newKernel(): Kernel {
  const posix = new FakePosix();
  posix.putDirectory("/run");
  return { posix, locks: new LockTable(posix) };
}

/** A socket of somebody else at the path; closed, it is stale. */
function holdPath({ posix }: Kernel, type: SocketType = "stream"): Fd {
  const fd = posix.socket("unix", type);
  posix.bind(fd, { family: "unix", path: "/run/s" });
  return fd;
}

/** A server that takes no lock binds as soon as the path is free. */
class Racing extends FakePosix {
  override unlink(path: string): void {
    super.unlink(path);
    this.bind(this.socket("unix", "stream"), { family: "unix", path });
  }
}

function reasonOf(kernel: Kernel, request: Partial<BindRequest> = {}): string {
  try {
    bindLocal({ ...REQUEST, ...request }, kernel);
  } catch (error) {
    if (error instanceof BindError) return error.message;
    throw error;
  }
  return "bound";
}

describe("binding a local socket", () => {
  test("binding a local socket gives it its mode, and the umask stays", () => {
    const kernel = newKernel();
    const { fd, claim } = bindLocal(REQUEST, kernel);
    expect(kernel.posix.isListening(fd)).toBe(true);
    expect(kernel.posix.linkVersion("/run/s")).toMatchObject({ mode: 0o140700 });
    expect(kernel.posix.linkVersion("/run/s.lock")).toMatchObject({ mode: 0o100600 });
    expect(kernel.posix.umask(0)).toBe(0o022);
    expect(kernel.locks.size).toBe(1);
    claim?.release();
    claim?.release();
    expect(kernel.locks.size).toBe(0);
  });

  test("binding a local socket replaces one that no process has open", () => {
    for (const type of ["stream", "datagram", "seqpacket"] as const) {
      const kernel = newKernel();
      kernel.posix.close(holdPath(kernel, type));
      expect(reasonOf(kernel)).toBe("bound");
    }
  });

  test("binding a local socket leaves one alone that a process has open, and does not disturb it", () => {
    for (const type of ["stream", "datagram", "seqpacket"] as const) {
      const kernel = newKernel();
      const holder = holdPath(kernel, type);
      if (type !== "datagram") kernel.posix.listen(holder, 1);
      const before = kernel.posix.openFds;
      expect(reasonOf(kernel)).toBe(
        "unable to bind to /run/s: EADDRINUSE (a process has this socket open)",
      );
      if (type !== "datagram") expect(kernel.posix.accept(holder, 1)).toEqual([]);
      expect([kernel.posix.openFds, kernel.locks.size]).toEqual([before, 0]);
    }
  });

  test("binding a local socket twice is refused by the lock first, in one process and in two", () => {
    const kernel = newKernel();
    const { claim } = bindLocal(REQUEST, kernel);
    expect(reasonOf(kernel)).toMatch(/^unable to bind to \/run\/s: EBUSY \(process \d+ has locked/);
    claim?.release();
    expect(reasonOf(kernel)).toMatch(/EADDRINUSE/);
    const other = newKernel();
    const lock = other.posix.putFile("/run/s.lock", "", 0o600);
    lock.foreignLock = { owner: 4711 as never, kind: "exclusive" };
    expect(reasonOf(other)).toBe(
      "unable to bind to /run/s: EBUSY (process 4711 has locked /run/s.lock)",
    );
    expect(other.posix.linkVersion("/run/s")).toBe("ENOENT");
  });

  test("binding a local socket removes nothing that is no socket", () => {
    const kernel = newKernel();
    kernel.posix.putFile("/run/s", "content");
    expect(reasonOf(kernel)).toBe("unable to bind to /run/s: EEXIST (it is not a socket)");
    expect(kernel.posix.fileText("/run/s")).toBe("content");
  });

  test("binding a local socket that loses a race fails, and takes nothing", () => {
    const posix = new Racing();
    posix.putDirectory("/run");
    const kernel = { posix, locks: new LockTable(posix) };
    posix.close(holdPath(kernel));
    expect(reasonOf(kernel)).toBe("unable to bind to /run/s: EADDRINUSE");
    expect(kernel.locks.size).toBe(0);
  });

  test("binding a local socket without replacing takes no lock", () => {
    const kernel = newKernel();
    const { claim } = bindLocal({ ...REQUEST, replacesStale: false }, kernel);
    expect([claim, kernel.locks.size]).toEqual([undefined, 0]);
    expect(reasonOf(kernel, { replacesStale: false })).toBe("unable to bind to /run/s: EADDRINUSE");
  });

  test("binding a name of the abstract space touches no file", () => {
    const kernel = newKernel();
    const { fd, claim } = bindLocal({ ...REQUEST, name: "name", isAbstract: true }, kernel);
    expect(kernel.posix.getsockname(fd)).toEqual({ family: "unix", path: "\0name" });
    expect([claim, [...kernel.posix.files.keys()]]).toEqual([undefined, ["/run"]]);
  });
});

test.each([
  ["open", "unable to bind to /run/s: unable to open /run/s.lock: EIO"],
  ["recordLock", "unable to bind to /run/s: unable to lock /run/s.lock: EIO"],
  ["linkVersion", "unable to bind to /run/s: EIO"],
  ["connect", "unable to bind to /run/s: unable to find out whether it is in use: EIO"],
  ["socket", "unable to bind to /run/s: unable to create socket: EIO"],
  ["unlink", "unable to bind to /run/s: unable to remove /run/s: EIO"],
  ["bind", "unable to bind to /run/s: EIO"],
  ["listen", "unable to listen to /run/s: EIO"],
] as const)("a %s that fails leaves no descriptor, no lock and no umask behind", (call, reason) => {
  const kernel = newKernel();
  kernel.posix.close(holdPath(kernel));
  const before = kernel.posix.openFds;
  kernel.posix.failNext(call, "EIO");
  expect(reasonOf(kernel)).toBe(reason);
  expect([kernel.posix.openFds, kernel.locks.size]).toEqual([before, 0]);
  expect(kernel.posix.umask(0)).toBe(0o022);
  if (call === "listen") expect(kernel.posix.linkVersion("/run/s")).toBe("ENOENT");
});
