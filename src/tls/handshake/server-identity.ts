/**
 * Is a certificate for the server that was asked for? RFC 9525, section 6: DNS names and addresses among
 * its alternative names count, and nothing else does; the common name of its subject never.
 */

import { comparableHostName, parseIp } from "../../net/index.ts";
import { readGeneralNames } from "../material/certificate-fields.ts";

/** The server that is expected. */
export type ServerIdentity =
  | { readonly kind: "ip"; readonly bytes: Uint8Array }
  /** In lower case and without a dot at its end. */
  | { readonly kind: "dns"; readonly name: string };

/** GeneralName: [2] dNSName and [7] iPAddress. */
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
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
 * Does this certificate, in DER, have an alternative name for the server? Of several in no order one is
 * enough. One that cannot be read stands for no server; with a list that cannot be read, none does.
 */
export function isCertificateFor(server: ServerIdentity, certificate: Uint8Array): boolean {
  const names = readGeneralNames(certificate) ?? [];
  return names.some(({ tag, content }) =>
    server.kind === "ip"
      ? tag === IP_ADDRESS && Buffer.compare(content, server.bytes) === 0
      : tag === DNS_NAME && isNameFor(server.name, Buffer.from(content).toString("latin1")),
  );
}

/** Has this certificate any name or address that a server could be verified by? */
export function hasServerNames(certificate: Uint8Array): boolean {
  const names = readGeneralNames(certificate) ?? [];
  return names.some(({ tag }) => tag === DNS_NAME || tag === IP_ADDRESS);
}

/**
 * Is this the name, or a wildcard for it: an asterisk as the whole of the first label, and for that one
 * label alone? Two labels have to follow, since neither `*.com` nor `*.lan` tells whose the names are.
 */
function isNameFor(name: string, presented: string): boolean {
  const pattern = comparableHostName(presented);
  if (pattern === name) return true;
  const domain = name.slice(name.indexOf(".") + 1);
  return domain.includes(".") && pattern === `*.${domain}`;
}

/** The names that stand for others, as they are compared: `*.example.com`. */
export function wildcardsOf(certificate: Uint8Array): string[] {
  const names = readGeneralNames(certificate) ?? [];
  return names
    .filter(({ tag }) => tag === DNS_NAME)
    .map(({ content }) => comparableHostName(Buffer.from(content).toString("latin1")))
    .filter((name) => name.startsWith("*."));
}
