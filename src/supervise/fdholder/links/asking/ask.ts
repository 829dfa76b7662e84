/** The common course of the commands that ask a holder for something (local-services.md, section 9.5). */

import { EXIT } from "../../../../chain/index.ts";
import type { LinkContext } from "../../../../chain/index.ts";
import { deadlineAfter } from "../../../../clock/index.ts";
import { milliseconds, value } from "../../../../options/index.ts";
import { SystemError } from "../../../../posix/index.ts";
import { connectToHolder, HolderClient } from "../../index.ts";

/** The time for connecting, asking and being answered together. */
export const ASKING_OPTIONS = {
  timeoutMs: value(
    {
      short: "t",
      argument: "timeout",
      help: "give up after this many milliseconds; 0 (the default) is for ever",
    },
    milliseconds,
  ),
};

export interface HolderQuestion {
  /** The command that asks. */
  readonly name: string;
  readonly socket: string;
  readonly timeoutMs: number | undefined;
  /** What a failure was unable to do: `store fd`. */
  readonly action: string;
  /** What kind of holder it is, where there are two: `source `. */
  readonly which?: string;
}

/** The answer, or the exit code of a failure, which has been reported. */
export type Asked<T> =
  | { readonly kind: "answered"; readonly value: T }
  | { readonly kind: "failed"; readonly exitCode: number };

/** Connect to a holder, ask it, and close the connection. */
export async function askHolder<T>(
  question: HolderQuestion,
  { posix, clock, report }: LinkContext,
  ask: (client: HolderClient) => Promise<T>,
): Promise<Asked<T>> {
  const { name, socket, timeoutMs, action, which = "" } = question;
  const parts = { posix, clock, deadline: deadlineAfter(clock, timeoutMs) };
  let doing = `connect to a ${which}fd-holder daemon at ${socket}`;
  let exitCode: number = EXIT.system;
  try {
    using client = new HolderClient(await connectToHolder(socket, parts), parts);
    doing = action;
    exitCode = EXIT.refused;
    return { kind: "answered", value: await ask(client) };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(name, "fatal", `unable to ${doing}: ${error.message}`);
    return { kind: "failed", exitCode };
  }
}
