/** The results of a handshake, and the variables with them for a program (networking.md, 13.2). */

import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import {
  formatAlternativeNames,
  parseAlternativeNames,
  receivedServerName,
  receivedWord,
} from "../../net/index.ts";
import type { AlternativeName, EnvironmentEdit, Variables } from "../../net/index.ts";
import { readAlternativeNames } from "../material/certificate-fields.ts";
import { formatSubject } from "../material/subject.ts";

/** The facts about a connection once it is secured. */
export interface TlsFacts {
  /** `TLSv1.2`, `TLSv1.3`, or `unknown`. */
  readonly protocol: string;
  /** As OpenSSL calls it, `ECDHE-RSA-AES128-GCM-SHA256`. */
  readonly cipher: string;
  /** As the client wrote it, without a dot at its end. */
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
  /** Undefined when they cannot be read or told (`readAlternativeNames`): rules must not guess. */
  readonly alternativeNames: readonly AlternativeName[] | undefined;
}

const HASH = "SSL_PEER_CERT_HASH";
const SUBJECT = "SSL_PEER_CERT_SUBJECT";
/** Our addition: the alternative names of the certificate. Unset where they are not known. */
const NAMES = "SSL_PEER_CERT_SAN";

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
    { name: NAMES, value: peer?.alternativeNames && formatAlternativeNames(peer.alternativeNames) },
  ];
}

/** The verified certificate that variables tell of, where they do. */
export function peerOf(variables: Variables): PeerCertificate | undefined {
  const [, sha256] = /^SHA256:([0-9a-f]{64})$/.exec(variables(HASH) ?? "") ?? [];
  const names = variables(NAMES);
  if (sha256 === undefined) return undefined;
  const alternativeNames = names === undefined ? undefined : parseAlternativeNames(names);
  return { sha256, subject: variables(SUBJECT), alternativeNames };
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
    serverName: serverName === undefined ? undefined : receivedServerName(serverName),
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
  return {
    sha256: createHash("sha256").update(der).digest("hex"),
    subject: formatSubject(der),
    alternativeNames: readAlternativeNames(der),
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

/** The most certificates that are looked at of those that a peer has shown. */
const SHOWN_CERTIFICATES_MAX = 32;

/** The peer's certificate and its issuers, as far as the peer or our anchors have them; in DER. */
export function shownCertificates(socket: TLSSocket): Buffer[] {
  const shown: Buffer[] = [];
  let one: PeerChain | null | undefined = socket.getPeerCertificate(true);
  while (one?.raw !== undefined && shown.length < SHOWN_CERTIFICATES_MAX) {
    shown.push(one.raw);
    // Node has a root point to itself.
    one = one.issuerCertificate === one ? undefined : one.issuerCertificate;
  }
  return shown;
}

/** As `getPeerCertificate` has it, for its types leave out that everything may be missing. */
interface PeerChain {
  readonly raw?: Buffer;
  readonly issuerCertificate?: PeerChain | null;
}
