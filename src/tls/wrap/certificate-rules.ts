/** What rules say about the client's certificate, between the handshake and the program. */

import { CdbRules, DirectoryRules } from "../../access/index.ts";
import type { CertificateRules as Rules } from "../../access/index.ts";
import { EXIT } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import { decodeBytes } from "../../posix/index.ts";
import { hasNames, UNREADABLE_NAMES } from "../handshake/facts.ts";
import type { PeerCertificate } from "../handshake/facts.ts";
import type { CertificateRules } from "../options.ts";
import type { Plan } from "./plan.ts";

export type Admission =
  | {
      readonly kind: "admit";
      readonly edits: readonly EnvironmentEdit[];
      /** What to run in place of the program. */
      readonly argv: readonly string[] | undefined;
    }
  | { readonly kind: "refuse"; readonly exitCode: number };

const EVERYBODY: Admission = { kind: "admit", edits: [], argv: undefined };

/** Opened rules by the words that name them. */
const OPENED = new WeakMap<CertificateRules, Rules>();

/** Is a client with this certificate (undefined: none that was verified) to be served? */
export function admitPeer(
  peer: PeerCertificate | undefined,
  { name, rules, verbosity }: Plan,
  context: LinkContext,
): Admission {
  if (rules === undefined) return EVERYBODY;
  if (peer !== undefined && !hasNames(peer)) {
    return cannotCheck(UNREADABLE_NAMES, name, context);
  }
  const verdict = openRules(rules, context).checkClientCertificate(peer);
  if (verdict.kind === "allow") {
    const argv = verdict.exec && ["execlineb", "-c", decodeBytes(verdict.exec)];
    return { kind: "admit", edits: verdict.edits, argv };
  }
  if (verdict.kind === "error") return cannotCheck(verdict.why, name, context);
  if (verbosity >= 2) {
    const who = peer === undefined ? "a client without a certificate" : `sha256:${peer.sha256}`;
    const by = verdict.kind === "deny" ? `rule ${verdict.rule}` : "no rule allows it";
    context.report(name, "info", `deny ${who}: ${by}`);
  }
  return { kind: "refuse", exitCode: EXIT.refused };
}

function cannotCheck(why: string, name: string, { report }: LinkContext): Admission {
  report(name, "fatal", `unable to check the client's certificate: ${why}`);
  return { kind: "refuse", exitCode: EXIT.system };
}

function openRules(source: CertificateRules, { posix }: LinkContext): Rules {
  const known = OPENED.get(source);
  if (known !== undefined) return known;
  const { kind, path } = source;
  const rules = kind === "cdb" ? new CdbRules(posix, path) : new DirectoryRules(posix, path);
  OPENED.set(source, rules);
  return rules;
}
