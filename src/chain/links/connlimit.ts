/** s6-connlimit: end the chain when a client has too many connections (local-services.md, 6.6). */

import { defineLink, end, EXIT, goOn } from "../index.ts";
import type { LinkContext, Launch, Outcome } from "../index.ts";
import { parseUnsigned } from "../../net/index.ts";
import { flag } from "../../options/index.ts";

export const connlimit = defineLink({
  name: "s6-connlimit",
  summary: "refuse a client that has too many connections already",
  family: "short",
  options: {
    strict: flag({
      short: "s",
      long: "strict",
      help: "refuse when the other connections reach the maximum, not only when they exceed it",
      ours: true,
    }),
  },
  operands: [],
  program: "optional",
  reach: "anywhere",
  run(launch, { options, program }, context) {
    const refusal = decide(launch, options.strict);
    if (refusal !== undefined) return refuse(refusal, context);
    return goOn({ ...launch, argv: program });
  },
});

interface Refusal {
  readonly exitCode: number;
  /** The fault in the environment; being over the limit is silent, as in the C suite. */
  readonly problem?: string;
}

function decide({ environment }: Launch, isStrict: boolean): Refusal | undefined {
  const protocol = environment.get("PROTO") ?? "";
  if (protocol === "") return { exitCode: EXIT.usage, problem: "PROTO not set" };
  const count = count32(environment.get(`${protocol}CONNNUM`));
  if (count === undefined)
    return invalid(environment.get(`${protocol}CONNNUM`), `${protocol}CONNNUM`);
  const most = environment.get(`${protocol}CONNMAX`);
  if (most === undefined) return undefined;
  const limit = count32(most);
  if (limit === undefined) return invalid(most, `${protocol}CONNMAX`);
  return count > limit || (isStrict && count === limit) ? { exitCode: EXIT.refused } : undefined;
}

function invalid(value: string | undefined, name: string): Refusal {
  const problem = value === undefined ? `${name} not set` : `invalid $${name}`;
  return { exitCode: EXIT.usage, problem };
}

function count32(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseUnsigned(text);
}

function refuse({ exitCode, problem }: Refusal, { report }: LinkContext): Outcome {
  if (problem !== undefined) report("s6-connlimit", "fatal", problem);
  return end(exitCode);
}
