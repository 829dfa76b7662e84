/**
 * The fields that we read from a certificate ourselves: its subject, attribute by attribute, and its
 * alternative names (RFC 5280, sections 4.1 and 4.2.1.6). Both are read from the DER: a text that has
 * been made of several names can be forged by one name with a comma in it (CVE-2021-44532).
 */

import { areFewAlternativeNames, formatIp, ipFromBytes, withoutFinalDot } from "../../net/index.ts";
import type { AlternativeName } from "../../net/index.ts";
import { DER_TAG, readElements, readInside } from "./der.ts";
import type { DerElement } from "./der.ts";

/** An attribute of a name. `oid` is the content of its DER, in hexadecimal. */
export interface NameAttribute {
  readonly oid: string;
  readonly value: DerElement;
}

/** 2.5.29.17 and 2.5.29.30. */
const SUBJECT_ALT_NAME = "551d11";
const NAME_CONSTRAINTS = "551d1e";
/** The tags of the fields that may be missing: [0] version and [3] extensions. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
/** The number of fields between the version and the issuer, and the subject. */
const FIELDS_BEFORE_ISSUER = 2;
const FIELDS_BEFORE_SUBJECT = 4;
/** [1] in NameConstraints. */
const EXCLUDED_SUBTREES = 0xa1;

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

/** The names of issuer and subject, each as its DER has it; undefined when this is no certificate. */
export function readDistinguishedNames(
  certificate: Uint8Array,
): { readonly issuer: Uint8Array; readonly subject: Uint8Array } | undefined {
  const fields = certificateFields(certificate);
  const issuer = fields?.[FIELDS_BEFORE_ISSUER];
  const subject = fields?.[FIELDS_BEFORE_SUBJECT];
  return issuer && subject && { issuer: issuer.content, subject: subject.content };
}

/**
 * The alternative names of the kinds we know. Undefined unless all of them can be read and told: a rule that
 * keeps a name out must not be got round with another that spoils the list. So it is with names longer in all
 * than ALTERNATIVE_NAMES_BYTES_MAX, one that is not made of visible ASCII alone, an address of a length
 * that no address has, a second list (RFC 5280, section 4.2, has one), and whatever is no certificate.
 */
export function readAlternativeNames(certificate: Uint8Array): AlternativeName[] | undefined {
  const all = readGeneralNames(certificate);
  if (all === "none") return [];
  const names = allOf(
    all?.filter(({ tag }) => TAGS_OF_NAMES.has(tag)),
    alternativeName,
  );
  return names !== undefined && areFewAlternativeNames(names) ? names : undefined;
}

/**
 * The alternative names of every kind, each with its tag and bytes. "none" without the extension; undefined
 * when it cannot be read, or is there twice.
 */
export function readGeneralNames(certificate: Uint8Array): DerElement[] | "none" | undefined {
  const list = readExtension(certificate, SUBJECT_ALT_NAME);
  return list === "none" ? list : list && readList(list);
}

/** The subtrees of names that an authority must stay inside or outside of (RFC 5280, section 4.2.1.10). */
export interface NameConstraints {
  /** The base of each, as the general name that it is. */
  readonly excluded: readonly DerElement[];
}

/** "none" without the extension; undefined when it cannot be read, or is there twice. */
export function readNameConstraints(certificate: Uint8Array): NameConstraints | "none" | undefined {
  const value = readExtension(certificate, NAME_CONSTRAINTS);
  if (value === undefined || value === "none") return value;
  const parts = readList(value);
  const excluded = parts?.find(({ tag }) => tag === EXCLUDED_SUBTREES);
  if (parts === undefined || excluded === undefined) return parts && { excluded: [] };
  const bases = allOf(
    readInside(excluded, EXCLUDED_SUBTREES),
    (subtree) => readInside(subtree, DER_TAG.sequence)?.[0],
  );
  return bases && { excluded: bases };
}

interface Extension {
  /** The content of its DER, in hexadecimal. */
  readonly oid: string;
  readonly value: DerElement;
}

/** None where the field is missing; undefined when one of them is invalid. */
function readExtensions(certificate: Uint8Array): Extension[] | undefined {
  const fields = certificateFields(certificate);
  const wrapped = fields?.find(({ tag }) => tag === EXTENSIONS);
  if (fields !== undefined && wrapped === undefined) return [];
  const [list] = readInside(wrapped, EXTENSIONS) ?? [];
  return allOf(readInside(list, DER_TAG.sequence), (element) => {
    const parts = readInside(element, DER_TAG.sequence) ?? [];
    const [id] = parts;
    const value = parts.at(-1);
    if (id?.tag !== DER_TAG.oid || value?.tag !== DER_TAG.octetString) return undefined;
    return { oid: hex(id.content), value };
  });
}

/** The value of an extension; undefined when it is there twice, or extensions cannot be read. */
function readExtension(certificate: Uint8Array, oid: string): DerElement | "none" | undefined {
  const matching = readExtensions(certificate)?.filter((extension) => extension.oid === oid);
  if (matching === undefined || matching.length > 1) return undefined;
  return matching[0]?.value ?? "none";
}

/** The elements of the one sequence that the value of an extension consists of. */
function readList({ content }: DerElement): DerElement[] | undefined {
  const [sequence, ...rest] = readElements(content) ?? [];
  return rest.length === 0 ? readInside(sequence, DER_TAG.sequence) : undefined;
}

/** GeneralName: [1] rfc822Name, [2] dNSName, [6] uniformResourceIdentifier, [7] iPAddress. */
const TAGS_OF_NAMES: ReadonlyMap<number, AlternativeName["kind"]> = new Map([
  [0x81, "email"],
  [0x82, "dns"],
  [0x86, "uri"],
  [0x87, "ip"],
]);

function alternativeName({ tag, content }: DerElement): AlternativeName | undefined {
  const kind = TAGS_OF_NAMES.get(tag);
  const value = kind && valueText(kind, content);
  return kind && value !== undefined && /^[\x21-\x7e]+$/.test(value) ? { kind, value } : undefined;
}

function valueText(kind: AlternativeName["kind"], content: Uint8Array): string | undefined {
  if (kind === "ip") return addressText(content);
  const text = Buffer.from(content).toString("latin1");
  return kind === "dns" ? withoutFinalDot(text) : text;
}

function addressText(content: Uint8Array): string | undefined {
  if (content.length !== 4 && content.length !== 16) return undefined;
  return formatIp(ipFromBytes(content));
}

/** The results of `read`; undefined when it has none for one of them. */
function allOf<T>(
  elements: readonly DerElement[] | undefined,
  read: (element: DerElement) => T | undefined,
): T[] | undefined {
  const all = elements?.map(read);
  return all?.every((one) => one !== undefined) === true ? all : undefined;
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
