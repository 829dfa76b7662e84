/** Whatever comes in whatever pieces, read at whatever pace, comes out as it went in. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Relay } from "../../src/chain/links/relay/relay.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import type { Fd } from "../../src/posix/index.ts";

/** The next event: a piece arrives, the far end reads some, or the loop turns. */
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("send" as const), bytes: fc.uint8Array({ maxLength: 90_000 }) }),
    fc.record({ kind: fc.constant("receive" as const), most: fc.integer({ min: 1, max: 90_000 }) }),
    fc.constant({ kind: "turn" as const }),
  ),
  { maxLength: 30 },
);

test("a relay keeps every byte in order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (plan) => {
      const posix = new FakePosix();
      const [from, input] = posix.pipe();
      const [output, to] = posix.pipe();
      for (const fd of [input, output]) posix.setNonblocking(fd, true);
      const clock = new FakeClock();
      const running = new Relay({
        posix,
        clock,
        flows: [{ from, to }],
        timeoutMs: undefined,
        failed: ({ error }) => {
          throw error;
        },
      }).run();
      const sent: Uint8Array[] = [];
      const received: Uint8Array[] = [];
      for (const step of plan) {
        if (step.kind === "turn") posix.turn();
        else if (step.kind === "send") sent.push(send(posix, input, step.bytes));
        else received.push(receive(posix, output, step.most) ?? new Uint8Array(0));
      }
      posix.close(input);
      for (let piece = receive(posix, output, 9999); piece?.length !== 0;) {
        received.push(piece ?? new Uint8Array(0));
        posix.turn();
        piece = receive(posix, output, 9999);
      }
      expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true);
      expect(await running).toBe("done");
    }),
    { numRuns: 60 },
  );
});

/** The part of these bytes that was written: a full pipe takes a part or nothing. */
function send(posix: FakePosix, fd: Fd, bytes: Uint8Array): Uint8Array {
  const count = bytes.length === 0 ? 0 : posix.write(fd, bytes);
  return bytes.slice(0, count ?? 0);
}

/** Some bytes; none at the end of file, undefined when there is nothing yet. */
function receive(posix: FakePosix, fd: Fd, most: number): Uint8Array | undefined {
  const bytes = new Uint8Array(most);
  const count = posix.read(fd, bytes);
  return count === undefined ? undefined : bytes.subarray(0, count);
}
