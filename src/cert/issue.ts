/**
 * Authorities and the certificates they sign, in the profile of RFC 5280 section 4.2 and of the
 * CA/Browser Forum's Baseline Requirements (section 7.1.2), as far as a development authority can
 * follow them: it has no place for revocation lists. Time and chance come with `tools`.
 *
 * @example
 * const tools = { clock: systemClock, crypto: webcrypto };
 * const authority = await makeAuthority(tools);
 * const server = await issueServerCertificate(tools, authority, { names: ["localhost", "127.0.0.1"] });
 * tls.createServer({ cert: server.certificates, key: server.key });
 */

import { X509Certificate } from "node:crypto";
import { formatPrivateKey, generateKeys, importKeys, readPrivateKey } from "./keys.ts";
import { parseClientName, parseCommonName, parseServerNames, serverCommonName } from "./names.ts";
import { formatCertificates, parseCertificates } from "./pem.ts";
import { CertProblem } from "./problem.ts";
import { loadX509 } from "./x509-package.ts";

import type * as X509 from "@peculiar/x509";
import type { webcrypto } from "node:crypto";
import type { Clock } from "../clock/index.ts";
import type { KeyType, SigningKeys } from "./keys.ts";
import type { ServerName } from "./names.ts";

/** Time and chance. */
export interface CertTools {
  readonly clock: Pick<Clock, "realtimeNs">;
  /** Makes keys, serial numbers and signatures: `webcrypto` of node:crypto. */
  readonly crypto: webcrypto.Crypto;
}

/** A certificate with those that lead from it to its root, and the key it is about. */
export interface CertifiedKey {
  /** PEM, the certificate first; without the root unless it is the certificate itself. */
  readonly certificates: string;
  /** PEM of PKCS #8, not encrypted. */
  readonly key: string;
}

export interface AuthorityOptions {
  /** Its common name, 1 to 64 characters. */
  readonly name?: string | undefined;
  readonly keyType?: KeyType | undefined;
  /** Days of validity, 1 to DAYS_MAX. */
  readonly days?: number | undefined;
}

export interface IssueOptions {
  /** The type of the key that is made; that of the authority's default, P-256, unless given. */
  readonly keyType?: KeyType | undefined;
  /** The key to certify, PEM, instead of a new one. */
  readonly key?: string | undefined;
  /** Days of validity, 1 to DAYS_MAX, and no longer than the authority. */
  readonly days?: number | undefined;
}

/** Ten years. */
export const AUTHORITY_DAYS = 3650;

/** Clients refuse what is valid for more than 398 days (BR section 6.3.2, as of 2020). */
export const LEAF_DAYS = 397;

/** A century. */
export const DAYS_MAX = 36_500;

const AUTHORITY_NAME = "ucspi development CA";
const DAY_MS = 86_400_000;

/** The validity begins so long before now: clocks of other machines may be slow. */
const SLACK_MS = 3_600_000;

/** RFC 5280 section 4.1.2.2: at most 20 octets. */
const SERIAL_BYTES = 20;

/** id-kp-serverAuth and id-kp-clientAuth (RFC 5280 section 4.2.1.12). */
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Make an authority that signs leaf certificates and no other authority. Throws CertProblem. */
export async function makeAuthority(
  tools: CertTools,
  options: AuthorityOptions = {},
): Promise<CertifiedKey> {
  const { name = AUTHORITY_NAME, keyType = "p256", days = AUTHORITY_DAYS } = options;
  const commonName = parseCommonName(name);
  const validity = validityOf(tools.clock, days);
  const keys = await generateKeys(tools.crypto, keyType);
  const x509 = await loadX509();
  const { KeyUsageFlags } = x509;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity,
      serialNumber: randomSerial(tools.crypto),
      subject: nameOf(x509, commonName),
      issuer: nameOf(x509, commonName),
      publicKey: keys.keys.publicKey,
      signingKey: keys.keys.privateKey,
      signingAlgorithm: keys.signing,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.keys.publicKey, false, tools.crypto),
      ],
    },
    tools.crypto,
  );
  return certified([new X509Certificate(certificate.toString("pem"))], keys);
}

/**
 * Sign a certificate for a server with these DNS names, wildcards and IP addresses. Throws CertProblem
 * for names that are none and for an authority that cannot sign.
 */
export async function issueServerCertificate(
  tools: CertTools,
  authority: CertifiedKey,
  options: IssueOptions & { readonly names: readonly string[] },
): Promise<CertifiedKey> {
  const names = parseServerNames(options.names);
  const subject = { commonName: serverCommonName(names), names, purpose: SERVER_AUTH };
  return issueLeaf(tools, authority, subject, options);
}

/** Sign a certificate for a client, whose name may be an email address. Throws CertProblem. */
export async function issueClientCertificate(
  tools: CertTools,
  authority: CertifiedKey,
  options: IssueOptions & { readonly name: string },
): Promise<CertifiedKey> {
  const subject = { ...parseClientName(options.name), purpose: CLIENT_AUTH };
  return issueLeaf(tools, authority, subject, options);
}

