import { describe, expect, test } from "vitest";
import { LineQueue } from "../../src/host/line-queue.ts";
import type { MessageKind } from "../../src/host/line-queue.ts";

/** A queue of four lines of ten bytes. */
function smallQueue(): LineQueue {
  return new LineQueue((missing) => `missing ${missing}`, 40);
}

function add(queue: LineQueue, kind: MessageKind, ...names: readonly string[]): void {
  for (const name of names) queue.add(kind, name.padEnd(9, "."));
}

/** Write all that waits; the lines without their padding. */
function drain(queue: LineQueue): string[] {
  const written: Uint8Array[] = [];
  for (let head; (head = queue.head) !== undefined; queue.advance(head.length)) written.push(head);
  return Buffer.concat(written)
    .toString()
    .split("\n")
    .map((line) => line.replace(/\.+$/, ""))
    .filter((line) => line !== "");
}

describe("a queue of lines", () => {
  test("a queue of lines returns lines in the order they were added, whatever their kinds", () => {
    const queue = smallQueue();
    add(queue, "warning", "a");
    add(queue, "info", "b");
    add(queue, "fatal", "c");
    add(queue, "info", "d");
    expect(drain(queue)).toEqual(["a", "b", "c", "d"]);
    expect([queue.isEmpty, queue.missing]).toEqual([true, 0]);
  });

  test("a queue of lines drops the latest information when it is full, and reports how much once it has drained", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b", "c", "d", "e", "f");
    expect(queue.missing).toBe(2);
    expect(drain(queue)).toEqual(["a", "b", "c", "d", "missing 2"]);
    add(queue, "info", "g");
    expect(drain(queue)).toEqual(["g"]);
  });

  test("a queue of lines does not take information again before it has reported the missing lines", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b", "c", "d", "e");
    queue.advance(queue.head?.length ?? 0);
    add(queue, "info", "f");
    expect(queue.missing).toBe(2);
    queue.advance(queue.head?.length ?? 0);
    add(queue, "info", "g");
    expect(drain(queue)).toEqual(["c", "d", "missing 2", "g"]);
  });

  test("a queue of lines drops information to make room for warnings, and both for fatal messages", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b", "c");
    add(queue, "warning", "w", "x");
    expect(queue.missing).toBe(1);
    add(queue, "fatal", "f", "g", "h");
    expect(queue.missing).toBe(4);
    expect(drain(queue)).toEqual(["w", "f", "g", "h", "missing 4"]);
  });

  test("a queue of lines drops warnings only when it is full of warnings", () => {
    const queue = smallQueue();
    add(queue, "warning", "a", "b", "c", "d", "e");
    expect(queue.missing).toBe(1);
    expect(drain(queue)).toEqual(["a", "b", "c", "d", "missing 1"]);
  });

  test("a queue of lines drops nothing in favour of a line that would not fit all the same", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b");
    queue.add("warning", "x".repeat(40));
    expect(drain(queue)).toEqual(["a", "b", "missing 1"]);
  });

  test("a queue of lines never drops the line that is being written", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b", "c", "d");
    expect(queue.head?.length).toBe(10);
    queue.advance(3);
    add(queue, "fatal", "f", "g", "h", "i");
    expect(Buffer.from(queue.head ?? []).toString()).toBe("......\n");
    expect(drain(queue)).toEqual(["f", "g", "h", "missing 4"]);
  });

  test("a queue of lines shows whether a fatal message waits, the one being written too", () => {
    const queue = smallQueue();
    add(queue, "warning", "w");
    expect(queue.hasFatal).toBe(false);
    add(queue, "usage", "u");
    expect(queue.hasFatal).toBe(true);
    queue.advance(queue.head?.length ?? 0);
    expect(queue.head).toBeDefined();
    expect(queue.hasFatal).toBe(true);
    drain(queue);
    expect(queue.hasFatal).toBe(false);
  });

  test("a queue of lines counts lines that could not be written, and the lines that a lost notice stood for", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b");
    expect(queue.head).toBeDefined();
    queue.lose();
    expect(queue.missing).toBe(1);
    expect(drain(queue)).toEqual(["b", "missing 1"]);
    add(queue, "info", "c");
    expect(queue.head).toBeDefined();
    queue.lose();
    add(queue, "info", "d");
    expect(Buffer.from(queue.head ?? []).toString()).toBe("missing 1\n");
    queue.lose();
    expect(drain(queue)).toEqual(["d", "missing 1"]);
  });

  test("a queue of lines begins on a line of its own after a line that was cut", () => {
    const queue = smallQueue();
    add(queue, "info", "a", "b");
    expect(queue.head).toBeDefined();
    queue.advance(4);
    queue.lose();
    expect(Buffer.from(queue.head ?? []).toString()).toBe("\nb........\n");
    expect(drain(queue)).toEqual(["b", "missing 1"]);
    expect(queue.bytes).toBe(0);
  });
});
