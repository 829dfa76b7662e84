/**
 * Many damaged handshakes of TLS, and tunnels whose ends do all sorts of things: `npm run fuzz`. RUNS
 * says how many of each kind, 10,000 unless given.
 */

import { describe, test } from "vitest";
import { expectClientStands, expectServerStands } from "../tls/tunnel/damage.ts";
import { expectDelivery } from "../tls/tunnel/schedules.ts";

const RUNS = Number(process.env["RUNS"] ?? 10_000);

describe.each(["TLSv1.2", "TLSv1.3"] as const)("damaged handshakes of %s", (version) => {
  test("a server and its engine go on after damaged handshakes", { timeout: 0 }, () =>
    expectServerStands(version, RUNS),
  );
  test("a client goes on after damaged handshakes", { timeout: 0 }, () =>
    expectClientStands(version, RUNS),
  );
});

test("every byte is delivered, or the tunnel fails; nothing stays open", { timeout: 0 }, () =>
  expectDelivery(RUNS),
);
