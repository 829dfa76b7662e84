/** Contexts as the parties of tunnels. */

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import { ClientContexts, ServerContexts } from "./contexts.ts";
import { describeTlsError } from "./describe-error.ts";
import type { ClientMaterial, ServerMaterial } from "../material/material.ts";
import type { TlsFacts } from "./facts.ts";

/** One of the two parties of TLS: starts a handshake, judges the other party. */
export interface TlsParty {
  start(wire: Duplex): TLSSocket;
  /** Why the other party is not accepted, once the handshake is done. */
  verdict(socket: TLSSocket): string | undefined;
  facts(socket: TLSSocket): TlsFacts;
  /** A failure of the engine in a few words. */
  describeError(error: unknown): string;
}

export type PartyMaterial =
  | { readonly role: "server"; readonly material: ServerMaterial }
  | { readonly role: "client"; readonly material: ClientMaterial };

/** Throws TlsMaterialError for material that OpenSSL will not use. */
export function openParty(party: PartyMaterial, clock: Clock): TlsParty {
  if (party.role === "client") {
    const contexts = new ClientContexts(party.material);
    return {
      start: (wire) => contexts.connect(wire),
      verdict: (socket) => contexts.verdict(socket),
      facts: (socket) => contexts.facts(socket),
      describeError: describeTlsError,
    };
  }
  const contexts = new ServerContexts(party.material, clock);
  return {
    start: (wire) => contexts.accept(wire),
    verdict: (socket) => contexts.verdict(socket),
    facts: (socket) => contexts.facts(socket),
    describeError: describeTlsError,
  };
}
