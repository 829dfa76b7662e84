/**
 * Rules about a peer's certificate, as the TLS area asks for them. Who has rules (src/access, or any
 * other implementation) hands in a function; nothing here knows where they are kept.
 */

import type { EnvironmentEdit } from "../../net/index.ts";
import type { PeerCertificate } from "./facts.ts";

/** The decision about a peer. */
export type PeerAdmission =
  | {
      readonly kind: "admit";
      readonly edits: readonly EnvironmentEdit[];
      /** The command line to run in place of the program; undefined for the program itself. */
      readonly words: readonly string[] | undefined;
    }
  /** `reason` completes "denied: ". */
  | { readonly kind: "refuse"; readonly reason: string }
  /** The rules cannot be looked up, which admits no client. */
  | { readonly kind: "error"; readonly reason: string };

/**
 * Decide about a peer; undefined for one without a verified certificate. Its alternative names may be
 * unknown. Does not throw.
 */
export type AdmitPeer = (peer: PeerCertificate | undefined) => PeerAdmission;

const EVERYBODY: PeerAdmission = { kind: "admit", edits: [], words: undefined };

/** Decide with these rules; without any every client is admitted. */
export function admitPeer(
  peer: PeerCertificate | undefined,
  admit: AdmitPeer | undefined,
): PeerAdmission {
  return admit === undefined ? EVERYBODY : admit(peer);
}
