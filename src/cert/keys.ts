/**
 * Private keys: the types we make, and the way between PEM files, node:crypto and WebCrypto, which the
 * maker of certificates signs with.
 */

import { createPrivateKey, createPublicKey, KeyObject } from "node:crypto";
import { CertProblem } from "./problem.ts";

import type { webcrypto } from "node:crypto";

/** The types of keys that can be made. */
export const KEY_TYPES = ["p256", "p384", "rsa2048", "rsa3072", "ed25519"] as const;
export type KeyType = (typeof KEY_TYPES)[number];

type Algorithm =
  webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams | webcrypto.Algorithm;

/** A pair of keys, and how it signs. */
export interface SigningKeys {
  readonly keys: webcrypto.CryptoKeyPair;
  readonly signing: webcrypto.Algorithm & { readonly hash?: string };
  readonly isRsa: boolean;
}

/** 65537, the usual exponent. */
const PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const USAGES = ["sign", "verify"] as const;

export async function generateKeys(crypto: webcrypto.Crypto, type: KeyType): Promise<SigningKeys> {
  const keys = await crypto.subtle.generateKey(generation(type), true, [...USAGES]);
  return withSigning(keys);
}

/** The pair of a private key in PEM. Throws CertProblem naming `source` for any it cannot use. */
export async function importKeys(
  crypto: webcrypto.Crypto,
  pem: string,
  source: string,
): Promise<SigningKeys> {
  const key = readPrivateKey(pem, source);
  const algorithm = importAlgorithm(key);
  if (algorithm === undefined) {
    throw new CertProblem("input", `${source}: keys of this type are not supported`);
  }
  const pkcs8 = key.export({ format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  const publicKey = await crypto.subtle.importKey("spki", spki, algorithm, true, ["verify"]);
  return withSigning({ privateKey, publicKey });
}

/** A private key in PEM, not encrypted. Throws CertProblem naming `source`. */
export function readPrivateKey(pem: string, source: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new CertProblem("input", `${source}: the key is encrypted`);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new CertProblem("input", `${source}: not a private key in PEM`, { cause: error });
  }
}

/** PKCS #8 in PEM, not encrypted. */
export function formatPrivateKey(key: KeyObject | webcrypto.CryptoKey): string {
  const object = key instanceof KeyObject ? key : KeyObject.from(key);
  return object.export({ format: "pem", type: "pkcs8" }).toString();
}

/** A key in words: `EC P-256`, `RSA 2048`, `Ed25519`. */
export function describeKey(key: KeyObject): string {
  const { asymmetricKeyType: type = "unknown", asymmetricKeyDetails: details = {} } = key;
  if (type === "ec") return `EC ${CURVES[details.namedCurve ?? ""] ?? details.namedCurve ?? ""}`;
  if (details.modulusLength !== undefined) return `${type.toUpperCase()} ${details.modulusLength}`;
  return type.startsWith("ed") ? `E${type.slice(1)}` : type;
}

/** The names of NIST for what OpenSSL calls the curves. */
const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
};

function generation(type: KeyType): webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams {
  switch (type) {
    case "p256":
      return { name: "ECDSA", namedCurve: "P-256" };
    case "p384":
      return { name: "ECDSA", namedCurve: "P-384" };
    case "rsa2048":
      return { ...RSA, modulusLength: 2048, publicExponent: PUBLIC_EXPONENT };
    case "rsa3072":
      return { ...RSA, modulusLength: 3072, publicExponent: PUBLIC_EXPONENT };
    case "ed25519":
      // WebCrypto gives this curve an algorithm of its own; the other member is ignored.
      return { name: "Ed25519", namedCurve: "Ed25519" };
  }
}

function importAlgorithm(key: KeyObject): Algorithm | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key;
  if (type === "ed25519") return { name: "Ed25519" };
  if (type === "rsa") return RSA;
  const namedCurve = type === "ec" ? CURVES[details.namedCurve ?? ""] : undefined;
  return namedCurve === undefined ? undefined : { name: "ECDSA", namedCurve };
}

function withSigning(keys: webcrypto.CryptoKeyPair): SigningKeys {
  const { algorithm } = keys.privateKey;
  const { asymmetricKeyDetails: details = {} } = KeyObject.from(keys.privateKey);
  const hash = HASHES[details.namedCurve ?? ""] ?? "SHA-256";
  const signing =
    algorithm.name === "Ed25519" ? { name: "Ed25519" } : { name: algorithm.name, hash };
  return { keys, signing, isRsa: algorithm.name === RSA.name };
}

/** The hash that matches the strength of a curve (CA/Browser Forum BR section 7.1.3.2.2). */
const HASHES: Readonly<Record<string, string>> = { secp384r1: "SHA-384", secp521r1: "SHA-512" };
