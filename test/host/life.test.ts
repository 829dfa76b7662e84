import { describe, expect, test } from "vitest";
import { step } from "../../src/host/life.ts";
import type { Event, State } from "../../src/host/life.ts";

const STATES: readonly State[] = ["starting", "running", "stopping", "faulty", "over"];
const ERROR = new Error("oops");
const EVENTS: readonly Event[] = [
  { kind: "started" },
  { kind: "notStarted", error: ERROR },
  { kind: "told", how: "drain" },
  { kind: "done", exitCode: 3 },
  { kind: "fault", error: ERROR },
  { kind: "expired" },
];

/** `state: effect effect` for each event, in the order of EVENTS. */
function row(state: State): string[] {
  return EVENTS.map((event) => {
    const { state: next, effects } = step(state, event);
    return [`${next}:`, ...effects.map(({ do: what }) => what)].join(" ");
  });
}

describe("the life of a resident", () => {
  test("the life of a resident has a cell for each state and event", () => {
    expect(Object.fromEntries(STATES.map((state) => [state, row(state)]))).toEqual({
      starting: [
        "running:",
        "over: end",
        "stopping: stop",
        "over: end",
        "faulty: reportFault limitTime stop",
        "starting:",
      ],
      running: [
        "running:",
        "running:",
        "stopping: stop",
        "over: end",
        "faulty: reportFault limitTime stop",
        "running:",
      ],
      stopping: [
        "stopping:",
        "over: end",
        "stopping: stop",
        "over: end",
        "faulty: reportFault limitTime stop",
        "stopping:",
      ],
      faulty: ["faulty:", "over: end", "faulty:", "over: end", "faulty:", "over: end"],
      over: ["over:", "over:", "over:", "over:", "over: reportFault", "over:"],
    });
  });

  test("a resident is passed its requests, and is killed after a fault", () => {
    expect(step("running", { kind: "told", how: "terminate" }).effects).toEqual([
      { do: "stop", how: "terminate" },
    ]);
    expect(step("running", { kind: "fault", error: ERROR }).effects).toEqual([
      { do: "reportFault", error: ERROR },
      { do: "limitTime" },
      { do: "stop", how: "kill" },
    ]);
  });

  test("the life of a resident ends with its exit code, unless a fault or a failed start came first", () => {
    const done: Event = { kind: "done", exitCode: 3 };
    expect(step("stopping", done).effects).toEqual([
      { do: "end", end: { kind: "done", exitCode: 3 } },
    ]);
    expect(step("faulty", done).effects).toEqual([{ do: "end", end: { kind: "faulty" } }]);
    expect(step("starting", { kind: "notStarted", error: ERROR }).effects).toEqual([
      { do: "end", end: { kind: "notStarted", error: ERROR } },
    ]);
  });
});
