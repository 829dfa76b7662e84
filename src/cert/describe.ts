/** Certificates in words, with node:crypto alone. */

import { describeKey } from "./keys.ts";
import { escapeUnprintable } from "./names.ts";
import { parseCertificates } from "./pem.ts";

import type { X509Certificate } from "node:crypto";

/** The facts of a certificate for people to read. Texts are on one line and printable. */
export interface CertificateDescription {
  /** The relative distinguished names, separated by commas: `O=Example, CN=example.org`. */
  readonly subject: string;
  readonly issuer: string;
  /** The alternative names: `DNS:example.org, IP Address:192.0.2.1`; empty if there are none. */
  readonly names: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Key type and size: `EC P-256`. */
  readonly key: string;
  readonly serial: string;
  readonly isAuthority: boolean;
  /** Of the whole certificate, as SSL_PEER_CERT_HASH has it: `SHA256:` and 64 hexadecimal digits. */
  readonly fingerprint: string;
}

/**
 * Describe each certificate of a PEM chain, or one in DER. Throws CertProblem, which calls the bytes
 * `source`.
 */
export function describeCertificates(
  bytes: Uint8Array,
  source: string,
): readonly CertificateDescription[] {
  return parseCertificates(bytes, source).map(describeCertificate);
}

export function describeCertificate(certificate: X509Certificate): CertificateDescription {
  return {
    subject: distinguishedName(certificate.subject),
    issuer: distinguishedName(certificate.issuer),
    names: escapeUnprintable(certificate.subjectAltName ?? ""),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    key: keyOf(certificate),
    serial: certificate.serialNumber.toLowerCase(),
    isAuthority: certificate.ca,
    fingerprint: fingerprintOf(certificate),
  };
}

/** `SHA256:` and the hash of the DER in lower-case hexadecimal, the form of SSL_PEER_CERT_HASH. */
export function fingerprintOf(certificate: X509Certificate): string {
  return `SHA256:${certificate.fingerprint256.replaceAll(":", "").toLowerCase()}`;
}

/** A description as indented lines under a title. */
export function formatDescription(title: string, description: CertificateDescription): string {
  const { subject, issuer, names, notBefore, notAfter, key, serial, isAuthority } = description;
  const facts = [
    ["subject", subject === "" ? "none" : subject],
    ["issuer", issuer],
    ["names", names],
    ["valid", `${formatDate(notBefore)} to ${formatDate(notAfter)}`],
    ["key", key],
    ["serial", serial],
    ["authority", isAuthority ? "yes" : ""],
    ["fingerprint", description.fingerprint],
  ] as const;
  const lines = facts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `  ${`${name}:`.padEnd(13)}${value}\n`);
  return `${title}\n${lines.join("")}`;
}

/** To the second, in UTC. */
function formatDate(date: Date): string {
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString().replace(".000Z", "Z");
}

/** Node has a line for each; undefined where there is none at all. */
function distinguishedName(lines: string | undefined): string {
  return escapeUnprintable((lines ?? "").split("\n").join(", "));
}

/** OpenSSL may not know the algorithm of a key. */
function keyOf(certificate: X509Certificate): string {
  try {
    return describeKey(certificate.publicKey);
  } catch {
    return "unknown"; // which is what there is to say
  }
}
