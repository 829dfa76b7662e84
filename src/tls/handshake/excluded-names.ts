/**
 * Name constraints and wildcards (RFC 5280, section 4.2.1.10). An authority that must issue nothing for
 * `foo.example.com` must issue no `*.example.com` either, for that stands for it. OpenSSL compares the
 * wildcard as if it were a name, and finds it outside of what is excluded; everything else about
 * constraints is left to it.
 *
 * Node does not tell which chain OpenSSL has verified. So a way is searched from the certificate to an
 * anchor that is valid step by step and excludes none of the wildcards; without one the certificate
 * is not trusted. A peer that shows certificates of no use beside the right ones gains nothing by it.
 */

import { X509Certificate } from "node:crypto";
import { readNameConstraints } from "../material/certificate-fields.ts";
import { wildcardsOf } from "./server-identity.ts";

/** Everything that a way can be made of. */
export interface ShownChain {
  /** The peer's certificate and those it has shown with it, in DER. */
  readonly shown: readonly Uint8Array[];
  readonly anchors: readonly X509Certificate[];
  readonly nowMs: number;
}

/** GeneralName: [2] dNSName. */
const DNS_NAME = 0x82;

/**
 * Are the wildcards of a certificate, the first that was shown, outside of all that is excluded? True
 * without wildcards, whatever the chain.
 */
export function areWildcardsAllowed({ shown, anchors, nowMs }: ShownChain): boolean {
  const [first] = shown;
  const wildcards = first === undefined ? [] : wildcardsOf(first);
  if (first === undefined || wildcards.length === 0) return true;
  const leaf = new X509Certificate(first);
  const above = shown.slice(1).map((der) => new X509Certificate(der));
  const issuers = [...above, ...anchors].filter((issuer) => isUsable(issuer, wildcards, nowMs));
  const isAnchor = (one: X509Certificate) => anchors.some(({ raw }) => raw.equals(one.raw));
  const reached = new Set([leaf]);
  for (const one of reached) {
    if (isAnchor(one)) return true;
    for (const issuer of issuers) {
      if (!reached.has(issuer) && isIssuedBy(one, issuer)) reached.add(issuer);
    }
  }
  return false;
}

function isUsable(issuer: X509Certificate, wildcards: readonly string[], nowMs: number): boolean {
  if (!issuer.ca) return false;
  if (Date.parse(issuer.validFrom) > nowMs || Date.parse(issuer.validTo) < nowMs) return false;
  const constraints = readNameConstraints(issuer.raw);
  if (constraints === "none") return true;
  const names = constraints?.excluded.filter(({ tag }) => tag === DNS_NAME);
  const bases = names?.map(({ content }) => Buffer.from(content).toString("latin1"));
  return bases?.some((base) => wildcards.some((wildcard) => meets(wildcard, base))) === false;
}

function isIssuedBy(one: X509Certificate, issuer: X509Certificate): boolean {
  if (!one.checkIssued(issuer)) return false;
  try {
    return one.verify(issuer.publicKey);
  } catch {
    return false; // a kind of key or signature that OpenSSL does not take
  }
}

/**
 * Does a wildcard stand for a name in the subtree below this base? An empty base is the root of all names.
 * Behind a dot, which OpenSSL takes as well, are the names below it and not the name itself.
 *
 *     meets("*.example.com", "foo.example.com") // true
 *     meets("*.example.com", "a.foo.example.com") // false: it stands for one label
 */
function meets(wildcard: string, base: string): boolean {
  const domain = wildcard.slice("*.".length);
  const subtree = base.toLowerCase();
  const top = subtree.replace(/^\./, "");
  if (top === "" || domain === top || domain.endsWith(`.${top}`)) return true;
  const below = top.endsWith(`.${domain}`) ? top.slice(0, -domain.length - 1) : ".";
  return top === subtree && !below.includes(".");
}
