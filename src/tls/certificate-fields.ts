/**
 * What we read from a certificate ourselves: its subject, attribute by attribute, and its alternative
 * names (RFC 5280, sections 4.1 and 4.2.1.6). Both are read from the DER: a text that has been made of
 * several names can be forged by one name with a comma in it (CVE-2021-44532).
 */

import { formatIp, ipFromBytes } from "../net/index.ts";
import { DER_TAG, readElements, readInside } from "./der.ts";
import type { DerElement } from "./der.ts";

/** An attribute of a name. `oid` is the content of its DER, in hexadecimal. */
export interface NameAttribute {
  readonly oid: string;
  readonly value: DerElement;
}

/** A name that a certificate is for besides its subject. Addresses are written as we always do. */
export interface AlternativeName {
  readonly kind: "dns" | "email" | "uri" | "ip";
  readonly value: string;
}

/** Names past these many are left out: nobody is let in because of one. */
export const ALTERNATIVE_NAMES_MAX = 256;

/** 2.5.29.17, subjectAltName. */
const SUBJECT_ALT_NAME = "551d11";
/** The tags of the fields that may be missing: [0] version and [3] extensions. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
/** How many fields there are between the version and the subject. */
const FIELDS_BEFORE_SUBJECT = 4;

/** The attributes of the subject in their order; undefined when this is no certificate. */
export function readSubject(certificate: Uint8Array): NameAttribute[] | undefined {
  const fields = certificateFields(certificate);
  const sets = readInside(fields?.[FIELDS_BEFORE_SUBJECT], DER_TAG.sequence);
  const attributes: NameAttribute[] = [];
  for (const set of sets ?? []) {
    for (const pair of readInside(set, DER_TAG.set) ?? []) {
      const [oid, value] = readInside(pair, DER_TAG.sequence) ?? [];
      if (oid?.tag !== DER_TAG.oid || value === undefined) return undefined;
      attributes.push({ oid: hex(oid.content), value });
    }
  }
  return sets === undefined ? undefined : attributes;
}

/**
 * The alternative names of the kinds we know, at most ALTERNATIVE_NAMES_MAX. One that is not made of
 * visible ASCII alone is left out, and so is an address of a length that no address has.
 */
export function readAlternativeNames(certificate: Uint8Array): AlternativeName[] {
  const wrapped = certificateFields(certificate)?.find(({ tag }) => tag === EXTENSIONS);
  const [extensions] = readInside(wrapped, EXTENSIONS) ?? [];
  for (const extension of readInside(extensions, DER_TAG.sequence) ?? []) {
    const parts = readInside(extension, DER_TAG.sequence) ?? [];
    const [id] = parts;
    const value = parts.at(-1);
    if (id?.tag !== DER_TAG.oid || hex(id.content) !== SUBJECT_ALT_NAME) continue;
    if (value?.tag !== DER_TAG.octetString) return [];
    return namesIn(value.content);
  }
  return [];
}

function namesIn(generalNames: Uint8Array): AlternativeName[] {
  const [sequence] = readElements(generalNames) ?? [];
  const names: AlternativeName[] = [];
  for (const element of readInside(sequence, DER_TAG.sequence) ?? []) {
    const name = alternativeName(element);
    if (name !== undefined) names.push(name);
    if (names.length === ALTERNATIVE_NAMES_MAX) break;
  }
  return names;
}

/** GeneralName: [1] rfc822Name, [2] dNSName, [6] uniformResourceIdentifier, [7] iPAddress. */
function alternativeName({ tag, content }: DerElement): AlternativeName | undefined {
  switch (tag) {
    case 0x81:
      return textName("email", content);
    case 0x82:
      return textName("dns", content);
    case 0x86:
      return textName("uri", content);
    case 0x87:
      return addressName(content);
    default:
      return undefined;
  }
}

function textName(kind: AlternativeName["kind"], content: Uint8Array): AlternativeName | undefined {
  const value = Buffer.from(content).toString("latin1");
  return /^[\x21-\x7e]+$/.test(value) ? { kind, value } : undefined;
}

function addressName(content: Uint8Array): AlternativeName | undefined {
  if (content.length !== 4 && content.length !== 16) return undefined;
  return { kind: "ip", value: formatIp(ipFromBytes(content)) };
}

/** The fields of TBSCertificate, without the version. */
function certificateFields(certificate: Uint8Array): DerElement[] | undefined {
  const [whole] = readElements(certificate) ?? [];
  const [body] = readInside(whole, DER_TAG.sequence) ?? [];
  const fields = readInside(body, DER_TAG.sequence);
  return fields?.[0]?.tag === VERSION ? fields.slice(1) : fields;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
