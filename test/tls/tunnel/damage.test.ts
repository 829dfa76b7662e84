/** Some damaged handshakes each time; test/fuzz has the long run. */

import { describe, test } from "vitest";
import { expectClientStands, expectServerStands } from "./damage.ts";

describe.each(["TLSv1.2", "TLSv1.3"] as const)("damaged handshakes of %s", (version) => {
  test("a server and its engine go on after a damaged handshake", () =>
    expectServerStands(version, 150));
  test("a client goes on after a damaged handshake", () => expectClientStands(version, 150));
});
