/** The decision about the client's certificate, between the handshake and the program, and its log. */

import { EXIT } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { PeerCertificate } from "../handshake/facts.ts";
import { admitPeer } from "../handshake/peer-rules.ts";
import type { TlsCommand } from "./tls-command.ts";

export type PeerDecision =
  | {
      readonly kind: "admit";
      readonly edits: readonly EnvironmentEdit[];
      /** The command line to run in place of the program. */
      readonly words: readonly string[] | undefined;
    }
  /** The reason has been reported. */
  | { readonly kind: "refuse"; readonly exitCode: number };

/** Is a client with this certificate (undefined: none that was verified) to be served? */
export function decideAboutPeer(
  peer: PeerCertificate | undefined,
  { name, admit, verbosity }: TlsCommand,
  { report }: LinkContext,
): PeerDecision {
  const admission = admitPeer(peer, admit);
  switch (admission.kind) {
    case "admit":
      return admission;
    case "error":
      report(name, "fatal", `unable to check the client's certificate: ${admission.reason}`);
      return { kind: "refuse", exitCode: EXIT.system };
    case "refuse":
      if (verbosity >= 2) report(name, "info", `deny ${nameOf(peer)}: ${admission.reason}`);
      return { kind: "refuse", exitCode: EXIT.refused };
  }
}

function nameOf(peer: PeerCertificate | undefined): string {
  return peer === undefined ? "a client without a certificate" : `sha256:${peer.sha256}`;
}
