/**
 * Certificates for tests, made on the spot: no process, no file until one is asked for, and cheap
 * enough (P-256 unless told otherwise) to make new ones in every test. This is X.509 version 3 as
 * RFC 5280 lays it out, written with node:crypto's signatures and a DER writer of a few lines, which
 * can also write what no sensible authority would sign.
 *
 * @example
 * const root = newAuthority();
 * const server = root.issue({ names: ["dns:localhost", "ip:127.0.0.1"] });
 * const { certFile, keyFile } = server.write(scene.path("server"));
 * const caFile = root.write(scene.path("ca")).certFile;
 *
 * @example
 * const pki = makeCertificates(scene.directory); // the usual set, as files
 * scene.run("s6-tlsd", words, { env: pki.serverEnvironment });
 */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { dirname, join } from "node:path";

export type KeyKind = "p256" | "rsa" | "ed25519";

/** One attribute of a name: a short name or a dotted OID, its value, and the tag of its string type. */
export interface Attribute {
  readonly type: string;
  readonly value: string | Uint8Array;
  /** 0x0c UTF8String unless given; 0x13 is PrintableString, 0x1e BMPString. */
  readonly tag?: number;
}

export interface CertificateOptions {
  /** The CN, or every attribute in its order. */
  readonly subject?: string | readonly Attribute[];
  readonly key?: KeyKind;
  /** Alternative names: `dns:`, `ip:`, `email:` or `uri:` and the value. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** False leaves key usage out, so that the key may do everything. */
  readonly hasKeyUsage?: boolean;
  /** Extended key usage; none means any. */
  readonly usage?: "server" | "client";
  /** Of an authority: how many other authorities may be below it. */
  readonly pathLength?: number;
  /** The key to certify, in place of a new one. */
  readonly keyPair?: KeyObject;
  /** The key that is stated as the issuer's, in place of the one that signs. */
  readonly statedIssuer?: KeyObject;
  /** Further extensions, as `extension` makes them. */
  readonly extensions?: readonly Buffer[];
}

/** The files into which `write` has put a certificate. */
export interface CertificateFiles {
  /** PEM: the certificate, then those between it and the root. */
  readonly certFile: string;
  /** PEM, PKCS#8. */
  readonly keyFile: string;
}

const DAY_MS = 86_400_000;

/** A certificate and its key. */
export class Certificate {
  readonly der: Buffer;
  readonly key: KeyObject;
  readonly subject: Buffer;
  /** Those between this one and its root, nearest first. */
  readonly intermediates: readonly Certificate[];

  constructor(der: Buffer, key: KeyObject, subject: Buffer, intermediates: readonly Certificate[]) {
    this.der = der;
    this.key = key;
    this.subject = subject;
    this.intermediates = intermediates;
  }

  get x509(): X509Certificate {
    return new X509Certificate(this.der);
  }

  /** SHA-256 of the DER, in lower-case hexadecimal. */
  get sha256(): string {
    return createHash("sha256").update(this.der).digest("hex");
  }

  get pem(): string {
    return pem("CERTIFICATE", this.der);
  }

  /** This one, then those between it and the root. */
  get chainPem(): string {
    return [this, ...this.intermediates].map((certificate) => certificate.pem).join("");
  }

  get keyPem(): string {
    return this.key.export({ type: "pkcs8", format: "pem" }).toString();
  }

  /** Write `PATH.crt` and `PATH.key`. */
  write(path: string): CertificateFiles {
    mkdirSync(dirname(path), { recursive: true });
    const files = { certFile: `${path}.crt`, keyFile: `${path}.key` };
    writeFileSync(files.certFile, this.chainPem);
    writeFileSync(files.keyFile, this.keyPem, { mode: 0o600 });
    return files;
  }
}

/** A certificate that signs others. */
export class Authority extends Certificate {
  readonly isRoot: boolean;

  constructor(certificate: Certificate, isRoot: boolean) {
    super(certificate.der, certificate.key, certificate.subject, certificate.intermediates);
    this.isRoot = isRoot;
  }

  /** A leaf: of a server named `localhost` unless told otherwise. */
  issue(options: CertificateOptions = {}): Certificate {
    return certify({ subject: "localhost", ...options }, this, false);
  }

  /** An authority below this one. */
  issueAuthority(options: CertificateOptions = {}): Authority {
    return new Authority(certify({ subject: "Intermediate", ...options }, this, true), false);
  }
}

/** A root. */
export function newAuthority(options: CertificateOptions = {}): Authority {
  return new Authority(certify({ subject: "Root", ...options }, undefined, true), true);
}

