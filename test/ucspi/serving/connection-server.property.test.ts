/** Whatever clients do, the server's counts are those of a list that is kept by hand. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { ConnectionServer } from "../../../src/ucspi/serving/connection-server.ts";
import type { Endpoint } from "../../../src/net/index.ts";
import { TCP } from "../../../src/ucspi/serving/tcp.ts";
import { FakeKernel } from "../fake-kernel.ts";
import { ManualWork } from "./manual-work.ts";

type Step =
  | { readonly do: "connect"; readonly ip: string }
  | { readonly do: "begin" | "end" | "drop"; readonly who: number }
  | { readonly do: "shortage" | "relief" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      ip: fc.constantFrom("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("begin", "end", "drop"), who: fc.nat(9) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("shortage", "relief") }) },
);

class World {
  readonly kernel = new FakeKernel();
  readonly clock = new FakeClock();
  readonly fd = this.kernel.listener();
  readonly present: ManualWork[] = [];
  connected = 0;
  served = 0;
  rejected = 0;
  readonly server: ConnectionServer<Endpoint, Endpoint>;

  constructor(maxConnections: number, maxPerKey: number) {
    this.server = new ConnectionServer({
      posix: this.kernel.posix,
      clock: this.clock,
      protocol: TCP,
      listeners: [this.fd],
      maxConnections,
      maxPerKey,
      asksLocalAddress: false,
      service: (connection, life) => this.#take(new ManualWork(connection, life)),
      events: {
        accepted: (connection, _pid, count, total) => {
          expect({ count, total }).toEqual({
            count: connection.number + 1,
            total: connection.total,
          });
        },
        ended: ({ key }, _pid, _status, { count, total }) => this.#agree(key, count, total),
        rejected: ({ key }, count) => {
          this.rejected += 1;
          expect(count).toBe(this.#from(key));
          expect(count).toBe(maxPerKey);
        },
        faulted(error) {
          throw error;
        },
      },
    });
    this.server.start();
  }

  apply(what: Step): void {
    if (what.do === "connect") {
      this.kernel.connect(this.fd, what.ip);
      this.connected += 1;
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
      found.serve(1000 + who);
      return;
    }
    this.present.splice(who, 1);
    if (what === "end") found.end();
    else found.life.failed("serve");
  }

  /** How many connections are open here: one that has a process is so there. */
  get open(): number {
    return this.present.filter(({ hasProcess }) => !hasProcess).length;
  }

  #take(work: ManualWork): ManualWork {
    expect(work.connection.number).toBe(this.#from(work.connection.key));
    expect(work.connection.total).toBe(this.present.length + 1);
    this.served += 1;
    this.present.push(work);
    return work;
  }

  #from(key: string): number {
    return this.present.filter(({ connection }) => connection.key === key).length;
  }

  /** One who leaves is off our list before the server hears of it. */
  #agree(key: string, count: number, total: number): void {
    expect([0, 1]).toContain(count - this.#from(key));
    expect(total - this.present.length).toBe(count - this.#from(key));
  }
}

test("counts, limits and open descriptors agree at every step", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      (steps, maxConnections, maxPerKey) => {
        const world = new World(maxConnections, Math.min(maxPerKey, maxConnections));
        for (const what of steps) {
          world.apply(what);
          const waiting = world.kernel.waiting(world.fd);
          expect(world.server.connections).toBe(world.present.length);
          expect(world.present.length).toBeLessThanOrEqual(maxConnections);
          expect(world.served + world.rejected + waiting).toBe(world.connected);
          expect(world.kernel.open.size).toBe(1 + world.open + waiting);
        }
        world.apply({ do: "relief" });
        const hasRoom = world.present.length < maxConnections;
        if (hasRoom) expect(world.kernel.waiting(world.fd)).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});
