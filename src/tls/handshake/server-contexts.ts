/**
 * Handshakes of a server. It reads the ClientHello before OpenSSL does, and chooses by the name in it the
 * context that the handshake begins with. The name is told as it was read: Node's OpenSSL does not tell
 * that of a session of TLS 1.2 that is resumed.
 */

import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import type { ServerMaterial } from "../material/material.ts";
import type { ClientCertificateDemand } from "../options/declarations.ts";
import { ClientCertificates } from "./client-certificate.ts";
import { checkCiphers, contextOf } from "./contexts.ts";
import { describeTlsError } from "./describe-error.ts";
import { exportable, factsOf } from "./facts.ts";
import type { TlsFacts } from "./facts.ts";
import type { SideEvents, TlsHandshake, TlsSide } from "./handshake.ts";
import { NamedContexts } from "./named-contexts.ts";
import { awaitClientHello } from "./opening.ts";
import type { AheadStream, Opening } from "./opening.ts";
import { nameKey } from "./server-names.ts";

/** The lifetime of the keys of session tickets, in milliseconds: 12 hours. */
const TICKET_KEYS_LIFE_MS = 43_200_000;

/** A server's side of handshakes. Make another one when the material has changed. */
export class ServerContexts implements TlsSide {
  readonly role = "server";
  readonly #material: ServerMaterial;
  readonly #clock: Pick<Clock, "realtimeNs" | "monotonicMs">;
  readonly #certificates: ClientCertificates;
  /** For a client that is refused whatever it sends: without a certificate there is no handshake. */
  readonly #blank: SecureContext;
  readonly #startMs: number;
  #epoch: string;
  #contexts: NamedContexts;

  /** Throws TlsMaterialError: 100 for settings, 96 for a pair that OpenSSL will not use. */
  constructor(material: ServerMaterial, clock: Pick<Clock, "realtimeNs" | "monotonicMs">) {
    this.#material = material;
    this.#clock = clock;
    checkCiphers(material);
    this.#certificates = new ClientCertificates(material.anchors);
    this.#blank = contextOf(material, undefined, { hasSessions: false });
    this.#startMs = clock.monotonicMs();
    this.#epoch = this.#currentEpoch();
    this.#contexts = new NamedContexts(material, clock);
    this.#contexts.prepare();
  }

  open(connection: AheadStream, { ready, ended }: SideEvents): void {
    awaitClientHello(connection, {
      opened: (opening) => ready(() => this.#start(connection, opening)),
      ended,
    });
  }

  #start(connection: Duplex, opening: Opening): TlsHandshake {
    const { clientCertificate, alpn } = this.#material;
    const answer = this.#answerTo(opening);
    const socket = new TLSSocket(connection, {
      isServer: true,
      secureContext: answer.context,
      requestCert: clientCertificate !== "none",
      rejectUnauthorized: clientCertificate === "required", // no certificate: an alert
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    });
    const problem = (): string | undefined => this.#certificates.problem(socket, this.#nowMs());
    return new ServerHandshake(socket, answer, clientCertificate, problem);
  }

  #answerTo(opening: Opening): Answer {
    if (opening.kind === "invalid") {
      return { context: this.#blank, serverName: undefined, refusal: opening.why };
    }
    const { serverName } = opening.hello;
    const context = this.#currentContexts().contextFor(serverName);
    if (context !== undefined) return { context, serverName, refusal: undefined };
    const why = `there is no certificate for ${describeName(serverName)}`;
    return { context: this.#blank, serverName, refusal: why, failure: why };
  }

  /** New keys for session tickets take new contexts; sessions of the old ones are not resumed. */
  #currentContexts(): NamedContexts {
    const epoch = this.#currentEpoch();
    if (epoch !== this.#epoch) {
      this.#contexts = new NamedContexts(this.#material, this.#clock);
      this.#epoch = epoch;
    }
    return this.#contexts;
  }

  /** A session does not outlive the anchor that its client was trusted by. */
  #currentEpoch(): string {
    const ageMs = this.#clock.monotonicMs() - this.#startMs;
    const anchors = this.#certificates.anchorsEpoch(this.#nowMs());
    return `${Math.floor(ageMs / TICKET_KEYS_LIFE_MS)} ${anchors}`;
  }

  #nowMs(): number {
    return Number(this.#clock.realtimeNs() / 1_000_000n);
  }
}

/** The answer to a ClientHello. */
interface Answer {
  readonly context: SecureContext;
  /** As the client has written it. */
  readonly serverName: string | undefined;
  /** The reason why the client must not be served, even if OpenSSL would. */
  readonly refusal: string | undefined;
  /** The reason why OpenSSL ends the handshake, where it does not know that. */
  readonly failure?: string;
}

class ServerHandshake implements TlsHandshake {
  readonly socket: TLSSocket;
  readonly #answer: Answer;
  readonly #demand: ClientCertificateDemand;
  readonly #findProblem: () => string | undefined;
  /** With the client's certificate, once it was looked for. */
  #client: { readonly problem: string | undefined } | undefined;

  constructor(
    socket: TLSSocket,
    answer: Answer,
    demand: ClientCertificateDemand,
    findProblem: () => string | undefined,
  ) {
    this.socket = socket;
    this.#answer = answer;
    this.#demand = demand;
    this.#findProblem = findProblem;
  }

  verdict(): string | undefined {
    const { refusal, serverName } = this.#answer;
    if (refusal !== undefined) return refusal;
    if (!isNameOf(this.socket, serverName))
      return "the client has changed the name that it asks for";
    return this.#demand === "required" ? this.#problemOfClient : undefined;
  }

  facts(): TlsFacts {
    const reportsPeer = this.#demand !== "none";
    return factsOf(this.socket, {
      serverName: exportable(this.#answer.serverName),
      reportsPeer,
      isPeerVerified: reportsPeer && this.#problemOfClient === undefined,
    });
  }

  get #problemOfClient(): string | undefined {
    this.#client ??= { problem: this.#findProblem() };
    return this.#client.problem;
  }

  describeError(error: unknown): string {
    return this.#answer.failure ?? describeTlsError(error);
  }
}

/** Is this the name that OpenSSL has read? In TLS 1.3 there may be a second ClientHello, with another. */
function isNameOf(socket: TLSSocket, serverName: string | undefined): boolean {
  const { servername: read } = socket as { servername?: unknown }; // @types/node knows it of clients only
  const name = typeof read === "string" && read !== "" ? read : undefined;
  return (
    name === serverName ||
    (name === undefined && isUntold(socket)) ||
    nameKey(name) === nameKey(serverName)
  );
}

function isUntold(socket: TLSSocket): boolean {
  return socket.isSessionReused() && socket.getProtocol() === "TLSv1.2";
}

function describeName(name: string | undefined): string {
  if (name === undefined) return "a client that asks for no name";
  return exportable(name) ?? "an invalid name";
}
