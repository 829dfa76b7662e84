import { expect, test } from "vitest";
import { Cdb, checkDjbRules, checkS6Rules } from "../../../src/access/index.ts";
import { compiled } from "./compiled.ts";

import type { DjbVerdict, Verdict } from "../../../src/access/index.ts";

/** The rules of tcprules(1), with a variable for the name of each instruction. */
const RULES = '18.23.0.32:allow,N="2"\n:allow,N="3"\n127.:allow,N="4"\n';
const WITH_IDENT = `joe@127.0.0.1:allow,N="1"\n${RULES}`;

function ask(text: string, ip: string, info?: string): { djb: DjbVerdict; s6: Verdict } {
  const client = { ip, info, host: undefined };
  const s6 = text.replace(/^joe@.*\n/, "");
  return {
    djb: checkDjbRules(new Cdb(compiled("djb", [text]).bytes), client),
    s6: checkS6Rules(compiled("s6", [s6]).bytes, client),
  };
}

test.each([
  ["10.119.75.38", undefined, "3"],
  ["18.23.0.32", undefined, "2"],
  ["127.0.0.1", "bill", "4"],
])(
  "the example of tcprules(1) decides about %s and %j as it says, in both formats",
  (ip, info, n) => {
    const { djb, s6 } = ask(WITH_IDENT, ip, info);
    const decided = { edits: [{ name: "N", value: n }] };
    expect(djb).toMatchObject({ allow: true, ...decided });
    expect(s6).toMatchObject({ kind: "allow", ...decided });
  },
);

test("the example of tcprules(1) decides about a user as it says, for ucspi-tcp alone", () => {
  expect(ask(WITH_IDENT, "127.0.0.1", "joe").djb).toMatchObject({ rule: "joe@127.0.0.1" });
  expect(() => compiled("s6", [WITH_IDENT])).toThrow(/line 1: s6 rules cannot ask for IDENT/);
});

test.each<[string, string, string[], string[], string[]]>([
  ["1.2.3.37-53:deny\n:allow", "D", ["1.2.3.37", "1.2.3.45", "1.2.3.53"], ["1.2.3.36"], []],
  ["10.2-3.:deny\n:allow", "D", ["10.2.0.1", "10.3.255.255"], ["10.1.0.1", "10.4.0.1"], []],
  ['10.0.:allow,RELAYCLIENT="@fix.me"\n:deny', "A", ["10.0.9.9"], [], ["@fix.me"]],
  ["10.0.:allow,RELAYCLIENT=/@fix.me/\n:deny", "A", ["10.0.9.9"], [], ["@fix.me"]],
  [
    '127.0.0.1:allow,RELAYCLIENT="",TCPLOCALHOST="movie.edu"\n:deny',
    "A",
    ["127.0.0.1"],
    [],
    ["", "movie.edu"],
  ],
])(
  "the example %j of tcprules(1) is the same in both formats",
  (text, what, inside, outside, values) => {
    for (const ip of [...inside, ...outside]) {
      const isAllowed = (what === "A") === inside.includes(ip);
      const { djb, s6 } = ask(text, ip);
      expect([djb.allow, s6.kind]).toEqual([isAllowed, isAllowed ? "allow" : "deny"]);
      if (what === "A") expect(djb.edits.map(({ value }) => value)).toEqual(values);
      if (s6.kind === "allow") expect(s6.edits).toEqual(djb.edits);
    }
  },
);
