/** Whatever comes and goes, the server's counts are those of a list that is kept by hand. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import type { Connection, Serving } from "../../../src/ucspi/serving/connection.ts";
import { FakeKernel } from "../fake-kernel.ts";

type Step =
  | { readonly do: "come"; readonly ip: string }
  | { readonly do: "begin" | "end" | "drop"; readonly who: number }
  | { readonly do: "shortage" | "relief" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("come" as const),
      ip: fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("begin", "end", "drop"), who: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("shortage", "relief") }) },
);

interface Guest {
  readonly connection: Connection;
  readonly serving: Serving;
}

class World {
  readonly kernel = new FakeKernel();
  readonly clock = new FakeClock();
  readonly fd = this.kernel.listener();
  readonly present: Guest[] = [];
  came = 0;
  served = 0;
  rejected = 0;
  readonly server: ConnectionServer;

  constructor(maxConnections: number, maxPerAddress: number) {
    this.server = new ConnectionServer({
      posix: this.kernel.posix,
      clock: this.clock,
      listeners: [this.fd],
      maxConnections,
      maxPerAddress,
      asksLocalAddress: false,
      service: (connection, serving) => this.#take({ connection, serving }),
      events: {
        accepted: ({ address }, _pid, count, total) => this.#agree(address, count, total),
        ended: ({ address }, _pid, _status, { count, total }) => this.#agree(address, count, total),
        rejected: ({ address }, count) => {
          this.rejected += 1;
          expect(count).toBe(this.#from(address));
          expect(count).toBe(maxPerAddress);
        },
      },
    });
    this.server.start();
  }

  apply(what: Step): void {
    if (what.do === "come") {
      this.kernel.connect(this.fd, what.ip);
      this.came += 1;
    } else if (what.do === "shortage") this.kernel.acceptFailure = "EMFILE";
    else if (what.do === "relief") {
      this.kernel.acceptFailure = undefined;
      this.clock.advance(100);
    } else if ("who" in what) this.#serve(what.do, what.who);
    this.kernel.turn();
  }

  #serve(what: "begin" | "end" | "drop", who: number): void {
    const found = this.present[who];
    if (found === undefined) return;
    if (what === "begin") {
      found.serving.begin(1000 + who, () => {});
      return;
    }
    this.present.splice(who, 1);
    this.kernel.posix.close(found.connection.fd);
    // An end without a beginning is told as both; the count of the first includes it.
    found.serving.begin(1, () => {});
    if (what === "end") found.serving.end({ kind: "exited", exitCode: 0 });
    else found.serving.drop("serve");
  }

  #take(arrival: Guest): void {
    expect(arrival.connection.number).toBe(this.#from(arrival.connection.address));
    this.served += 1;
    this.present.push(arrival);
  }

  #from(address: string): number {
    return this.present.filter(({ connection }) => connection.address === address).length;
  }

  /** One who leaves is off our list before the server hears of it. */
  #agree(address: string, count: number, total: number): void {
    expect([0, 1]).toContain(count - this.#from(address));
    expect(total - this.present.length).toBe(count - this.#from(address));
  }
}

test("counts, limits and open descriptors agree at every step", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      (steps, maxConnections, maxPerAddress) => {
        const world = new World(maxConnections, Math.min(maxPerAddress, maxConnections));
        for (const what of steps) {
          world.apply(what);
          const waiting = world.kernel.waiting(world.fd);
          expect(world.server.connections).toBe(world.present.length);
          expect(world.present.length).toBeLessThanOrEqual(maxConnections);
          expect(world.served + world.rejected + waiting).toBe(world.came);
          expect(world.kernel.open.size).toBe(1 + world.present.length + waiting);
        }
        world.apply({ do: "relief" });
        const hasRoom = world.present.length < maxConnections;
        if (hasRoom) expect(world.kernel.waiting(world.fd)).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
