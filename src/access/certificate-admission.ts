/** The rules about client certificates as one decision: serve the client, refuse it, or an error. */

import { decodeBytes } from "../posix/index.ts";
import { CdbRules } from "./cdb/rules.ts";
import { DirectoryRules } from "./directory/rules.ts";

import type { EnvironmentEdit } from "../net/index.ts";
import type { Posix } from "../posix/index.ts";
import type { ClientCertificate } from "./lookup/client-certificate.ts";
import type { CertificateRules } from "./lookup/rules.ts";

export type CertificateAdmission =
  | {
      readonly kind: "admit";
      readonly edits: readonly EnvironmentEdit[];
      /** The command line to run in place of the program. */
      readonly words: readonly string[] | undefined;
    }
  | { readonly kind: "refuse"; readonly reason: string }
  | { readonly kind: "error"; readonly reason: string };

/** Rules by where they are kept; nothing is read before the first decision. */
export function openCertificateRules(
  { kind, path }: { readonly kind: "directory" | "cdb"; readonly path: string },
  posix: Posix,
): CertificateRules {
  return kind === "cdb" ? new CdbRules(posix, path) : new DirectoryRules(posix, path);
}

/** Decide about a client; undefined for one whose certificate is absent or not verified. */
export function admitCertificate(
  rules: CertificateRules,
  certificate: ClientCertificate | undefined,
): CertificateAdmission {
  const verdict = rules.checkClientCertificate(certificate);
  switch (verdict.kind) {
    case "allow": {
      const words = verdict.exec && ["execlineb", "-c", decodeBytes(verdict.exec)];
      return { kind: "admit", edits: verdict.edits, words };
    }
    case "deny":
      return { kind: "refuse", reason: `rule ${verdict.rule}` };
    case "notFound":
      return { kind: "refuse", reason: "no rule allows it" };
    case "error":
      return { kind: "error", reason: verdict.why };
  }
}
