import { describe, expect, test } from "vitest";
import { stepClient } from "../../../src/supervise/fdholder/client-life.ts";
import type { ClientEvent, ClientState } from "../../../src/supervise/fdholder/client-life.ts";
import type { Fd } from "../../../src/posix/index.ts";
import { taiAt } from "../../../src/clock/index.ts";

const OPEN: ClientState = { kind: "open" };
const CLOSING: ClientState = { kind: "closing" };
const HANDING: ClientState = { kind: "handing" };
const importing = (left: number): ClientState => ({ kind: "importing", left });

const list: ClientEvent = { kind: "request", request: { kind: "list" } };
const commit: ClientEvent = { kind: "request", request: { kind: "commit" } };
const data = (count: number): ClientEvent => ({
  kind: "request",
  request: {
    kind: "dumpData",
    entries: Array.from({ length: count }, (_, index) => {
      return { id: `${index}`, limit: taiAt(0n), fd: (index + 3) as Fd };
    }),
  },
});

/** The state and the effects by their names. */
function after(state: ClientState, event: ClientEvent): string {
  const { state: next, effects } = stepClient(state, event);
  const left = next.kind === "importing" ? ` ${next.left}` : "";
  return [`${next.kind}${left}`, ...effects.map((effect) => effect.do)].join(", ");
}

const CASES: readonly (readonly [ClientState, ClientEvent, string])[] = [
  [OPEN, list, "open, answer"],
  [OPEN, data(1), "over, discard, warn, close"],
  [OPEN, commit, "over, discard, warn, close"],
  [OPEN, { kind: "importBegins", total: 0 }, "open"],
  [OPEN, { kind: "importBegins", total: 3 }, "importing 3"],
  [importing(3), data(2), "importing 1, answer"],
  [importing(3), data(3), "open, answer"],
  [importing(3), data(4), "over, discard, warn, close"],
  [importing(3), list, "over, discard, warn, close"],
  [OPEN, { kind: "lostFds" }, "closing, warn, refuse"],
  [OPEN, { kind: "malformed", why: "" }, "over, warn, close"],
  [OPEN, { kind: "ended" }, "closing"],
  [OPEN, { kind: "drain" }, "closing"],
  [OPEN, { kind: "late", unsent: true }, "over, warn, close"],
  [CLOSING, list, "closing, discard"],
  [CLOSING, { kind: "flushed" }, "over, close"],
  [OPEN, { kind: "handOverBegins" }, "handing"],
  [HANDING, commit, "closing, commit"],
  [HANDING, list, "over, resume, discard, warn, close"],
  [HANDING, { kind: "broken" }, "over, resume, close"],
  [HANDING, { kind: "ended" }, "over, resume, close"],
  [HANDING, { kind: "late", unsent: true }, "over, resume, close"],
  [HANDING, { kind: "late", unsent: false }, "closing, resume, refuse"],
  [HANDING, { kind: "drain" }, "handing"],
  [{ kind: "over" }, list, "over, discard"],
  [{ kind: "over" }, { kind: "late", unsent: false }, "over"],
];

/** A state or an event in a title. */
function inWords(value: ClientState | ClientEvent): string {
  const { kind, ...rest } = value;
  if ("request" in rest) {
    const { request } = rest;
    return request.kind === "dumpData" ? `${request.entries.length} entries` : request.kind;
  }
  return [kind, ...Object.values(rest)].join(" ");
}

describe("a client", () => {
  for (const [state, event, expected] of CASES) {
    test(`that is ${inWords(state)} and meets "${inWords(event)}" is then: ${expected}`, () => {
      expect(after(state, event)).toBe(expected);
    });
  }
});
