/**
 * The life of a resident as its host sees it: a pure function from state and event to state and effects.
 *
 * A fault, which is an exception that one of its callbacks threw, is a bug of that resident and costs no
 * other: it is reported, and the resident is killed. One that then does not end in time is given up.
 */

import type { Stop } from "./resident.ts";

export type State = "starting" | "running" | "stopping" | "faulty" | "over";

/** The end of a life: the exit code of the resident, a failed start, or a fault, which was reported. */
export type End =
  | { readonly kind: "done"; readonly exitCode: number }
  | { readonly kind: "notStarted"; readonly error: unknown }
  | { readonly kind: "faulty" };

export type Event =
  | { readonly kind: "started" }
  | { readonly kind: "notStarted"; readonly error: unknown }
  | { readonly kind: "told"; readonly how: Stop }
  | { readonly kind: "done"; readonly exitCode: number }
  | { readonly kind: "fault"; readonly error: unknown }
  /** Since its fault the time to end has passed. */
  | { readonly kind: "expired" };

export type Effect =
  | { readonly do: "stop"; readonly how: Stop }
  | { readonly do: "reportFault"; readonly error: unknown }
  | { readonly do: "limitTime" }
  | { readonly do: "end"; readonly end: End };

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

type Of<Kind extends Event["kind"]> = Extract<Event, { readonly kind: Kind }>;
type Row = { readonly [Kind in Event["kind"]]: (event: Of<Kind>) => Step };

function to(state: State, ...effects: readonly Effect[]): Step {
  return { state, effects };
}

function staying(state: State): () => Step {
  return () => to(state);
}

function end({ exitCode }: Of<"done">): Step {
  return to("over", { do: "end", end: { kind: "done", exitCode } });
}

function giveUp({ error }: Of<"notStarted">): Step {
  return to("over", { do: "end", end: { kind: "notStarted", error } });
}

function pass({ how }: Of<"told">): Step {
  return to("stopping", { do: "stop", how });
}

function kill({ error }: Of<"fault">): Step {
  const stop: Effect = { do: "stop", how: "kill" };
  return to("faulty", { do: "reportFault", error }, { do: "limitTime" }, stop);
}

/** A callback that came when everything was over: worth a line, and nothing else. */
function tell({ error }: Of<"fault">): Step {
  return to("over", { do: "reportFault", error });
}

function endFaulty(): Step {
  return to("over", { do: "end", end: { kind: "faulty" } });
}

const [starting, running, stopping, faulty, over] = [
  staying("starting"),
  staying("running"),
  staying("stopping"),
  staying("faulty"),
  staying("over"),
];

// Read it by columns. A faulty resident reports its first fault only: what follows comes of it.
// prettier-ignore
const LIFE = {
  starting: { started: () => to("running"), notStarted: giveUp,    told: pass,   done: end,       fault: kill,   expired: starting },
  running:  { started: running,             notStarted: running,   told: pass,   done: end,       fault: kill,   expired: running },
  stopping: { started: stopping,            notStarted: giveUp,    told: pass,   done: end,       fault: kill,   expired: stopping },
  faulty:   { started: faulty,              notStarted: endFaulty, told: faulty, done: endFaulty, fault: faulty, expired: endFaulty },
  over:     { started: over,                notStarted: over,      told: over,   done: over,      fault: tell,   expired: over },
} as const satisfies Record<State, Row>;

/** The next state of a resident in `state`, and the effects. */
export function step(state: State, event: Event): Step {
  const act = LIFE[state][event.kind] as (event: Event) => Step;
  return act(event);
}
