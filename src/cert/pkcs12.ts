/**
 * PKCS #12 files (RFC 7292), the old ones above all: RC2 and triple DES, which OpenSSL 3 and with it Node
 * refuse. node-forge has these ciphers; it is loaded for this alone, and gets no bytes from a network.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { formatPrivateKey } from "./keys.ts";
import { escapeUnprintable } from "./names.ts";
import { formatCertificates } from "./pem.ts";
import { CertProblem } from "./problem.ts";

import type { KeyObject } from "node:crypto";
import type * as NodeForge from "node-forge";
import type { asn1, pkcs12, pki } from "node-forge";
import type { CertifiedKey } from "./issue.ts";

type Forge = typeof NodeForge;
type Asn1 = asn1.Asn1;

/** Files are a few kilobytes; those with many certificates some hundred. */
export const PKCS12_BYTES_MAX = 1 << 20;

/** Browsers use 600,000 and OpenSSL 2,048; a file may ask for 4 billion. */
export const PKCS12_ITERATIONS_MAX = 2_000_000;

/** The structures of a file may nest so deep; RFC 7292 needs some 15. */
const DEPTH_MAX = 64;

/** The content of the file. */
export interface Pkcs12Content extends CertifiedKey {
  /** The number of certificates that are not part of the chain and left out. */
  readonly othersCount: number;
}

/**
 * The key of a PKCS #12 file and its chain, the key's certificate first and the others in the order of
 * who issued whom. Understood are RC2 with 40 bits and triple DES (PKCS #12 PBE), and DES and AES in CBC
 * mode (PBES2), for RSA, EC and Ed25519 keys. Of a passphrase that is not ASCII, only the older ciphers
 * can make anything.
 *
 * Throws CertProblem, which calls the bytes `source`.
 */
export async function importPkcs12(
  bytes: Uint8Array,
  passphrase: string,
  source: string,
): Promise<Pkcs12Content> {
  if (bytes.length > PKCS12_BYTES_MAX) {
    throw new CertProblem("input", `${source} is longer than ${PKCS12_BYTES_MAX} bytes`);
  }
  const { default: forge } = await import("node-forge");
  const pfx = parsePfx(forge, bytes, source);
  checkIterations(forge, pfx, source);
  const bags = openBags(forge, pfx, passphrase, source);
  const key = onlyKey(
    bags.flatMap((bag) => keyIn(forge, bag, source)),
    source,
  );
  const certificates = bags.flatMap((bag) => certificateIn(forge, bag, source));
  const chain = chainOf(key, certificates);
  if (chain.length === 0) {
    throw new CertProblem("input", `${source}: no certificate in it belongs to its key`);
  }
  return {
    certificates: formatCertificates(chain),
    key: formatPrivateKey(key),
    othersCount: certificates.length - chain.length,
  };
}

function parsePfx(forge: Forge, bytes: Uint8Array, source: string): Asn1 {
  try {
    return forge.asn1.fromDer(Buffer.from(bytes).toString("latin1"), true);
  } catch (error) {
    throw new CertProblem("input", `${source}: not a PKCS #12 file`, { cause: error });
  }
}

/**
 * Refuse a file that would keep us busy for hours. Counts are found wherever a salt stands before a
 * number, which covers MacData, the parameters of PKCS #12 PBE and those of PBKDF2, in all that can be
 * read without the passphrase.
 */
function checkIterations(forge: Forge, pfx: Asn1, source: string): void {
  for (const count of iterationCounts(forge, pfx, 0)) {
    if (count <= PKCS12_ITERATIONS_MAX) continue;
    const most = `more than ${PKCS12_ITERATIONS_MAX} iterations`;
    throw new CertProblem("input", `${source}: asks for ${most} to check the passphrase`);
  }
}

function* iterationCounts(forge: Forge, node: Asn1, depth: number): Generator<number, void> {
  if (depth > DEPTH_MAX) {
    yield Infinity; // no honest file is this deep
    return;
  }
  const octets = octetsIn(forge, node);
  if (octets !== undefined) {
    const inner = embedded(forge, octets);
    if (inner !== undefined) yield* iterationCounts(forge, inner, depth + 1);
    return;
  }
  if (typeof node.value === "string") return;
  for (const [index, child] of node.value.entries()) {
    const before = node.value[index - 1];
    if (
      before !== undefined &&
      isUniversal(forge, before, "OCTETSTRING") &&
      isUniversal(forge, child, "INTEGER")
    ) {
      yield integerOf(child);
    }
    yield* iterationCounts(forge, child, depth + 1);
  }
}

