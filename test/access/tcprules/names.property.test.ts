import fc from "fast-check";
import { expect, test } from "vitest";
import { Cdb, checkDjbRules } from "../../../src/access/index.ts";
import { compiled } from "./compiled.ts";
import { CLIENTS, expectAgreement, hostRules } from "./host-rules.ts";

test("rules about hosts compiled for s6 decide as in ucspi-tcp, or are refused with a reason", () => {
  const outcomes = { compiled: 0, refused: 0 };
  fc.assert(
    fc.property(hostRules, (text) => {
      const cdb = new Cdb(compiled("djb", [text]).bytes);
      outcomes[expectAgreement(text, CLIENTS, (client) => checkDjbRules(cdb, client))] += 1;
    }),
    { numRuns: 400 },
  );
  expect(Math.min(outcomes.compiled, outcomes.refused)).toBeGreaterThan(50);
});
