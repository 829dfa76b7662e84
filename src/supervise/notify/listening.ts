/** What the listening tools have in common: subscribe, run a program, and wait. */

import { EXIT, Spawner } from "../../chain/index.ts";
import type { Launch, LinkContext } from "../../chain/index.ts";
import { SystemError } from "../../posix/index.ts";
import { dieOf, endingSignals, EventWait, SubscriptionError } from "./event-wait.ts";
import type { EventWaitOptions, WaitEnd } from "./event-wait.ts";

export interface Listening extends Omit<EventWaitOptions, "signals"> {
  /** Who speaks. */
  readonly name: string;
  /** The program to run once all subscriptions are made; undefined for none. */
  readonly program: readonly string[] | undefined;
  /** The exit code and the words for events that did not come in time. */
  readonly timedOut: { readonly exitCode: number; readonly text: string };
  /** The exit code once the events have come. */
  matched(events: Buffer): number;
  randomBytes(count: number): Uint8Array;
}

/** Wait for events; the exit code. The program is left to itself, whatever comes. */
export async function listen(
  launch: Launch,
  listening: Listening,
  context: LinkContext,
): Promise<number> {
  const { name, program, randomBytes } = listening;
  let wait: EventWait;
  try {
    const signals = endingSignals(launch.signals?.ignored);
    wait = new EventWait({ ...context, randomBytes }, { ...listening, signals });
  } catch (error) {
    if (!(error instanceof SubscriptionError)) throw error;
    context.report(name, "fatal", error.message);
    return EXIT.system;
  }
  const notSpawned =
    program === undefined ? undefined : spawn({ ...launch, argv: program }, name, context);
  const end = await Promise.race([wait.ended, ...(notSpawned === undefined ? [] : [notSpawned])]);
  wait.close();
  if (end.kind !== "notSpawned") return exitCodeFor(end, listening, context);
  context.report(name, "fatal", `unable to spawn ${program?.[0]}: ${end.error.message}`);
  return EXIT.system;
}

interface NotRun {
  readonly kind: "notSpawned";
  readonly error: SystemError;
}

/** Start the program. Resolves when it cannot be executed, and never if it can. */
function spawn(launch: Launch, name: string, context: LinkContext): Promise<NotRun> {
  const spawner = new Spawner(name, { ...context, isBecoming: false });
  return new Promise((resolve, reject) => {
    const failed = (error: SystemError): void => resolve({ kind: "notSpawned", error });
    async function start(): Promise<void> {
      const result = await spawner.spawn(launch);
      if (result.kind === "failed") failed(result.error);
      if (result.kind !== "child") return; // a link has said why there is no program
      spawner.follow(result, {
        ended: (end) => {
          if (end instanceof SystemError) failed(end);
        },
      });
    }
    start().catch(reject);
  });
}

function exitCodeFor(end: WaitEnd, listening: Listening, context: LinkContext): number {
  const { name, timedOut } = listening;
  switch (end.kind) {
    case "matched":
      return listening.matched(end.events);
    case "timedOut": {
      const why = context.posix.strerror("ETIMEDOUT");
      context.report(name, "fatal", `${timedOut.text}: ${why}`);
      return timedOut.exitCode;
    }
    case "signalled":
      return dieOf(context.posix, end.name);
    case "failed": {
      const text = `unable to read events of ${end.wanted.fifodir.path}: ${end.error.message}`;
      context.report(name, "fatal", text);
      return EXIT.system;
    }
  }
}
