/** Some damaged handshakes each time; test/fuzz has the long run. */

import { describe, test } from "vitest";
import { expectClientStands, expectServerStands } from "./damage.ts";

describe.each(["TLSv1.2", "TLSv1.3"] as const)(
  "whatever becomes of a handshake of %s",
  (version) => {
    test("a server and its engine stand", () => expectServerStands(version, 150));
    test("a client stands", () => expectClientStands(version, 150));
  },
);
