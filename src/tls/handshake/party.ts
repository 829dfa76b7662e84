/** Contexts as the parties of tunnels. */

import type { Clock } from "../../clock/index.ts";
import { ClientContexts, ServerContexts } from "./contexts.ts";
import { describeTlsError } from "./describe-error.ts";
import type { ClientMaterial, ServerMaterial } from "../material/material.ts";
import type { TlsParty } from "../tunnel/tunnel.ts";

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
