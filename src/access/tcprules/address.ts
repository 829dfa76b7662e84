/**
 * The addresses of rules text for s6 (docs/formats/access-rules.md): those of tcprules, IPv6
 * addresses and networks in CIDR notation, and the keys of client certificates.
 */

import { isExactPrefix, parseIp4, parsePrefix } from "../../net/index.ts";
import {
  ANY_CERTIFICATE_KEY,
  certificateKey,
  CLIENT_CERTIFICATE_KIND,
  NO_CERTIFICATE_KEY,
  parseCertificateFact,
} from "../lookup/client-certificate.ts";

import type { IpPrefix } from "../../net/index.ts";

export type RuleAddress =
  /** The empty address: whatever no other rule decides. */
  | { readonly kind: "any" }
  | { readonly kind: "network"; readonly prefix: IpPrefix }
  /** `=host`, `=.domain` and `=`; the name is in lower case and has no dot at either end. */
  | { readonly kind: "host" | "domain"; readonly name: string }
  | { readonly kind: "anyName" }
  /** The key of rules for clients by their certificates. */
  | { readonly kind: "certificate"; readonly key: string }
  | { readonly kind: "invalid"; readonly why: string };

const BRACKETED = /^\[([^[\]/]*:[^[\]/]*)\](\/.*)?$/;
const OCTETS_PREFIX = /^(?:[0-9]+\.){1,3}$/;
/** Labels without blanks, control characters and what a key or a wildcard would be made of. */
const NAME = /^[^\s.*/@=\p{Cc}]+(?:\.[^\s.*/@=\p{Cc}]+)*$/u;

const CERTIFICATE_PREFIX = `${CLIENT_CERTIFICATE_KIND}/`;
const CERTIFICATE_PREFIX_BYTES = Buffer.from(CERTIFICATE_PREFIX);

/** Is this address the key of a client certificate, in which a dash is only a dash? */
export function isCertificateAddress(address: Uint8Array): boolean {
  return CERTIFICATE_PREFIX_BYTES.equals(address.subarray(0, CERTIFICATE_PREFIX_BYTES.length));
}

/** Parse an address, the whole text of it. */
export function parseRuleAddress(text: string): RuleAddress {
  if (text === "") return { kind: "any" };
  if (text.startsWith(CERTIFICATE_PREFIX)) return parseCertificate(text);
  if (text.includes("@")) return invalid("s6 rules cannot ask for IDENT answers");
  if (text.startsWith("=")) return parseName(text.slice(1));
  const octets = OCTETS_PREFIX.test(text) ? parseOctets(text) : undefined;
  if (octets !== undefined) return octets;
  const [, bracketed, length = ""] = BRACKETED.exec(text) ?? [];
  return parseNetwork(bracketed === undefined ? text : bracketed + length);
}

function parseCertificate(text: string): RuleAddress {
  if (text === NO_CERTIFICATE_KEY || text === ANY_CERTIFICATE_KEY) {
    return { kind: "certificate", key: text };
  }
  const fact = parseCertificateFact(text.slice(CERTIFICATE_PREFIX.length));
  const key = fact && certificateKey(fact);
  return key === undefined
    ? invalid("nothing of a certificate is looked up like this")
    : { kind: "certificate", key };
}

function parseName(text: string): RuleAddress {
  if (text === "") return { kind: "anyName" };
  const kind = text.startsWith(".") ? "domain" : "host";
  const name = text.replace(/^\./, "").replace(/\.$/, "").toLowerCase();
  return NAME.test(name) ? { kind, name } : invalid("this is not a host name");
}

/** `10.` and `10.1.` and `10.1.2.`: whole octets. */
function parseOctets(text: string): RuleAddress | undefined {
  const given = text.split(".").length - 1;
  const address = parseIp4(text + "0.".repeat(3 - given) + "0");
  return address && { kind: "network", prefix: { address, bits: 8 * given } };
}

function parseNetwork(text: string): RuleAddress {
  const prefix = parsePrefix(text);
  if (prefix === undefined)
    return invalid(
      "this is neither an address nor a network, which ends with a dot or a prefix length, nor =name",
    );
  if (!isExactPrefix(text)) return invalid("the address has bits set past the prefix length");
  return { kind: "network", prefix };
}

function invalid(why: string): RuleAddress {
  return { kind: "invalid", why };
}
