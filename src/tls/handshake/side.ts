/** Contexts as the side of a connection that a tunnel takes: server or client. */

import type { Clock } from "../../clock/index.ts";
import { ClientContexts } from "./contexts.ts";
import type { TlsSide } from "./handshake.ts";
import { ServerContexts } from "./server-contexts.ts";
import type { ClientMaterial, ServerMaterial } from "../material/material.ts";

export type SideMaterial =
  | { readonly role: "server"; readonly material: ServerMaterial }
  | { readonly role: "client"; readonly material: ClientMaterial };

/** Does it decide whom to trust by anchors? */
export function needsTrust(side: SideMaterial): boolean {
  return side.role === "server"
    ? side.material.clientCertificate !== "none"
    : side.material.verifiesCertificate;
}

/** Throws TlsMaterialError for material that OpenSSL will not use. */
export function openSide(side: SideMaterial, clock: Clock): TlsSide {
  if (side.role === "server") return new ServerContexts(side.material, clock);
  const contexts = new ClientContexts(side.material, clock);
  return { role: side.role, open: (wire, { ready }) => ready(() => contexts.handshake(wire)) };
}
