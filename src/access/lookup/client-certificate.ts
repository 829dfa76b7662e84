/**
 * The keys of rules for TLS clients by their certificates, which are ours alone (docs/formats/access-rules.md):
 * `clientcert/TYPE:VALUE`. The content of a certificate is chosen by others, so a value is spelled in one
 * way only and cannot leave its key: it never holds a slash, and what is in front of it is ours.
 */

import { comparableHostName, formatIp, parseIp } from "../../net/index.ts";
import type { AlternativeName } from "../../net/index.ts";
import { decodeBytes, encodeBytes } from "../../posix/index.ts";

/** The facts that rules know of the certificate of a client, once it is verified. */
export interface ClientCertificate {
  /** Of the whole certificate in DER: 64 hexadecimal digits, with or without colons. */
  readonly sha256: string;
  /** Undefined where they are not known: one cannot be read, or they are too many to be told. */
  readonly alternativeNames: readonly AlternativeName[] | undefined;
  /** As SSL_PEER_CERT_SUBJECT shows it; undefined where that is unset. */
  readonly subject: string | undefined;
}

/** One fact of a certificate that there can be a key for. */
export type CertificateFact =
  | AlternativeName
  | { readonly kind: "sha256"; readonly value: string }
  | { readonly kind: "subject"; readonly value: string };

/** The kind of key that these are. */
export const CLIENT_CERTIFICATE_KIND = "clientcert";
/** The key of a client without a certificate, or with one that is not verified. */
export const NO_CERTIFICATE_KEY = "clientcert/none";
/** The key that decides for every certificate. */
export const ANY_CERTIFICATE_KEY = "clientcert/@";
/** The longest last part of a path (NAME_MAX); it limits compiled keys too. */
export const NAME_BYTES_MAX = 255;

/** The spelling of values in keys, by type; undefined for a text that is no such value. */
const SPELLINGS: Readonly<Record<CertificateFact["kind"], (value: string) => string | undefined>> =
  {
    sha256: spellFingerprint,
    dns: spellDns,
    email: spellEmail,
    uri: (value) => value,
    ip: spellIp,
    subject: (value) => (value === UNUSABLE_SUBJECT ? undefined : value),
  };

/** The types, in the order in which they are looked up. */
export const CERTIFICATE_FACTS: readonly string[] = Object.keys(SPELLINGS);

/** The text of SSL_PEER_CERT_SUBJECT for every subject with a part that is too long for it. */
const UNUSABLE_SUBJECT = "<invalid>";
const FINGERPRINT = /^[0-9a-f]{64}$/;
/** The characters that are escaped: the separator of paths, the escape itself, C0, DEL and C1. */
const ESCAPED = /[/%\p{Cc}]/gu;
const ESCAPES = /(?:%[0-9a-f]{2})+/gi;
const STRAY_ESCAPE = /%(?![0-9a-f]{2})/i;

/** The key of a fact; undefined for one that has none: not of its type, empty, or too long. */
export function certificateKey({ kind, value }: CertificateFact): string | undefined {
  const spelled = SPELLINGS[kind](value);
  if (spelled === undefined || spelled === "") return undefined;
  const name = `${kind}:${spelled.replace(ESCAPED, escapeCharacter)}`;
  const bytes = encodeBytes(name);
  // Two strings with the same bytes would share a key; the one that they decode to has it.
  if (bytes.length > NAME_BYTES_MAX || decodeBytes(bytes) !== name) return undefined;
  return `${CLIENT_CERTIFICATE_KIND}/${name}`;
}

/** The keys of alternative names, in the order of the names and each at most once. */
export function alternativeNameKeys(names: readonly AlternativeName[]): ReadonlySet<string> {
  return new Set(names.map(certificateKey).filter((key) => key !== undefined));
}

/**
 * Parse `TYPE:VALUE`, `%XX` standing for a byte; undefined for another type or a stray `%`. The
 * value need not be spelled as in keys.
 */
export function parseCertificateFact(text: string): CertificateFact | undefined {
  const colon = text.indexOf(":");
  const kind = text.slice(0, Math.max(colon, 0));
  if (!isFactKind(kind) || STRAY_ESCAPE.test(text)) return undefined;
  return { kind, value: text.slice(colon + 1).replace(ESCAPES, unescapeBytes) };
}

function isFactKind(kind: string): kind is CertificateFact["kind"] {
  return CERTIFICATE_FACTS.includes(kind);
}

function spellFingerprint(value: string): string | undefined {
  const digits = value.replaceAll(":", "").toLowerCase();
  return FINGERPRINT.test(digits) ? digits : undefined;
}

/** A name with an empty label, which no host has, has no key; the dot at the end is no part of a name. */
function spellDns(value: string): string | undefined {
  const name = comparableHostName(value);
  return name.split(".").includes("") ? undefined : name;
}

/** Capitals count in front of the `@` alone (RFC 5280 section 7.5). */
function spellEmail(value: string): string | undefined {
  const host = value.lastIndexOf("@") + 1;
  if (host === 0) return value;
  const name = spellDns(value.slice(host));
  return name && value.slice(0, host) + name;
}

function spellIp(value: string): string | undefined {
  const ip = parseIp(value);
  return ip && formatIp(ip);
}

function escapeCharacter(character: string): string {
  return encodeBytes(character)
    .toString("hex")
    .toUpperCase()
    .replace(/../g, (digits) => `%${digits}`);
}

function unescapeBytes(escapes: string): string {
  return decodeBytes(Buffer.from(escapes.replaceAll("%", ""), "hex"));
}
