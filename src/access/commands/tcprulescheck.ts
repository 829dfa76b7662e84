/** s6-tcprulescheck: what compiled rules say about a client (networking.md, section 10.1). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal, orFatal } from "../../command/index.ts";
import { oneOf, value } from "../../options/index.ts";
import {
  Cdb,
  checkDjbRules,
  checkS6Rules,
  detectRulesFormat,
  explainFailure,
  readCdbFile,
} from "../index.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { DjbVerdict, RemoteClient, RulesFormat } from "../index.ts";

/** What ucspi-tcp takes an absent address for. */
const ANY_IP = "0.0.0.0";

export const tcprulescheck = defineCommand({
  name: "s6-tcprulescheck",
  summary: "show what compiled access rules say about a client",
  family: "long",
  options: {
    format: value(
      {
        long: "format",
        argument: "s6|djb",
        help: "read the file as rules for s6 or for ucspi-tcp; without it the file tells",
        ours: true,
      },
      oneOf("s6", "djb"),
      undefined,
    ),
  },
  operands: "cdb",
  operandCount: [1, 1],
  run(context, { format }, [cdb = ""]) {
    const { posix, environment } = context;
    const client: RemoteClient = {
      ip: environment.get("TCPREMOTEIP") ?? ANY_IP,
      host: environment.get("TCPREMOTEHOST"),
      info: environment.get("TCPREMOTEINFO"),
    };
    const verdict = orFatal(
      (error) => explainFailure(posix, `read ${cdb}`, error),
      () => check(readCdbFile(cdb), client, format),
    );
    context.print(describe(verdict));
  },
});

function check(bytes: Uint8Array, client: RemoteClient, format?: RulesFormat): DjbVerdict {
  const cdb = new Cdb(bytes);
  if ((format ?? detectRulesFormat(cdb)) === "djb") return checkDjbRules(cdb, client);
  const verdict = checkS6Rules(bytes, client);
  switch (verdict.kind) {
    case "allow":
      return { allow: true, rule: verdict.rule, edits: verdict.edits };
    case "deny":
      return { allow: false, rule: verdict.rule, edits: [] };
    case "notFound":
      return { allow: false, rule: undefined, edits: [] };
    case "error":
      throw new Fatal(EXIT.system, [verdict.rule, verdict.why].filter(Boolean).join(": "));
  }
}

function describe({ allow, rule, edits }: DjbVerdict): string {
  const lines = [rule === undefined ? "default:" : `rule ${rule}:`];
  if (allow) lines.push(...edits.map(describeEdit));
  lines.push(allow ? "allow connection" : "deny connection");
  return `${lines.join("\n")}\n`;
}

function describeEdit({ name, value: text }: EnvironmentEdit): string {
  return text === undefined
    ? `unset environment variable ${name}`
    : `set environment variable ${name}=${text}`;
}
