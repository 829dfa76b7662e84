/**
 * The decision about a client, in the terms of those who act upon it: what the program gets, or why the
 * client is refused. How that is logged and which exit code it has is left to them.
 */

import { scriptWords } from "./script.ts";
import type { ScriptOptions } from "./script.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { Posix } from "../../posix/index.ts";
import type { Denied, Failed, Verdict } from "../lookup/rules.ts";

/** The client is to be served. */
export interface Admitted {
  readonly kind: "admit";
  /** The key of the rule that allows it, `ip4/10.0.0.0_8`; undefined where there are no rules. */
  readonly rule: string | undefined;
  readonly edits: readonly EnvironmentEdit[];
  /**
   * The words that run the rule's script in place of the program; undefined for the program. The same
   * script gives the same array.
   */
  readonly words: readonly string[] | undefined;
}

/** The client is not to be served. */
export interface Refused {
  readonly kind: "refuse";
  /** The key of the rule that denies it; undefined where no rule matches. */
  readonly rule: string | undefined;
  /** `rule ip4/10.0.0.0_8`, or `no rule matches`; with the fault of a rule that denies because of it. */
  readonly reason: string;
  /** That fault alone, to be told as a warning: `unable to read DIR/deny: Permission denied`. */
  readonly warning: string | undefined;
}

/** The rules cannot be used, so the client is not to be served either. */
export interface Undecided {
  readonly kind: "error";
  /** `unable to read rules.cdb: Permission denied`, with the rule's key where one rule is at fault. */
  readonly reason: string;
}

export type Admission = Admitted | Refused | Undecided;

/** The decision on every client where there are no rules. */
export const ADMITTED_WITHOUT_RULES: Admitted = {
  kind: "admit",
  rule: undefined,
  edits: [],
  words: undefined,
};

/** The decision that a verdict comes to. A script is run as servers on IP sockets do unless told otherwise. */
export function decide(
  verdict: Verdict,
  posix: Pick<Posix, "strerror">,
  scriptOptions?: ScriptOptions,
): Admission {
  switch (verdict.kind) {
    case "allow": {
      const { rule, edits, exec } = verdict;
      return { kind: "admit", rule, edits, words: exec && scriptWords(exec, scriptOptions) };
    }
    case "deny":
      return refusal(verdict, posix);
    case "notFound":
      return { kind: "refuse", rule: undefined, reason: "no rule matches", warning: undefined };
    case "error":
      return { kind: "error", reason: failureAt(verdict, posix) };
  }
}

function failureAt(
  failure: Failed & { readonly rule: string | undefined },
  posix: Pick<Posix, "strerror">,
): string {
  const text = describeFailure(failure, posix);
  return failure.rule === undefined ? text : `${text} (rule ${failure.rule})`;
}

function refusal(
  { rule, fault }: Denied & { readonly rule: string },
  posix: Pick<Posix, "strerror">,
): Refused {
  const warning = fault && describeFailure(fault, posix);
  const reason = warning === undefined ? `rule ${rule}` : `rule ${rule} (${warning})`;
  return { kind: "refuse", rule, reason, warning };
}

function describeFailure({ why, code }: Failed, posix: Pick<Posix, "strerror">): string {
  return code === undefined ? why : `${why}: ${posix.strerror(code)}`;
}
