import fc from "fast-check";
import { expect, test } from "vitest";
import { LineQueue } from "../../src/host/line-queue.ts";
import type { MessageKind } from "../../src/host/line-queue.ts";

const BYTES_MAX = 400;
const NOTICE_BYTES_MAX = "missing 999999\n".length;

type Step =
  | { readonly do: "add"; readonly kind: MessageKind; readonly length: number }
  | { readonly do: "write"; readonly count: number }
  | { readonly do: "lose" };

const kind = fc.constantFrom<MessageKind>("info", "info", "warning", "fatal", "usage");
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("add" as const), kind, length: fc.nat(90) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("write" as const), count: fc.nat(120) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
);

/** A queue, what was written of it, and an account of every line. */
class Model {
  readonly queue = new LineQueue((missing) => `missing ${missing}`, BYTES_MAX);
  readonly added: { readonly kind: MessageKind; readonly bytes: number }[] = [];
  output = "";

  take(step: Step): void {
    const { queue } = this;
    if (step.do === "add") {
      const text = `${this.added.length}:`.padEnd(step.length + 4, "x") + ";";
      this.added.push({ kind: step.kind, bytes: text.length + 1 });
      queue.add(step.kind, text);
    } else if (step.do === "lose") {
      if (queue.head !== undefined) queue.lose();
    } else {
      const head = queue.head ?? new Uint8Array(0);
      // A line of which only the newline is left would look as if it were whole.
      const piece = head.subarray(0, step.count === head.length - 1 ? head.length : step.count);
      this.output += Buffer.from(piece).toString();
      queue.advance(piece.length);
    }
  }

  drain(): void {
    while (this.queue.head !== undefined) this.take({ do: "write", count: BYTES_MAX * 2 });
  }

  /** The numbers of the lines that were written whole, in order. */
  get written(): number[] {
    return [...this.output.matchAll(/^(\d+):x*;\n/gm)].map(([, number]) => Number(number));
  }

  /** The number of lines that the notices count as missing. */
  get told(): number {
    const notices = [...this.output.matchAll(/^missing (\d+)\n/gm)];
    return notices.reduce((sum, [, count]) => sum + Number(count), 0);
  }
}

function run(steps: readonly Step[]): Model {
  const model = new Model();
  for (const one of steps) model.take(one);
  return model;
}

test("a queue of lines never outgrows its bound, but for one notice", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const model = new Model();
      for (const one of steps) {
        model.take(one);
        expect(model.queue.bytes).toBeLessThanOrEqual(BYTES_MAX + NOTICE_BYTES_MAX + 1);
        expect(model.queue.isEmpty).toBe(model.queue.head === undefined);
      }
    }),
  );
});

test("every line is written once and in order, or counted as missing", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const model = run(steps);
      model.drain();
      const { written, told, queue, added } = model;
      expect(written).toEqual([...new Set(written)].toSorted((a, b) => a - b));
      expect(written.length + told + queue.missing).toBe(added.length);
      expect(queue.bytes).toBe(0);
    }),
  );
});

test("a line of a higher kind is never dropped as long as it alone would fit", () => {
  const withoutLosses = fc.array(
    step.filter(({ do: what }) => what !== "lose"),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(withoutLosses, (steps) => {
      const model = run(steps);
      model.drain();
      const written = new Set(model.written);
      const ranks = { info: 0, warning: 1, usage: 2, fatal: 2 };
      for (const rank of [1, 2]) {
        const important = model.added.flatMap(({ kind: is, bytes }, number) =>
          ranks[is] >= rank ? [{ number, bytes }] : [],
        );
        const total = important.reduce((sum, { bytes }) => sum + bytes, 0);
        // A line of information that is being written, and notices, take room as well.
        if (total > BYTES_MAX - 95 - 4 * NOTICE_BYTES_MAX) continue;
        expect(important.filter(({ number }) => !written.has(number))).toEqual([]);
      }
    }),
  );
});