/** A certificate that vouches for itself and no other. */
export function newSelfSigned(options: CertificateOptions = {}): Certificate {
  return certify({ subject: "localhost", ...options }, undefined, false);
}

/** The usual set, written below a directory, and the variables that name its files. */
export interface TestCertificates {
  readonly root: Authority;
  /** For `localhost`, `127.0.0.1` and `::1`, signed by the root. */
  readonly server: Certificate;
  /** CN `client`, signed by the root. */
  readonly client: Certificate;
  readonly caFile: string;
  /** KEYFILE, CERTFILE and CAFILE of a server, the last for its clients' certificates. */
  readonly serverEnvironment: { KEYFILE: string; CERTFILE: string; CAFILE: string };
  /** KEYFILE and CERTFILE of a client that has a certificate, and CAFILE to verify the server. */
  readonly clientEnvironment: { KEYFILE: string; CERTFILE: string; CAFILE: string };
}

export function makeCertificates(directory: string): TestCertificates {
  const root = newAuthority();
  const server = root.issue({ names: ["dns:localhost", "ip:127.0.0.1", "ip:::1"] });
  const client = root.issue({ subject: "client", usage: "client" });
  const caFile = root.write(join(directory, "ca")).certFile;
  return {
    root,
    server,
    client,
    caFile,
    serverEnvironment: {
      ...environmentOf(server.write(join(directory, "server"))),
      CAFILE: caFile,
    },
    clientEnvironment: {
      ...environmentOf(client.write(join(directory, "client"))),
      CAFILE: caFile,
    },
  };
}

function environmentOf({ certFile, keyFile }: CertificateFiles): {
  KEYFILE: string;
  CERTFILE: string;
} {
  return { KEYFILE: keyFile, CERTFILE: certFile };
}

/** One PEM block. */
export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

export function newKey(kind: KeyKind): KeyObject {
  switch (kind) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    case "ed25519":
      return generateKeyPairSync("ed25519").privateKey;
  }
}

/** A distinguished name, one attribute to each relative name. */
function derName(attributes: readonly Attribute[]): Buffer {
  return der(
    0x30,
    ...attributes.map(({ type, value, tag = 0x0c }) =>
      der(0x31, der(0x30, oid(ATTRIBUTE_OIDS[type] ?? type), der(tag, Buffer.from(value)))),
    ),
  );
}

/** One element of DER: a tag, a length, and the contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const bytes = content.length < 0x100 ? 1 : content.length < 0x10000 ? 2 : 3;
  const length = Buffer.alloc(bytes);
  length.writeUIntBE(content.length, 0, bytes);
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes]), length, content]);
}

const ATTRIBUTE_OIDS: Readonly<Record<string, string>> = {
  CN: "2.5.4.3",
  C: "2.5.4.6",
  L: "2.5.4.7",
  ST: "2.5.4.8",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  emailAddress: "1.2.840.113549.1.9.1",
};

function certify(
  options: CertificateOptions,
  issuer: Authority | undefined,
  isAuthority: boolean,
): Certificate {
  const { key: kind = "p256", subject: name = "" } = options;
  const key = options.keyPair ?? newKey(kind);
  const subject = derName(typeof name === "string" ? [{ type: "CN", value: name }] : name);
  const signer = issuer?.key ?? key;
  const body = certificateBody(options, isAuthority, {
    key,
    signer,
    subject,
    issuer: issuer?.subject ?? subject,
  });
  const digest = signer.asymmetricKeyType === "ed25519" ? null : "sha256";
  const signature = der(0x03, Buffer.from([0]), sign(digest, body, signer));
  const whole = der(0x30, body, signatureAlgorithm(signer), signature);
  const above = issuer === undefined || issuer.isRoot ? [] : [issuer, ...issuer.intermediates];
  return new Certificate(whole, key, subject, above);
}

interface Parties {
  readonly key: KeyObject;
  readonly signer: KeyObject;
  readonly subject: Buffer;
  readonly issuer: Buffer;
}

/** TBSCertificate, RFC 5280 section 4.1. */
function certificateBody(
  options: CertificateOptions,
  isAuthority: boolean,
  { key, signer, subject, issuer }: Parties,
): Buffer {
  const { notBefore = new Date(Date.now() - DAY_MS) } = options;
  const { notAfter = new Date(Date.now() + 30 * DAY_MS) } = options;
  const serial = randomBytes(8);
  serial.writeUInt8((serial.readUInt8() & 0x7f) | 0x40); // positive, and in its shortest form
  return der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    signatureAlgorithm(signer),
    issuer,
    der(0x30, utcTime(notBefore), utcTime(notAfter)),
    subject,
    publicKeyOf(key),
    der(0xa3, der(0x30, ...extensions(options, isAuthority, { key, signer }))),
  );
}

