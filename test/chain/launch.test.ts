import { closeSync, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { descriptorAt, Environment } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";

import type { Launch, Source } from "../../src/chain/index.ts";
import type { Fd } from "../../src/posix/index.ts";

function launchWith(descriptors: readonly (readonly [number, Source])[]): Launch {
  return {
    argv: ["true"],
    environment: Environment.of([]),
    descriptors: new Map(descriptors),
    limits: new Map(),
  };
}

describe("the descriptor under a number of a launch", () => {
  const posix = loadPosix();

  test("the descriptor under a number of a launch is the one that the launch names", () => {
    expect(descriptorAt(launchWith([[1, 17 as Fd]]), 1)).toBe(17);
  });

  test("the descriptor under a number of a launch is inherited under its own number where the launch names none", () => {
    for (const number of [0, 1, 2]) expect(descriptorAt(launchWith([]), number)).toBe(number);
  });

  test("the descriptor under a number of a launch is never one that the launch closes, open as it may be here", () => {
    const fd = descriptorAt(launchWith([[1, "closed"]]), 1);
    expect(posix.isOpen(fd)).toBe(false);
    expect(() => posix.write(fd, Buffer.from("x"))).toThrow(
      expect.objectContaining({ code: "EBADF" }),
    );
  });

  test("the descriptor under a number of a launch is never one of Node's own, which no program inherits", () => {
    const own = openSync("/dev/null", "r");
    try {
      expect(posix.isOpen(descriptorAt(launchWith([]), own))).toBe(false);
      posix.setCloseOnExec(own as Fd, false);
      expect(descriptorAt(launchWith([]), own)).toBe(own);
    } finally {
      closeSync(own);
    }
  });
});
