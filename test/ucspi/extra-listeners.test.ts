import { expect, test } from "vitest";
import { Environment } from "../../src/chain/index.ts";
import type { Fd, Posix } from "../../src/posix/index.ts";
import { extraListenersEdit, takeExtraListeners } from "../../src/ucspi/extra-listeners.ts";

/** A process in which 100 and 101 listen, 102 is a connection and 103 a file. */
const posix = {
  isOpen: (fd: number): fd is Fd => fd >= 100 && fd <= 103,
  isSocket: (fd: Fd) => fd <= 102,
  isListening: (fd: Fd) => fd <= 101,
} as Posix;

function take(value: string) {
  return takeExtraListeners(Environment.of(["A=b", `UCSPI_LISTENERS=${value}`]), posix);
}

test("sockets that are handed over are taken, and the variable with them", () => {
  const { name, value } = extraListenersEdit([100 as Fd, 101 as Fd]);
  expect(`${name}=${value}`).toBe("UCSPI_LISTENERS=100,101");
  const { fds, environment } = take("100,101");
  expect(fds).toEqual([100, 101]);
  expect(environment.strings()).toEqual(["A=b"]);
});

test.each(["", "99", "102", "103", "-1", "1e2", "100x", ",,", "9".repeat(400)])(
  "%j names no listening socket",
  (value) => {
    expect(take(value).fds).toEqual([]);
  },
);

test("without the variable nothing changes", () => {
  const environment = Environment.of(["A=b"]);
  expect(takeExtraListeners(environment, posix)).toEqual({ fds: [], environment });
});