function extensions(
  options: CertificateOptions,
  isAuthority: boolean,
  { key, signer }: Pick<Parties, "key" | "signer">,
): Buffer[] {
  const { names = [], usage, pathLength, statedIssuer, hasKeyUsage = true } = options;
  const list = [
    extension("2.5.29.19", true, basicConstraints(isAuthority, pathLength)),
    extension("2.5.29.14", false, der(0x04, keyIdentifier(key))),
    extension("2.5.29.35", false, der(0x30, der(0x80, keyIdentifier(statedIssuer ?? signer)))),
  ];
  if (hasKeyUsage) {
    // keyCertSign and cRLSign, or digitalSignature
    const bits = Buffer.from(isAuthority ? [1, 0x06] : [7, 0x80]);
    list.push(extension("2.5.29.15", true, der(0x03, bits)));
  }
  if (usage !== undefined) {
    const purpose = usage === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
    list.push(extension("2.5.29.37", false, der(0x30, oid(purpose))));
  }
  if (names.length > 0) {
    list.push(extension("2.5.29.17", false, der(0x30, ...names.map(generalName))));
  }
  return [...list, ...(options.extensions ?? [])];
}

function basicConstraints(isAuthority: boolean, pathLength: number | undefined): Buffer {
  if (!isAuthority) return der(0x30);
  return der(
    0x30,
    TRUE,
    ...(pathLength === undefined ? [] : [der(0x02, Buffer.from([pathLength]))]),
  );
}

/**
 * The extension nameConstraints: alternative names as subtrees, an address with its mask behind a slash
 * (`ip:192.0.2.0/255.255.255.0`).
 */
export function nameConstraints(subtrees: {
  readonly permitted?: readonly string[];
  readonly excluded?: readonly string[];
}): Buffer {
  const list = (tag: number, names: readonly string[] = []) =>
    names.length === 0 ? [] : [der(tag, ...names.map((name) => der(0x30, generalName(name))))];
  const value = der(0x30, ...list(0xa0, subtrees.permitted), ...list(0xa1, subtrees.excluded));
  return extension("2.5.29.30", true, value);
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1").update(publicKeyOf(key)).digest();
}

const TRUE = der(0x01, Buffer.from([0xff]));

/** One extension; the value is the DER inside of its octet string. */
export function extension(id: string, isCritical: boolean, value: Buffer): Buffer {
  return der(0x30, oid(id), ...(isCritical ? [TRUE] : []), der(0x04, value));
}

const NAME_TAGS: Readonly<Record<string, number>> = { email: 0x81, dns: 0x82, uri: 0x86, ip: 0x87 };

/** `dns:`, `ip:`, `email:` or `uri:` and the value. */
function generalName(name: string): Buffer {
  const colon = name.indexOf(":");
  const [kind, value] = [name.slice(0, colon), name.slice(colon + 1)];
  const tag = NAME_TAGS[kind];
  if (tag === undefined) throw new Error(`no such kind of alternative name: ${name}`);
  if (kind !== "ip") return der(tag, Buffer.from(value));
  return der(tag, ...value.split("/").map(ipBytes));
}

function ipBytes(text: string): Buffer {
  if (!isIPv6(text)) return Buffer.from(text.split(".").map(Number));
  const [head = [], tail = []] = text
    .split("::")
    .map((half) => (half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16))));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  const bytes = Buffer.alloc(16);
  [...head, ...zeros, ...tail].forEach((group, index) => bytes.writeUInt16BE(group, 2 * index));
  return bytes;
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ format: "der", type: "spki" });
}

function signatureAlgorithm(signer: KeyObject): Buffer {
  if (signer.asymmetricKeyType === "ed25519") return der(0x30, oid("1.3.101.112"));
  if (signer.asymmetricKeyType === "ec") return der(0x30, oid("1.2.840.10045.4.3.2"));
  return der(0x30, oid("1.2.840.113549.1.1.11"), der(0x05));
}

function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/\D/g, "");
  return der(0x17, Buffer.from(`${digits.slice(2, 14)}Z`));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(0x06, Buffer.from([40 * first + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const groups = [value & 0x7f];
  for (let left = value >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
  return groups;
}
