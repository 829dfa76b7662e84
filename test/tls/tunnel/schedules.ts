/** Whatever both sides of a tunnel do, and in what order: bytes arrive or somebody is told, and all is tidied up. */

import type { Socket } from "node:net";
import fc from "fast-check";
import { expect } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { openTunnel, posix } from "./tunnels.ts";
import type { TunnelScene } from "./tunnels.ts";

/** The next action of a side. */
type Act =
  | { readonly by: "peer" | "program"; readonly kind: "write"; readonly bytes: number }
  | { readonly by: "peer" | "program"; readonly kind: "end" | "pause" | "resume" | "wait" }
  /** The peer goes without close_notify, or at once; the program closes its input. */
  | { readonly by: "peer"; readonly kind: "cut" | "vanish" }
  | { readonly by: "program"; readonly kind: "stopReading" };

const by = fc.constantFrom("peer", "program");
const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        by,
        kind: fc.constant("write" as const),
        bytes: fc.integer({ min: 1, max: 150_000 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ by, kind: fc.constantFrom("pause", "resume", "wait") }) },
    { weight: 1, arbitrary: fc.record({ by, kind: fc.constant("end" as const) }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        { by: "peer", kind: "cut" } as const,
        { by: "peer", kind: "vanish" } as const,
        { by: "program", kind: "stopReading" } as const,
      ),
    },
  ),
  { maxLength: 14 },
);

const settings = fc.record({
  sendsCloseNotify: fc.boolean(),
  enforcesCloseNotify: fc.boolean(),
  closesBothWays: fc.boolean(),
  handshakeTimeoutMs: fc.constantFrom(undefined, 1000),
  idleTimeoutMs: fc.constantFrom(undefined, 1000),
});

const versions = fc.constantFrom("TLSv1.2", "TLSv1.3");

/** Run so many schedules: every byte is delivered, or the tunnel fails; nothing stays open. */
export async function expectDelivery(runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(acts, settings, versions, async (schedule, options, maxVersion) => {
      const clock = new FakeClock();
      const scene = await openTunnel(options, { maxVersion }, async () => undefined, clock);
      const sides = {
        peer: new Side(scene.peer, scene.peer),
        program: new Side(scene.stdin, scene.stdout),
      };
      for (const act of schedule) await perform(act, sides, scene);
      for (const side of [sides.peer, sides.program]) {
        side.input.resume();
        side.output.end();
      }
      const { exitCode } = await scene.end();
      await Promise.all([sides.peer.inputOver, sides.program.inputOver]);
      expect(clock.pendingTimers).toBe(0);
      expect(scene.fds.filter((fd) => posix.isOpen(fd))).toEqual([]);

      const did = (kind: Act["kind"], who: Act["by"]): boolean =>
        schedule.some((act) => act.kind === kind && act.by === who);
      const hasVanished = did("vanish", "peer");
      const isCut = did("cut", "peer");
      const { peer, program } = sides;
      expect(program.received).toBe(peer.sent.slice(0, program.received.length));
      expect(peer.received).toBe(program.sent.slice(0, peer.received.length));
      if (hasVanished) return;
      if (!(options.enforcesCloseNotify && isCut)) expect(exitCode).toBe(0);
      if (!did("stopReading", "program") && !options.sendsCloseNotify) {
        expect(program.received.length).toBe(peer.sent.length);
      }
      if (!options.closesBothWays && exitCode === 0) {
        expect(peer.received.length).toBe(program.sent.length);
      }
    }),
    { numRuns: runs },
  );
}

/** One side's streams, what it has sent, and what it got. */
class Side {
  readonly input: Socket;
  readonly output: Socket;
  readonly inputOver: Promise<void>;
  sent = "";
  received = "";
  #isCut = false;

  constructor(input: Socket, output: Socket) {
    this.input = input;
    this.output = output;
    input.on("data", (chunk: Buffer) => (this.received += chunk.toString("latin1")));
    this.inputOver = new Promise((resolve) => {
      for (const event of ["end", "close"]) input.once(event, () => resolve());
    });
  }

  write(bytes: number): void {
    if (this.#isCut || !this.output.writable) return;
    const text = String.fromCharCode(97 + (this.sent.length % 26)).repeat(bytes);
    this.sent += text;
    this.output.write(text);
  }

  /** Go with `leave`, once all that was written is on its way. */
  cut(leave: () => void): void {
    this.#isCut = true;
    if (this.output.writable) this.output.write("", leave);
  }
}

type Sides = Readonly<Record<Act["by"], Side>>;

async function perform(act: Act, sides: Sides, { peer, plain, stdin }: TunnelScene): Promise<void> {
  const side = sides[act.by];
  switch (act.kind) {
    case "write":
      side.write(act.bytes);
      break;
    case "end":
      side.output.end();
      break;
    case "pause":
      side.input.pause();
      break;
    case "resume":
      side.input.resume();
      break;
    case "wait":
      await new Promise((resolve) => setImmediate(resolve));
      break;
    case "cut":
      side.cut(() => plain.end());
      break;
    case "vanish":
      peer.destroy();
      break;
    case "stopReading":
      stdin.destroy();
      break;
  }
}
