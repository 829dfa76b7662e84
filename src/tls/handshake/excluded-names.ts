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
import { readDistinguishedNames, readNameConstraints } from "../material/certificate-fields.ts";
import { wildcardsOf } from "./server-identity.ts";

/** Everything that a way can be made of, in DER. */
export interface ShownChain {
  /** The peer's certificate and those it has shown with it. */
  readonly shown: readonly Uint8Array[];
  readonly anchors: readonly Uint8Array[];
  readonly nowMs: number;
}

/** GeneralName: [2] dNSName. */
const DNS_NAME = 0x82;

/**
 * Are the wildcards of a certificate, the first that was shown, outside of all that is excluded? True
 * without wildcards, whatever the chain.
 */
export function areWildcardsAllowed({ shown, anchors, nowMs }: ShownChain): boolean {
  const [leaf, ...above] = shown;
  const wildcards = leaf === undefined ? [] : wildcardsOf(leaf);
  if (leaf === undefined || wildcards.length === 0) return true;
  const issuers = [...above, ...anchors];
  const parsed = remembered((der) => new X509Certificate(der));
  const names = remembered(readDistinguishedNames);
  const isIssuer = (issuer: Uint8Array, one: Uint8Array): boolean =>
    isIssuedBy(parsed(one), parsed(issuer)) && isUsable(parsed(issuer), wildcards, nowMs);
  const findWay = (isCandidate: (issuer: Uint8Array, one: Uint8Array) => boolean): boolean => {
    const reached = new Set([leaf]);
    for (const one of reached) {
      if (anchors.some((anchor) => Buffer.compare(anchor, one) === 0)) return true;
      for (const issuer of issuers) {
        if (!reached.has(issuer) && isCandidate(issuer, one) && isIssuer(issuer, one)) {
          reached.add(issuer);
        }
      }
    }
    return false;
  };
  // To parse all anchors takes long, and nearly all issuers are written as their subject is.
  const isNamed = (issuer: Uint8Array, one: Uint8Array): boolean => {
    const [subject, wanted] = [names(issuer)?.subject, names(one)?.issuer];
    return subject !== undefined && wanted !== undefined && Buffer.compare(subject, wanted) === 0;
  };
  return findWay(isNamed) || findWay(() => true);
}

/** The results of reading certificates, each of which is read once. */
function remembered<T>(read: (der: Uint8Array) => T): (der: Uint8Array) => T {
  const known = new Map<Uint8Array, { readonly result: T }>();
  return (der) => {
    const entry = known.get(der) ?? { result: read(der) };
    known.set(der, entry);
    return entry.result;
  };
}

function isUsable(issuer: X509Certificate, wildcards: readonly string[], nowMs: number): boolean {
  if (!issuer.ca) return false;
  const isValid = Date.parse(issuer.validFrom) <= nowMs && nowMs <= Date.parse(issuer.validTo);
  if (!isValid) return false;
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
