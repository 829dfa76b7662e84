/** Contexts as the side of a connection that a tunnel takes: server or client. */

import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import { ClientContexts, ServerContexts } from "./contexts.ts";
import { describeTlsError } from "./describe-error.ts";
import type { ClientMaterial, ServerMaterial } from "../material/material.ts";
import type { TlsFacts } from "./facts.ts";

/** One of the two sides of TLS: starts a handshake, and decides whether the other side is accepted. */
export interface TlsSide {
  readonly role: "server" | "client";
  start(wire: Duplex): TLSSocket;
  /** The reason why the other side is not accepted, once the handshake is done. */
  verdict(socket: TLSSocket): string | undefined;
  facts(socket: TLSSocket): TlsFacts;
  /** A failure of the engine in a few words. */
  describeError(error: unknown): string;
}

export type SideMaterial =
  | { readonly role: "server"; readonly material: ServerMaterial }
  | { readonly role: "client"; readonly material: ClientMaterial };

/** Throws TlsMaterialError for material that OpenSSL will not use. */
export function openSide(side: SideMaterial, clock: Clock): TlsSide {
  if (side.role === "client") {
    const contexts = new ClientContexts(side.material, clock);
    return {
      role: side.role,
      start: (wire) => contexts.connect(wire),
      verdict: (socket) => contexts.verdict(socket),
      facts: (socket) => contexts.facts(socket),
      describeError: describeTlsError,
    };
  }
  const contexts = new ServerContexts(side.material, clock);
  return {
    role: side.role,
    start: (wire) => contexts.accept(wire),
    verdict: (socket) => contexts.verdict(socket),
    facts: (socket) => contexts.facts(socket),
    describeError: describeTlsError,
  };
}
