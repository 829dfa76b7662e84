/**
 * The text of a certificate's subject, SSL_PEER_CERT_SUBJECT, letter for letter as the C suite on
 * BearSSL writes it (networking.md, section 13.2): some attributes in an order of their own, of each the
 * first, joined with `, `. Not the text of RFC 4514, which it resembles.
 */

import { readSubject } from "./certificate-fields.ts";
import type { NameAttribute } from "./certificate-fields.ts";
import type { DerElement } from "./der.ts";

/** The text in place of a subject that has an attribute too long or unreadable. */
export const INVALID_SUBJECT = "<invalid>";

/** The attributes in the order of the text: 2.5.4.N, its name, and how many bytes of UTF-8 fit. */
const ATTRIBUTES = [
  { oid: "550406", label: "C", bytesMax: 2 },
  { oid: "550408", label: "ST", bytesMax: 128 },
  { oid: "550407", label: "L", bytesMax: 128 },
  { oid: "55040a", label: "O", bytesMax: 64 },
  { oid: "55040b", label: "OU", bytesMax: 64 },
  { oid: "550403", label: "CN", bytesMax: 64 },
] as const;

/** The types of strings in X.690, section 8.23, that are read. */
const STRING = { utf8: 0x0c, numeric: 0x12, printable: 0x13, t61: 0x14, ia5: 0x16, bmp: 0x1e };

/**
 * The text for a certificate in DER; undefined when its subject has none of the attributes.
 *
 * @example
 * formatSubject(certificate.raw); // "C=US, O=Example\\, Inc., CN=localhost"
 */
export function formatSubject(certificate: Uint8Array): string | undefined {
  const attributes = readSubject(certificate);
  return attributes === undefined ? undefined : textOf(attributes);
}

function textOf(attributes: readonly NameAttribute[]): string | undefined {
  const parts: string[] = [];
  for (const { oid, label, bytesMax } of ATTRIBUTES) {
    const attribute = attributes.find((candidate) => candidate.oid === oid);
    if (attribute === undefined) continue;
    const text = decodeString(attribute.value, bytesMax);
    if (text === undefined) return INVALID_SUBJECT;
    parts.push(`${label}=${escape(text)}`);
  }
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** Undefined for another type, bytes that are not of their type, a NUL, and more than fits. */
function decodeString({ tag, content }: DerElement, bytesMax: number): string | undefined {
  const text = characters(tag, content);
  if (text === undefined || FORBIDDEN.test(text)) return undefined;
  return Buffer.byteLength(text) > bytesMax ? undefined : text;
}

/** NUL, which no variable can hold, what is no character (Unicode 23.7), and half a character. */
const FORBIDDEN = /[\0\p{Noncharacter_Code_Point}\p{Surrogate}]/u;

/** A byte order mark at the start is no part of the text. */
function characters(tag: number, content: Uint8Array): string | undefined {
  switch (tag) {
    case STRING.utf8:
      return decodeUtf8(content);
    case STRING.bmp:
      return decodeUtf16(content);
    case STRING.numeric:
    case STRING.printable:
    case STRING.t61:
    case STRING.ia5:
      return Buffer.from(content).toString("latin1");
    default:
      return undefined;
  }
}

function decodeUtf8(content: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return undefined; // some bytes are no character
  }
}

/** Big-endian; half a character is left for the caller to find. */
function decodeUtf16(content: Uint8Array): string | undefined {
  if (content.length % 2 !== 0) return undefined;
  return Buffer.from(content)
    .swap16()
    .toString("utf16le")
    .replace(/^\ufeff/, "");
}

function escape(text: string): string {
  return text.replaceAll(/^ +| +$/g, "").replaceAll(/[,=+<>#\\\n]/g, "\\$&");
}
