import { expect, test } from "vitest";

import { readSecret, SECRET_BYTES_MAX, SECRET_BYTES_MIN } from "../../src/ident/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";

function read(content: string): string {
  const posix = new FakePosix();
  posix.putFile("/secret", content);
  const before = posix.openFds;
  try {
    return Buffer.from(readSecret(posix, "/secret")).toString();
  } finally {
    expect(posix.openFds).toEqual(before);
  }
}

test.each([SECRET_BYTES_MIN, SECRET_BYTES_MAX])("a secret may have %i bytes", (size) => {
  const secret = "s".repeat(size);
  expect(read(secret)).toBe(secret);
  expect(read(`${secret}\n`)).toBe(secret);
});

test.each([0, SECRET_BYTES_MIN - 1, SECRET_BYTES_MAX + 1, 100_000])(
  "a secret may not have %i bytes",
  (size) => {
    expect(() => read("s".repeat(size))).toThrow(RangeError);
    expect(() => read(`${"s".repeat(size)}\n`)).toThrow(RangeError);
  },
);

test("a secret that does not exist is an error of the system", () => {
  expect(() => readSecret(new FakePosix(), "/secret")).toThrow(
    expect.objectContaining({ code: "ENOENT" }),
  );
});
