/** The answer of rules about a client of a Unix-domain socket, as text for whoever wrote them. */

import { decide, explainUidGid } from "../../access/index.ts";
import type { Admission, Probe, Rules } from "../../access/index.ts";
import { EXIT } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Posix } from "../../posix/index.ts";
import { localPeer } from "./admit.ts";
import type { CheckedIds } from "./options.ts";

/** A line for each key that was looked up and for each effect, and the exit code that the client would meet. */
export interface RulesCheck {
  readonly lines: readonly string[];
  readonly exitCode: number;
}

/** Ask rules about a client with these ids; `uid/self` and `gid/self` mean the ids of this process. */
export function checkLocally(rules: Rules, { uid, gid }: CheckedIds, posix: Posix): RulesCheck {
  const probes = explainUidGid(rules, localPeer({ uid, gid }, posix));
  const admission = decideBy(probes, posix);
  return {
    lines: [...probes.map(tellProbe), ...tellAdmission(admission)],
    exitCode: EXIT_CODES[admission.kind],
  };
}

const EXIT_CODES = { admit: EXIT.ok, refuse: EXIT.refused, error: EXIT.system } as const;

/** The last key that was looked up is the one with an answer, if any has one. */
function decideBy(probes: readonly Probe[], posix: Posix): Admission {
  const last = probes.at(-1);
  if (last === undefined || last.result.kind === "notFound") {
    return decide({ kind: "notFound" }, posix, "-Pc");
  }
  return decide({ ...last.result, rule: last.key }, posix, "-Pc");
}

function tellProbe({ key, result }: Probe): string {
  return `${key}: ${result.kind === "notFound" ? "no rule" : result.kind}`;
}

function tellAdmission(admission: Admission): string[] {
  switch (admission.kind) {
    case "admit":
      return [
        ...admission.edits.map(tellEdit),
        ...(admission.words === undefined ? [] : [`run ${admission.words.join(" ")}`]),
        "allow connection",
      ];
    case "refuse":
      return [...(admission.warning === undefined ? [] : [admission.warning]), "deny connection"];
    case "error":
      return [admission.reason, "deny connection"];
  }
}

function tellEdit({ name, value }: EnvironmentEdit): string {
  return value === undefined
    ? `unset environment variable ${name}`
    : `set environment variable ${name}=${value}`;
}
