/**
 * The meaning of the TLVs of a header: application protocol, server name, identifiers and the TLS of the
 * client (sections 2.2.1 to 2.2.8). Text is bytes that the sender chose: see `decodeBytes`.
 */

import { decodeBytes, encodeBytes } from "../posix/index.ts";
import { SSL_CLIENT_TLS, SSL_HEAD_BYTES, SSL_TLV, TLV, Tlvs } from "./tlv.ts";
import type { Tlv } from "./tlv.ts";

/** The TLS of the connection that is announced. */
export interface ProxyTls {
  /** `TLSv1.3` */
  readonly version?: string;
  readonly cipher?: string;
  /** The common name of the client's certificate. Believe it only if `isVerified`. */
  readonly commonName?: string;
  /** The algorithms of the certificate's signature and of its key: `SHA256`, `RSA2048`. */
  readonly signatureAlgorithm?: string;
  readonly keyAlgorithm?: string;
  /** The place where the client showed a certificate: this connection, or at least one of its session. */
  readonly certificate: "none" | "connection" | "session";
  /** The sender's verification of the certificate succeeded; of no worth without one. */
  readonly isVerified: boolean;
}

/** The TLVs of a header by what they mean. */
export interface ProxyExtensions {
  readonly alpn?: string;
  /** The host name that the client asked for (SNI). */
  readonly authority?: string;
  readonly uniqueId?: Uint8Array;
  /** The network namespace of the connection. */
  readonly netns?: string;
  /** Absent if the client did not use TLS. */
  readonly tls?: ProxyTls;
  /** The rest as it is: AWS, Azure, GCP, custom and future types. */
  readonly others?: readonly Tlv[];
}

/** The values by name. Of several vectors of one type the last counts. */
export function parseExtensions(tlvs: Tlvs): ProxyExtensions {
  const uniqueId = tlvs.get(TLV.uniqueId);
  const tls = [...tlvs].flatMap(({ type, value }) => (type === TLV.ssl ? parseTls(value) : []));
  const others = [...tlvs].filter(({ type }) => !NAMED.has(type));
  return definedOnly({
    alpn: textOf(tlvs, TLV.alpn),
    authority: textOf(tlvs, TLV.authority),
    uniqueId,
    netns: textOf(tlvs, TLV.netns),
    tls: tls.at(-1),
    others: others.length === 0 ? undefined : others,
  });
}

/** The vectors for these values. Throws RangeError for a value of more than 65535 bytes. */
export function formatExtensions(extensions: ProxyExtensions): Tlvs {
  const { alpn, authority, uniqueId, netns, tls, others = [] } = extensions;
  return Tlvs.of([
    ...textTlv(TLV.alpn, alpn),
    ...textTlv(TLV.authority, authority),
    ...(uniqueId === undefined ? [] : [{ type: TLV.uniqueId, value: uniqueId }]),
    ...(tls === undefined ? [] : [formatTls(tls)]),
    ...textTlv(TLV.netns, netns),
    ...others,
  ]);
}

/** The types that have a name in ProxyExtensions, or that only the parser needs. */
const NAMED: ReadonlySet<number> = new Set([
  TLV.alpn,
  TLV.authority,
  TLV.crc32c,
  TLV.noop,
  TLV.uniqueId,
  TLV.ssl,
  TLV.netns,
]);

/** Further bits of the client field: a certificate on this connection, or on one of its session. */
const CERTIFICATE_OF_CONNECTION = 0x02;
const CERTIFICATE_OF_SESSION = 0x04;

/** The SSL vector of a client that used TLS, as a list of one; else an empty one. */
function parseTls(value: Uint8Array): readonly ProxyTls[] {
  const client = value[0] ?? 0;
  if ((client & SSL_CLIENT_TLS) === 0) return [];
  const tlvs = new Tlvs(value.subarray(SSL_HEAD_BYTES));
  const tls: ProxyTls = definedOnly({
    version: textOf(tlvs, SSL_TLV.version),
    cipher: textOf(tlvs, SSL_TLV.cipher),
    commonName: textOf(tlvs, SSL_TLV.commonName),
    signatureAlgorithm: textOf(tlvs, SSL_TLV.signatureAlgorithm),
    keyAlgorithm: textOf(tlvs, SSL_TLV.keyAlgorithm),
    certificate: certificateOf(client),
    isVerified: value.subarray(1, SSL_HEAD_BYTES).every((byte) => byte === 0),
  });
  return [tls];
}

function certificateOf(client: number): ProxyTls["certificate"] {
  if ((client & CERTIFICATE_OF_CONNECTION) !== 0) return "connection";
  return (client & CERTIFICATE_OF_SESSION) === 0 ? "none" : "session";
}

const CLIENT_BITS = {
  none: SSL_CLIENT_TLS,
  session: SSL_CLIENT_TLS | CERTIFICATE_OF_SESSION,
  connection: SSL_CLIENT_TLS | CERTIFICATE_OF_SESSION | CERTIFICATE_OF_CONNECTION,
} as const;

function formatTls(tls: ProxyTls): Tlv {
  const verify = tls.isVerified ? 0 : 1;
  const head = Uint8Array.of(CLIENT_BITS[tls.certificate], 0, 0, 0, verify);
  const tlvs = Tlvs.of([
    ...textTlv(SSL_TLV.version, tls.version),
    ...textTlv(SSL_TLV.commonName, tls.commonName),
    ...textTlv(SSL_TLV.cipher, tls.cipher),
    ...textTlv(SSL_TLV.signatureAlgorithm, tls.signatureAlgorithm),
    ...textTlv(SSL_TLV.keyAlgorithm, tls.keyAlgorithm),
  ]);
  return { type: TLV.ssl, value: Buffer.concat([head, tlvs.bytes]) };
}

function textOf(tlvs: Tlvs, type: number): string | undefined {
  const value = tlvs.get(type);
  return value === undefined ? undefined : decodeBytes(value);
}

function textTlv(type: number, text: string | undefined): readonly Tlv[] {
  return text === undefined ? [] : [{ type, value: encodeBytes(text) }];
}

/** Absent rather than undefined: what is not there has no key. */
function definedOnly<T extends object>(
  values: T,
): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  // Leaving keys out is what the type of the result says.
  return Object.fromEntries(entries) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}
