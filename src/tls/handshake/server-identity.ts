/**
 * Is a certificate for the server that was asked for? RFC 9525, section 6: DNS names and addresses among
 * its alternative names count, and nothing else does, with one exception that the C suite makes as well: the
 * common name of a certificate that has no alternative names of whatever kind.
 */

import { comparableHostName, parseIp } from "../../net/index.ts";
import { readGeneralNames, readSubject } from "../material/certificate-fields.ts";
import type { DerElement } from "../material/der.ts";

/** The server that is expected. */
export type ServerIdentity =
  | { readonly kind: "ip"; readonly bytes: Uint8Array }
  /** In lower case and without a dot at its end. */
  | { readonly kind: "dns"; readonly name: string };

/** GeneralName: [2] dNSName and [7] iPAddress. */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
/** 2.5.4.3, and the types of strings in which ASCII is ASCII: UTF8String, PrintableString, T61String, IA5String. */
const COMMON_NAME = "550403";
const TEXTS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x14, 0x16]);
/** The longest name as text (RFC 1035, section 2.3.4), without the dot at its end. */
const NAME_LENGTH_MAX = 253;
/** Underscores are in no host's name by the letter, but in the names of many services. */
const LABELS = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;
const NUMBER_AT_END = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * The identity that a name or an address stands for. Undefined for every other text, which no certificate
 * is for: with a wildcard, an empty label, letters beyond ASCII (RFC 9525, section 6.3, wants A-labels), or
 * a number at the end, which other programs take for an address.
 */
export function parseServerIdentity(text: string): ServerIdentity | undefined {
  const name = comparableHostName(text);
  const address = parseIp(name);
  if (address !== undefined) return { kind: "ip", bytes: address.bytes };
  const isName = name.length <= NAME_LENGTH_MAX && LABELS.test(name) && !NUMBER_AT_END.test(name);
  return isName ? { kind: "dns", name } : undefined;
}

/**
 * Does this certificate, in DER, have a name for the server? Of several in no order one is enough. One that
 * cannot be read stands for no server; with a list that cannot be read, none does.
 */
export function isCertificateFor(server: ServerIdentity, certificate: Uint8Array): boolean {
  if (server.kind === "dns") {
    return dnsNamesOf(certificate).some((pattern) => isNameFor(server.name, pattern));
  }
  return alternativeNamesOf(certificate).some(
    ({ tag, content }) => tag === IP_ADDRESS && Buffer.compare(content, server.bytes) === 0,
  );
}

/** The names that stand for others, as they are compared: `*.example.com`. */
export function wildcardsOf(certificate: Uint8Array): string[] {
  return dnsNamesOf(certificate).filter((name) => name.startsWith("*."));
}

/** All names of hosts, as they are compared. */
function dnsNamesOf(certificate: Uint8Array): string[] {
  const names =
    readGeneralNames(certificate) === "none"
      ? commonNameOf(certificate)
      : alternativeNamesOf(certificate).filter(({ tag }) => tag === DNS_NAME);
  return names.map(({ content }) => comparableHostName(Buffer.from(content).toString("latin1")));
}

function alternativeNamesOf(certificate: Uint8Array): readonly DerElement[] {
  const names = readGeneralNames(certificate) ?? "none";
  return names === "none" ? [] : names;
}

/** The common name if there is one and no second. */
function commonNameOf(certificate: Uint8Array): DerElement[] {
  const [name, ...others] = (readSubject(certificate) ?? []).filter(
    ({ oid }) => oid === COMMON_NAME,
  );
  return name !== undefined && others.length === 0 && TEXTS.has(name.value.tag) ? [name.value] : [];
}

/**
 * Is this the name, or a wildcard for it: an asterisk as the whole of the first label, and for that one
 * label alone? Two labels have to follow, since neither `*.com` nor `*.lan` tells whose the names are.
 */
function isNameFor(name: string, pattern: string): boolean {
  if (pattern === name) return true;
  const domain = name.slice(name.indexOf(".") + 1);
  return domain.includes(".") && pattern === `*.${domain}`;
}
