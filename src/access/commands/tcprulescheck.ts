/** s6-tcprulescheck: show the answer of compiled rules about a client (networking.md, section 10.1). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal, orFatal } from "../../command/index.ts";
import { list, oneOf, parsedBy, UsageError, value } from "../../options/index.ts";
import {
  Cdb,
  CdbRuleSet,
  certificateKey,
  certificateOf,
  checkDjbRules,
  checkS6Rules,
  detectRulesFormat,
  explainFailure,
  parseCertificateFact,
  readCdbFile,
} from "../index.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { CertificateFact, DjbVerdict, RemoteClient, RulesFormat, Verdict } from "../index.ts";

/** One thing that is known of a client's certificate, or that it has none. */
type KnownFact = CertificateFact | "none";

const NAME = "s6-tcprulescheck";
/** Said of a database that could be of either format. */
const ASSUMPTION =
  "it is taken for rules of s6, which refuse every client; to ucspi-tcp (--format=djb) it admits every client";

/** The address that ucspi-tcp assumes where none is given. */
const ANY_IP = "0.0.0.0";

const KNOWN_FACT = parsedBy<KnownFact>(
  (text) => {
    if (text === "none") return text;
    const fact = parseCertificateFact(text);
    return fact !== undefined && certificateKey(fact) !== undefined ? fact : undefined;
  },
  "none, or sha256:, dns:, email:, uri:, ip: or subject: and a value that has a key",
  (fact) => (fact === "none" ? fact : `${fact.kind}:${fact.value}`),
);

export const tcprulescheck = defineCommand({
  name: NAME,
  summary: "show what compiled access rules say about a client",
  family: "long",
  options: {
    format: value(
      {
        long: "format",
        argument: "s6|djb",
        help: "read the file as rules for s6 or for ucspi-tcp; detected by default",
        ours: true,
      },
      oneOf("s6", "djb"),
      undefined,
    ),
    clientCert: list(
      {
        long: "client-cert",
        argument: "none|type:value",
        help: "ask about a client of TLS without a certificate, or with one that holds this, such as dns:a.example; may be given several times, once for each thing known of it",
        ours: true,
      },
      KNOWN_FACT,
    ),
  },
  operands: "cdb",
  operandCount: [1, 1],
  run(context, { format, clientCert }, [cdb = ""]) {
    const { posix, environment } = context;
    const client: RemoteClient = {
      ip: environment.get("TCPREMOTEIP") ?? ANY_IP,
      host: environment.get("TCPREMOTEHOST"),
      info: environment.get("TCPREMOTEINFO"),
    };
    const verdict = orFatal(
      (error) => explainFailure(posix, `read ${cdb}`, error),
      () => {
        const bytes = readCdbFile(posix, cdb);
        const database = new Cdb(bytes);
        if (format === undefined && database.entries().next().done === true) {
          context.report(NAME, "warning", `${cdb} has no records: ${ASSUMPTION}`);
        }
        const chosen = format ?? detectRulesFormat(database);
        if (clientCert.length > 0) return checkCertificate(bytes, clientCert, chosen);
        return chosen === "djb"
          ? checkDjbRules(database, client)
          : settled(checkS6Rules(bytes, client));
      },
    );
    context.print(describe(verdict));
  },
});

function checkCertificate(
  bytes: Uint8Array,
  known: readonly KnownFact[],
  format: RulesFormat,
): DjbVerdict {
  const facts = known.filter((fact) => fact !== "none");
  if (facts.length > 0 && facts.length < known.length) {
    throw new UsageError("client-cert none stands alone", true);
  }
  if (format === "djb") {
    throw new Fatal(EXIT.usage, "rules for ucspi-tcp know no client certificates");
  }
  const certificate = facts.length === 0 ? undefined : certificateOf(facts);
  return settled(new CdbRuleSet(bytes).checkClientCertificate(certificate));
}

/** A verdict as ucspi-tcp has them: nothing found is a refusal by default. */
function settled(verdict: Verdict): DjbVerdict {
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