/** The alternative names of the first certificate that are a server's, as issueServerCertificate takes them. */
export async function serverNamesOf(certificates: string): Promise<readonly string[]> {
  const x509 = await loadX509();
  const certificate = new x509.X509Certificate(certificates);
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? [];
  return names.filter(({ type }) => type === "dns" || type === "ip").map(({ value }) => value);
}

/** Whom a leaf certificate is about, and what it is good for. */
interface LeafSubject {
  readonly commonName: string | undefined;
  readonly names: readonly ServerName[];
  readonly purpose: string;
}

async function issueLeaf(
  tools: CertTools,
  authority: CertifiedKey,
  subject: LeafSubject,
  { keyType = "p256", key, days = LEAF_DAYS }: IssueOptions,
): Promise<CertifiedKey> {
  const chain = checkAuthority(tools.clock, authority);
  const { crypto } = tools;
  const signer = await importKeys(crypto, authority.key, "the authority's key");
  const keys =
    key === undefined
      ? await generateKeys(crypto, keyType)
      : await importKeys(crypto, key, "the key to certify");
  const x509 = await loadX509();
  const issuer = new x509.X509Certificate(chain[0].raw);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validityOf(tools.clock, days, issuer.notAfter),
      serialNumber: randomSerial(crypto),
      subject: nameOf(x509, subject.commonName),
      issuer: issuer.subjectName,
      publicKey: keys.keys.publicKey,
      signingKey: signer.keys.privateKey,
      signingAlgorithm: signer.signing,
      extensions: await leafExtensions(crypto, issuer, subject, keys),
    },
    crypto,
  );
  const leaf = new X509Certificate(certificate.toString("pem"));
  return certified([leaf, ...chain.filter((above) => !isRoot(above))], keys);
}

async function leafExtensions(
  crypto: webcrypto.Crypto,
  issuer: X509.X509Certificate,
  { commonName, names, purpose }: LeafSubject,
  { keys, isRsa }: SigningKeys,
): Promise<X509.Extension[]> {
  const x509 = await loadX509();
  const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;
  // Key transport is for the RSA suites of TLS 1.2.
  const usages =
    isRsa && purpose === SERVER_AUTH ? digitalSignature | keyEncipherment : digitalSignature;
  const issuerId = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  const authorityId =
    issuerId === undefined
      ? await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey, false, crypto)
      : new x509.AuthorityKeyIdentifierExtension(issuerId, false);
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(usages, true),
    new x509.ExtendedKeyUsageExtension([purpose], false),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
    authorityId,
    ...(names.length === 0
      ? []
      : [new x509.SubjectAlternativeNameExtension([...names], commonName === undefined)]),
  ];
}

/** The authority's chain, once it is known to be able to sign now. */
function checkAuthority(
  clock: CertTools["clock"],
  { certificates, key }: CertifiedKey,
): readonly [X509Certificate, ...X509Certificate[]] {
  const chain = parseCertificates(Buffer.from(certificates), "the authority");
  const [issuer] = chain;
  const privateKey = readPrivateKey(key, "the authority's key");
  const why = !issuer.ca
    ? "its certificate is not an authority's"
    : !issuer.checkPrivateKey(privateKey)
      ? "its key does not belong to its certificate"
      : Date.parse(issuer.validTo) <= nowMs(clock)
        ? `it has expired on ${issuer.validTo}`
        : undefined;
  if (why !== undefined) throw new CertProblem("input", `the authority cannot sign: ${why}`);
  return chain;
}

/** Certificates have no fractions of seconds; the last second is part of the validity. */
function validityOf(
  clock: CertTools["clock"],
  days: number,
  latest?: Date,
): { readonly notBefore: Date; readonly notAfter: Date } {
  if (!Number.isInteger(days) || days < 1 || days > DAYS_MAX) {
    throw new CertProblem("input", `not a number of days from 1 to ${DAYS_MAX}: ${days}`);
  }
  const fromMs = Math.floor((nowMs(clock) - SLACK_MS) / 1000) * 1000;
  const untilMs = Math.min(fromMs + days * DAY_MS - 1000, latest?.getTime() ?? Infinity);
  return { notBefore: new Date(fromMs), notAfter: new Date(untilMs) };
}

function nowMs(clock: CertTools["clock"]): number {
  return Number(clock.realtimeNs() / 1_000_000n);
}

/** Positive, and always of the full length (BR section 7.1 asks for 64 bits of chance). */
function randomSerial(crypto: webcrypto.Crypto): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  const first = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from([first, ...bytes.subarray(1)]).toString("hex");
}

/** A name of one common name, or the empty name. */
function nameOf({ Name }: Pick<typeof X509, "Name">, commonName: string | undefined): X509.Name {
  return new Name(commonName === undefined ? [] : [{ CN: [{ utf8String: commonName }] }]);
}

/** Is it signed by itself? */
function isRoot(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer;
}

function certified(chain: readonly X509Certificate[], { keys }: SigningKeys): CertifiedKey {
  return { certificates: formatCertificates(chain), key: formatPrivateKey(keys.privateKey) };
}
