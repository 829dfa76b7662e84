/**
 * A certificate and its key, from the files that CERTFILE and KEYFILE name (networking.md, 13.1). Both
 * may be PEM or DER, and both may be the same PEM file. That they belong together is checked here; the
 * C suite finds out in the first handshake.
 */

import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { DER_TAG, readElements, readInside } from "./der.ts";
import { cannotUse, MaterialProblem } from "./material-error.ts";
import type { Side } from "./material-error.ts";
import type { MaterialFiles } from "./material-files.ts";
import { formatPem, isPem, parsePem } from "./pem.ts";
import type { PemBlock } from "./pem.ts";

/** What one side shows the other; plain text, to be sent to another process. */
export interface KeyPair {
  /** Where the certificate was read from, for messages. */
  readonly file: string;
  /** The certificate and those above it, in PEM. */
  readonly chain: string;
  /** PKCS#8 in PEM. */
  readonly key: string;
}

/** Where a pair is read from: `KEYFILE` or `KEYFILE:name`, and the like. */
export interface KeyPairSource {
  readonly keyVariable: string;
  readonly keyPath: string;
  readonly certificateVariable: string;
  readonly certificatePath: string;
}

/** More than any chain that a peer would follow. */
const CHAIN_CERTIFICATES_MAX = 32;

const KEY_LABELS: ReadonlyMap<string, KeyEncoding> = new Map([
  ["PRIVATE KEY", "pkcs8"],
  ["RSA PRIVATE KEY", "pkcs1"],
  ["EC PRIVATE KEY", "sec1"],
]);
const ENCRYPTED_KEY_LABEL = "ENCRYPTED PRIVATE KEY";
const KEY_TYPES: readonly string[] = ["rsa", "ec", "ed25519"];
const ENCRYPTED = "it is encrypted with a passphrase";

type KeyEncoding = "pkcs8" | "pkcs1" | "sec1";

/** Read a pair. Throws TlsMaterialError: 96, or 111 when a client cannot read a file. */
export function loadKeyPair(files: MaterialFiles, source: KeyPairSource, side: Side): KeyPair {
  const key = use(files, side, `${source.keyVariable} ${source.keyPath}`, () =>
    parsePrivateKey(files.read(source.keyPath)),
  );
  return use(files, side, `${source.certificateVariable} ${source.certificatePath}`, () => {
    const chain = parseChain(files.read(source.certificatePath));
    if (chain[0]?.checkPrivateKey(key) !== true) {
      throw new MaterialProblem(`its key is not that of ${source.keyVariable} ${source.keyPath}`);
    }
    return {
      file: source.certificatePath,
      chain: chain.map(({ raw }) => formatPem("CERTIFICATE", raw)).join(""),
      key: key.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  });
}

/** The key in a PEM or DER file. Throws MaterialProblem. */
function parsePrivateKey(bytes: Buffer): KeyObject {
  const key = isPem(bytes) ? keyFromPem(bytes) : keyFromDer(bytes);
  if (!KEY_TYPES.includes(key.asymmetricKeyType ?? "")) {
    throw new MaterialProblem(`${key.asymmetricKeyType ?? "such"} keys are not supported`);
  }
  return key;
}

/** The certificates in a PEM file, or the one in a DER file; at least one. Throws MaterialProblem. */
export function certificatesOf(bytes: Buffer): X509Certificate[] {
  if (!isPem(bytes)) return [certificateOf(bytes, "it is neither PEM nor a certificate in DER")];
  const blocks = parsePem(bytes.toString("latin1")).filter(({ label }) => label === "CERTIFICATE");
  if (blocks.length === 0) throw new MaterialProblem("there is no certificate in it");
  return blocks.map((block, index) => {
    const damaged = `certificate ${index + 1} of ${blocks.length} is damaged`;
    if (block.isDamaged) throw new MaterialProblem(damaged);
    return certificateOf(block.der, damaged);
  });
}

function parseChain(bytes: Buffer): X509Certificate[] {
  const chain = certificatesOf(bytes);
  if (chain.length > CHAIN_CERTIFICATES_MAX) {
    throw new MaterialProblem(`there are more than ${CHAIN_CERTIFICATES_MAX} certificates in it`);
  }
  return chain;
}

function use<T>(files: MaterialFiles, side: Side, what: string, load: () => T): T {
  try {
    return load();
  } catch (error) {
    throw cannotUse(what, error, side, files.posix);
  }
}

function certificateOf(der: Buffer, problem: string): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    throw new MaterialProblem(problem, { cause: error });
  }
}

/** The first block that is a key counts. */
function keyFromPem(bytes: Buffer): KeyObject {
  const block = parsePem(bytes.toString("latin1")).find(isKey);
  if (block === undefined) throw new MaterialProblem("there is no private key in it");
  const type = KEY_LABELS.get(block.label);
  if (type === undefined || block.isEncrypted) throw new MaterialProblem(ENCRYPTED);
  const key = block.isDamaged ? undefined : decodeKey(block.der, type);
  if (key === undefined) throw new MaterialProblem(`its ${block.label} is damaged`);
  return key;
}

function isKey({ label }: PemBlock): boolean {
  return KEY_LABELS.has(label) || label === ENCRYPTED_KEY_LABEL;
}

function keyFromDer(bytes: Buffer): KeyObject {
  for (const type of KEY_LABELS.values()) {
    const key = decodeKey(bytes, type);
    if (key !== undefined) return key;
  }
  if (isEncryptedPkcs8(bytes)) throw new MaterialProblem(ENCRYPTED);
  throw new MaterialProblem("it is neither PEM nor a private key in DER");
}

function decodeKey(der: Buffer, type: KeyEncoding): KeyObject | undefined {
  try {
    return createPrivateKey({ key: der, format: "der", type });
  } catch {
    return undefined; // the caller says what that means
  }
}

/** EncryptedPrivateKeyInfo (RFC 5958, section 3) is the one form that does not begin with a version. */
function isEncryptedPkcs8(bytes: Buffer): boolean {
  const [whole] = readElements(bytes) ?? [];
  const [algorithm, data, ...rest] = readInside(whole, DER_TAG.sequence) ?? [];
  const isForm = algorithm?.tag === DER_TAG.sequence && data?.tag === DER_TAG.octetString;
  return isForm && rest.length === 0;
}
