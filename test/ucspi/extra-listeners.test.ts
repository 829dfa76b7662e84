import { expect, test } from "vitest";
import { Environment } from "../../src/chain/index.ts";
import type { Fd, Posix, SocketAddress } from "../../src/posix/index.ts";
import { extraListenersEdit, takeExtraListeners } from "../../src/ucspi/extra-listeners.ts";

const STDIN = 0 as Fd;
const IP: SocketAddress = { family: "inet", bytes: new Uint8Array(4), port: 80, scope: 0 };
const UNIX: SocketAddress = { family: "unix", path: "/run/socket" };

/** The open descriptors: the name of the socket that listens, or something else. */
const DESCRIPTORS: ReadonlyMap<number, string> = new Map([
  [0, "listener a"],
  [1, "listener b"],
  [2, "listener c"],
  [100, "listener d"],
  [101, "listener e"],
  [102, "connection"],
  [103, "file"],
  [104, "unix listener"],
  [105, "listener d"],
  [106, "listener a"],
]);

function take(value: string, asksKernel = true) {
  const closedOnExec: number[] = [];
  const calls: Partial<Posix> = {
    isOpen: (fd: number): fd is Fd => DESCRIPTORS.has(fd),
    isSocket: (fd: Fd) => DESCRIPTORS.get(fd) !== "file",
    isListening: (fd: Fd) => DESCRIPTORS.get(fd)?.includes("listener") === true,
    isSameOpenFile: (a: Fd, b: Fd) =>
      asksKernel ? DESCRIPTORS.get(a) === DESCRIPTORS.get(b) : undefined,
    getsockname: (fd: Fd) => (DESCRIPTORS.get(fd)?.startsWith("unix") === true ? UNIX : IP),
    setCloseOnExec: (fd: Fd) => void closedOnExec.push(fd),
  };
  const posix = calls as Posix;
  const environment = Environment.of(["A=b", `UCSPI_LISTENERS=${value}`]);
  const isIp = ({ family }: SocketAddress): boolean => family !== "unix";
  return { ...takeExtraListeners(environment, STDIN, isIp, posix), closedOnExec };
}

test("sockets that are handed over are taken, and the variable with them", () => {
  const { name, value } = extraListenersEdit([100 as Fd, 101 as Fd]);
  expect(`${name}=${value}`).toBe("UCSPI_LISTENERS=100,101");
  const { fds, environment, warning } = take("100,101");
  expect(fds).toEqual([100, 101]);
  expect(environment.strings()).toEqual(["A=b"]);
  expect(warning).toBeUndefined();
});

test.each(["0", "1", "2", "99", "102", "103", "104", "-1", "1e2", "100x", "00", "9".repeat(9)])(
  "the list %j names no further listening socket, and a warning repeats it",
  (value) => {
    const { fds, warning } = take(value);
    expect(fds).toEqual([]);
    expect(warning).toBe(
      `UCSPI_LISTENERS names descriptors that are not further listening sockets, ignored: ${value}`,
    );
  },
);

test.each(["", ",", ",,"])(
  "the list %j names nothing, which is no reason for a warning",
  (value) => {
    expect(take(value)).toMatchObject({ fds: [], warning: undefined });
  },
);

test("the usable sockets of a list are used, and the others are reported", () => {
  const { fds, warning } = take("0,101,,103,100");
  expect(fds).toEqual([101, 100]);
  expect(warning).toMatch(/ignored: 0,103$/);
});

test("a socket is taken once, however many descriptors of it are named", () => {
  const { fds, warning, closedOnExec } = take("100,100,105,106,101");
  expect(fds).toEqual([100, 101]);
  expect(warning).toBeUndefined();
  // The programs of connections get none of them.
  expect(closedOnExec).toEqual([100, 105, 106]);
});

test("a number that is named twice is taken once where the kernel does not compare sockets", () => {
  expect(take("100,100,101", false).fds).toEqual([100, 101]);
});

test("a warning does not repeat more than a line of an invalid list", () => {
  const { warning = "" } = take("\x1b[2J\n".repeat(1000));
  expect(warning.length).toBeLessThan(160);
  expect(warning).toMatch(/^[ -~]*$/);
});

test("a server without the variable has no further listeners", () => {
  const environment = Environment.of(["A=b"]);
  const posix = {} as Posix;
  expect(takeExtraListeners(environment, STDIN, () => true, posix)).toEqual({
    fds: [],
    environment,
    warning: undefined,
  });
});
