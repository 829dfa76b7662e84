/** Many damaged handshakes of TLS: `npm run fuzz`. RUNS says how many of each kind, 10,000 unless given. */

import { describe, test } from "vitest";
import { expectClientStands, expectServerStands } from "../tls/damage.ts";

const RUNS = Number(process.env["RUNS"] ?? 10_000);

describe.each(["TLSv1.2", "TLSv1.3"] as const)(
  "whatever becomes of a handshake of %s",
  (version) => {
    test("a server and its engine stand", { timeout: 0 }, () => expectServerStands(version, RUNS));
    test("a client stands", { timeout: 0 }, () => expectClientStands(version, RUNS));
  },
);
