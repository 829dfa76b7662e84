/** The results of a handshake, and the variables with them for a program (networking.md, 13.2). */

import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { receivedWord } from "../../net/index.ts";
import type { AlternativeName, EnvironmentEdit, Variables } from "../../net/index.ts";
import { readAlternativeNames } from "../material/certificate-fields.ts";
import { formatSubject } from "../material/subject.ts";

/** The facts about a connection once it is secured. */
export interface TlsFacts {
  /** `TLSv1.2`, `TLSv1.3`, or `unknown`. */
  readonly protocol: string;
  /** As OpenSSL calls it, `ECDHE-RSA-AES128-GCM-SHA256`. */
  readonly cipher: string;
  /** As the client wrote it. */
  readonly serverName: string | undefined;
  /** The application protocol agreed on. */
  readonly alpn: string | undefined;
  /** Was a certificate of the peer asked for? */
  readonly reportsPeer: boolean;
  /** The peer's certificate. Undefined unless it has been verified. */
  readonly peer: PeerCertificate | undefined;
}

/** A certificate that has been verified. */
export interface PeerCertificate {
  /** SHA-256 of the certificate in DER, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** See `formatSubject`. */
  readonly subject: string | undefined;
  /** Undefined when they cannot be read or told: rules must not guess (`hasNames`). */
  readonly alternativeNames: readonly AlternativeName[] | undefined;
}

/** One whose alternative names are known, which may be none. */
export interface NamedPeer extends PeerCertificate {
  readonly alternativeNames: readonly AlternativeName[];
}

/** The reason why rules cannot be applied to a certificate: they may apply to a name that is unknown. */
export const UNREADABLE_NAMES = "its alternative names cannot be read";

/** Is everything known that rules look up? */
export function hasNames(peer: PeerCertificate): peer is NamedPeer {
  return peer.alternativeNames !== undefined;
}

const HASH = "SSL_PEER_CERT_HASH";
const SUBJECT = "SSL_PEER_CERT_SUBJECT";
/** Our addition: the alternative names of the certificate. Unset where they are not known. */
const NAMES = "SSL_PEER_CERT_SAN";
/** Leaves room for the rest of a block. Longer names count as not known, however they travel. */
const NAMES_BYTES_MAX = 2048;

/** Our addition; the variable is left alone where no protocol was agreed on. */
const ALPN_VARIABLE = "SSL_TLS_ALPN_PROTOCOL";

/** The variables, in the order of the block. */
export function tlsEdits(facts: TlsFacts): EnvironmentEdit[] {
  const edits: EnvironmentEdit[] = [
    { name: "SSL_PROTOCOL", value: facts.protocol },
    { name: "SSL_CIPHER", value: facts.cipher },
    { name: "SSL_TLS_SNI_SERVERNAME", value: facts.serverName },
  ];
  if (facts.reportsPeer) edits.push(...peerEdits(facts.peer));
  if (facts.alpn !== undefined) edits.push({ name: ALPN_VARIABLE, value: facts.alpn });
  return edits;
}

function peerEdits(peer: PeerCertificate | undefined): EnvironmentEdit[] {
  const hash = peer === undefined ? undefined : `SHA256:${peer.sha256}`;
  return [
    { name: HASH, value: hash },
    { name: SUBJECT, value: peer?.subject },
    { name: NAMES, value: peer?.alternativeNames && formatNames(peer.alternativeNames) },
  ];
}

/** The verified certificate that variables tell of, where they do. */
export function peerOf(variables: Variables): PeerCertificate | undefined {
  const [, sha256] = /^SHA256:([0-9a-f]{64})$/.exec(variables(HASH) ?? "") ?? [];
  const names = variables(NAMES);
  if (sha256 === undefined) return undefined;
  const alternativeNames = names === undefined ? undefined : parseNames(names);
  return { sha256, subject: variables(SUBJECT), alternativeNames };
}

/** `dns:www.example.com email:me@example.com`; no name has a blank (certificate-fields.ts). */
function formatNames(names: readonly AlternativeName[]): string {
  return names.map(({ kind, value }) => `${kind}:${value}`).join(" ");
}

/** Undefined when one of the words is no name. */
function parseNames(text: string): AlternativeName[] | undefined {
  const names: AlternativeName[] = [];
  for (const word of text === "" ? [] : text.split(" ")) {
    const [, kind, value] = /^(dns|email|uri|ip):([\x21-\x7e]+)$/.exec(word) ?? [];
    if (value === undefined || !isKind(kind)) return undefined;
    names.push({ kind, value });
  }
  return names;
}

function isKind(word: string | undefined): word is AlternativeName["kind"] {
  return word === "dns" || word === "email" || word === "uri" || word === "ip";
}

/** The knowledge of the two sides about a connection, besides that of its socket. */
export interface FactsOptions {
  /** The name as sent; not a name of a certificate. */
  readonly serverName: string | undefined;
  readonly reportsPeer: boolean;
  /** Only then is the certificate of the peer read. */
  readonly isPeerVerified: boolean;
}

/** The facts of a socket whose handshake is over. */
export function factsOf(socket: TLSSocket, options: FactsOptions): TlsFacts {
  const { serverName, reportsPeer, isPeerVerified } = options;
  return {
    protocol: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().name,
    serverName,
    alpn: exportable(socket.alpnProtocol),
    reportsPeer,
    peer: isPeerVerified ? peerCertificate(socket) : undefined,
  };
}

/** A word of the peer's that may become a variable. Others are taken for no word at all. */
export function exportable(word: string | false | null | undefined): string | undefined {
  return typeof word === "string" ? receivedWord(word) : undefined;
}

function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const der = peerCertificateOf(socket);
  if (der === undefined) return undefined;
  const names = readAlternativeNames(der);
  const isShort = names !== undefined && formatNames(names).length <= NAMES_BYTES_MAX;
  return {
    sha256: createHash("sha256").update(der).digest("hex"),
    subject: formatSubject(der),
    alternativeNames: isShort ? names : undefined,
  };
}

/**
 * The peer's certificate, verified or not; undefined without one. Not by getPeerX509Certificate, which
 * on a client's socket gives another certificate each time (Node 20 takes it out of OpenSSL's chain).
 */
export function peerCertificateOf(socket: TLSSocket): Buffer | undefined {
  // An empty object without a certificate, null once the socket is closed.
  const certificate: { readonly raw?: Buffer } | null = socket.getPeerCertificate();
  return certificate?.raw;
}