/** The content of an OCTET STRING, which BER may have in pieces. */
function octetsIn(forge: Forge, node: Asn1): string | undefined {
  if (!isUniversal(forge, node, "OCTETSTRING")) return undefined;
  if (typeof node.value === "string") return node.value;
  return node.value.map((piece) => octetsIn(forge, piece) ?? "").join("");
}

/** The content of an OCTET STRING if that is ASN.1 itself; encrypted content is not. */
function embedded(forge: Forge, bytes: string): Asn1 | undefined {
  try {
    return forge.asn1.fromDer(bytes, true);
  } catch {
    return undefined; // the question was whether it is
  }
}

function isUniversal(forge: Forge, node: Asn1, type: "INTEGER" | "OCTETSTRING"): boolean {
  const { Class, Type } = forge.asn1;
  return node.tagClass === Class.UNIVERSAL && node.type === Type[type];
}

/** The value of an INTEGER; a negative one counts as too large. */
function integerOf({ value }: Asn1): number {
  const bytes = Buffer.from(typeof value === "string" ? value : "", "latin1");
  return (bytes[0] ?? 0) < 0x80 ? Number(`0x0${bytes.toString("hex")}`) : Infinity;
}

/** Check the passphrase and decrypt. */
function openBags(
  forge: Forge,
  pfx: Asn1,
  passphrase: string,
  source: string,
): readonly pkcs12.Bag[] {
  try {
    const { safeContents } = forge.pkcs12.pkcs12FromAsn1(pfx, true, passphrase);
    return safeContents.flatMap(({ safeBags }) => safeBags);
  } catch (error) {
    const why = escapeUnprintable(error instanceof Error ? error.message : String(error));
    const guess = "wrong passphrase, damaged file, or a cipher that is not supported";
    throw new CertProblem("input", `unable to open ${source}: ${guess} (${why})`, { cause: error });
  }
}

/** The key in a bag, if it is one of a key. */
function keyIn(forge: Forge, bag: pkcs12.Bag, source: string): KeyObject[] {
  const { keyBag = "", pkcs8ShroudedKeyBag = "" } = forge.pki.oids;
  if (bag.type !== keyBag && bag.type !== pkcs8ShroudedKeyBag) return [];
  // An RSA key was parsed; one of any other type is left as it was.
  const info =
    bag.key === undefined || bag.key === null
      ? bag.asn1
      : forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key));
  try {
    return [createPrivateKey({ key: derOf(forge, info), format: "der", type: "pkcs8" })];
  } catch (error) {
    throw new CertProblem("input", `${source}: the key in it cannot be used`, { cause: error });
  }
}

function onlyKey(keys: readonly KeyObject[], source: string): KeyObject {
  const [key, ...others] = keys;
  if (key !== undefined && others.length === 0) return key;
  throw new CertProblem("input", `${source}: ${keys.length} keys in it, where 1 is expected`);
}

/** The certificate in a bag, if it is one of a certificate. */
function certificateIn(forge: Forge, bag: pkcs12.Bag, source: string): X509Certificate[] {
  const { certBag = "" } = forge.pki.oids;
  if (bag.type !== certBag) return [];
  try {
    const certificate =
      bag.cert === undefined || bag.cert === null ? bag.asn1 : certificateAsn1(forge, bag.cert);
    return [new X509Certificate(derOf(forge, certificate))];
  } catch (error) {
    throw new CertProblem("input", `${source}: a certificate in it is damaged`, { cause: error });
  }
}

/**
 * A certificate that forge has taken apart, as it was. Its own way back writes the algorithm of the
 * signature anew; the same is in what was signed (RFC 5280 section 4.1.1.2), before which stand a
 * version, if it is not the first, and the serial number.
 */
function certificateAsn1(forge: Forge, { tbsCertificate, signature }: pki.Certificate): Asn1 {
  const { Class, create, Type } = forge.asn1;
  const fields = typeof tbsCertificate.value === "string" ? [] : tbsCertificate.value;
  const algorithm = fields[fields[0]?.tagClass === Class.CONTEXT_SPECIFIC ? 2 : 1];
  if (algorithm === undefined) throw new RangeError("a certificate without an algorithm");
  const bits = create(Class.UNIVERSAL, Type.BITSTRING, false, `\0${String(signature)}`);
  return create(Class.UNIVERSAL, Type.SEQUENCE, true, [tbsCertificate, algorithm, bits]);
}

function derOf(forge: Forge, node: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(node).getBytes(), "latin1");
}

/** From the certificate of `key` upwards, as far as the issuers are there. */
function chainOf(
  key: KeyObject,
  certificates: readonly X509Certificate[],
): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = certificates.find((certificate) => certificate.checkPrivateKey(key));
  while (next !== undefined) {
    const current = next;
    chain.push(current);
    next = certificates.find((other) => !chain.includes(other) && current.checkIssued(other));
  }
  return chain;
}
