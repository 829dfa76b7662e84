/** The bytes that a program gets, and the number of pieces, with a kernel in memory. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { FakePosix } from "../../support/posix/fake-posix.ts";
import type { Fd } from "../../../src/posix/index.ts";
import { Program } from "../../../src/tls/tunnel/program.ts";
import type { ProgramEvents } from "../../../src/tls/tunnel/program.ts";
import type { Ends } from "../../../src/tls/tunnel/wire.ts";

const PIPE_BYTES = 65_536;

interface Scene {
  readonly posix: FakePosix;
  readonly program: Program;
  /** The descriptor that the program reads from. */
  readonly input: Fd;
  /** The one that it writes to. */
  readonly output: Fd;
  /** The sizes of what was written, call by call. */
  readonly written: readonly number[];
  readonly told: readonly string[];
  /** The program's own, as it was given them. */
  readonly ends: Ends;
}

class CountingPosix extends FakePosix {
  readonly written: number[] = [];

  override writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined {
    const count = super.writev(fd, buffers);
    if (count !== undefined) this.written.push(count);
    return count;
  }
}

function open(arrived: ProgramEvents["arrived"] = () => undefined): Scene {
  const posix = new CountingPosix();
  const [input, write] = posix.pipe();
  const [read, output] = posix.pipe();
  for (const fd of [input, write, read, output]) posix.setNonblocking(fd, true);
  const told: string[] = [];
  const program = new Program(
    posix,
    { read, write },
    {
      moved: () => undefined,
      arrived,
      closed: () => told.push("closed"),
      stoppedReading: () => told.push("stoppedReading"),
      isFull: () => told.push("isFull"),
      hasRoom: () => told.push("hasRoom"),
      delivered: () => told.push("delivered"),
    },
  );
  program.start();
  return { posix, program, input, output, written: posix.written, told, ends: { read, write } };
}

/** All that there is to read; "end" comes last when nothing more will. */
function readAll({ posix, input }: Scene): string[] {
  const pieces: string[] = [];
  const into = Buffer.alloc(PIPE_BYTES);
  for (;;) {
    const count = posix.read(input, into);
    if (count === undefined) return pieces;
    if (count === 0) return [...pieces, "end"];
    pieces.push(into.toString("latin1", 0, count));
  }
}

function deliver({ program }: Scene, ...words: readonly string[]): void {
  for (const word of words) program.deliver(Buffer.from(word));
}

const endOfTurn = (): Promise<void> => Promise.resolve();

test("the bytes of one turn are written at its end, at once and in order", async () => {
  const scene = open();
  deliver(scene, "one ", "two ", "three");
  expect(scene.written).toEqual([]);
  await endOfTurn();
  expect(scene.written).toEqual([13]);
  expect(readAll(scene)).toEqual(["one two three"]);
  deliver(scene, "more");
  await endOfTurn();
  expect(scene.written).toEqual([13, 4]);
});

test("bytes are no longer gathered when they fill a pipe, nor when there are very many pieces", async () => {
  const scene = open();
  deliver(scene, "x".repeat(PIPE_BYTES));
  expect(scene.written).toEqual([PIPE_BYTES]);
  readAll(scene);
  deliver(scene, ...Array.from({ length: 65 }, () => "y"));
  expect(scene.written).toEqual([PIPE_BYTES, 64]);
  await endOfTurn();
  expect(scene.written).toEqual([PIPE_BYTES, 64, 1]);
});

test("a program that does not read is given no more until it does", async () => {
  const scene = open();
  deliver(scene, "x".repeat(PIPE_BYTES - 1), "yz");
  expect(scene.told).toEqual(["isFull"]);
  deliver(scene, "!"); // what was on its way already
  await endOfTurn();
  expect(scene.written).toEqual([PIPE_BYTES]);
  expect(readAll(scene).join("")).toBe(`${"x".repeat(PIPE_BYTES - 1)}y`);
  scene.posix.turn();
  expect(readAll(scene)).toEqual(["z!"]);
  expect(scene.told).toEqual(["isFull", "hasRoom"]);
});

test("the end of file is written after the queued bytes, at the end of the turn or when there is room", async () => {
  const scene = open();
  deliver(scene, "the last line");
  scene.program.endDelivery();
  expect(readAll(scene)).toEqual([]);
  await endOfTurn();
  expect(readAll(scene)).toEqual(["the last line", "end"]);

  const slow = open();
  deliver(slow, "x".repeat(PIPE_BYTES), "the last line");
  slow.program.endDelivery();
  await endOfTurn();
  expect(readAll(slow)).toEqual(["x".repeat(PIPE_BYTES)]);
  slow.posix.turn();
  expect(readAll(slow)).toEqual(["the last line", "end"]);
  expect([scene.told, slow.told]).toEqual([["delivered"], ["isFull", "delivered"]]);
});

test("bytes that arrived before the program's input is closed still reach the program", async () => {
  const scene = open();
  deliver(scene, "the last line");
  scene.program.closeInput();
  await endOfTurn();
  expect(readAll(scene)).toEqual(["the last line", "end"]);
  expect(scene.told).toEqual([]);
});

test("the end of a program's output is told when all that was taken from it has gone, and once", () => {
  let go = (): void => undefined;
  const scene = open((_, taken) => (go = taken));
  scene.posix.write(scene.output, Buffer.from("the last line"));
  scene.posix.turn();
  scene.program.endOutput();
  scene.program.endOutput();
  expect(scene.told).toEqual([]);
  expect(scene.posix.isOpen(scene.ends.read)).toBe(false);
  go();
  expect(scene.told).toEqual(["closed"]);

  const idle = open();
  idle.program.endOutput();
  expect(idle.told).toEqual(["closed"]);
});

test("a program that has closed its input is reported once", async () => {
  const scene = open();
  scene.posix.close(scene.input);
  deliver(scene, "x");
  await endOfTurn();
  deliver(scene, "y");
  await endOfTurn();
  expect(scene.told).toEqual(["stoppedReading"]);
});

test("each descriptor is closed exactly once, however often it is asked for", () => {
  const calls = fc.array(
    fc.constantFrom("closeInput", "closeOutput", "endDelivery", "deliver" as const),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(calls, (sequence) => {
      const { posix, program, ends } = open();
      const closed: Fd[] = [];
      const close = posix.close.bind(posix);
      posix.close = (fd) => {
        closed.push(fd);
        close(fd);
      };
      for (const call of [...sequence, "closeInput", "closeOutput"] as const) {
        if (call === "deliver") program.deliver(Buffer.from("x"));
        else program[call]();
      }
      expect(closed).toHaveLength(2);
      expect(new Set(closed)).toEqual(new Set([ends.read, ends.write]));
    }),
  );
});
