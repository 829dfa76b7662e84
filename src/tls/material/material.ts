/**
 * Everything a side needs for its handshakes, read from the files its environment names: plain data
 * (JSON can carry it) from which contexts are made, in this process or in another with fewer rights.
 */

import { X509Certificate } from "node:crypto";
import { comparableHostName } from "../../net/index.ts";
import { anchorSource, loadAnchors } from "./anchors.ts";
import { loadKeyPair } from "./credentials.ts";
import type { KeyPair } from "./credentials.ts";
import { TlsMaterialError, UnsetVariable } from "./material-error.ts";
import type { Side } from "./material-error.ts";
import type { MaterialFiles } from "./material-files.ts";
import type { ClientCertificateDemand, SniLevel } from "../options/declarations.ts";
import type { TlscIoOptions, TlsdIoOptions } from "../options/tables.ts";

/** The source of the names of files; an `Environment` is one. */
export interface TlsVariables {
  get(name: string): string | undefined;
  /** NAME=VALUE strings. */
  strings(): Iterable<string>;
}

/** As Node names versions. */
export type TlsVersionName = "TLSv1.2" | "TLSv1.3";

/** The settings that either side agrees to. */
export interface TlsPolicy {
  readonly minVersion: TlsVersionName;
  readonly maxVersion: TlsVersionName;
  /** In OpenSSL's form; undefined is what we prefer. */
  readonly ciphers: string | undefined;
  /** Application protocols, best first. */
  readonly alpn: readonly string[];
}

export interface ServerMaterial extends TlsPolicy {
  readonly sniLevel: SniLevel;
  readonly defaultPair: KeyPair | undefined;
  readonly namedPairs: readonly NamedPair[];
  readonly clientCertificate: ClientCertificateDemand;
  /** In PEM. None where no client certificate is asked for. */
  readonly anchors: readonly string[];
}

/** A pair for a name, as in `KEYFILE:name`; in lower case and without a dot at its end. */
export interface NamedPair {
  readonly name: string;
  readonly pair: KeyPair;
}

export interface ClientMaterial extends TlsPolicy {
  /** The pair to show when the server asks. */
  readonly pair: KeyPair | undefined;
  /** In PEM. */
  readonly anchors: readonly string[];
  /** A name or an address; undefined: any server that is trusted will do. */
  readonly serverName: string | undefined;
  readonly verifiesCertificate: boolean;
  readonly verifiesName: boolean;
}

/** Trust anchors in PEM. */
type Anchored = Pick<ServerMaterial | ClientMaterial, "anchors">;

type PolicyOptions = Pick<TlsdIoOptions, "versions" | "ciphers" | "alpn">;

export type ServerMaterialOptions = PolicyOptions &
  Pick<TlsdIoOptions, "clientCertificate"> & { readonly sniLevel: SniLevel };

export type ClientMaterialOptions = PolicyOptions &
  Pick<TlscIoOptions, "sendsCertificate" | "serverName" | "verifiesCertificate" | "verifiesName">;

const NAMED_FILE = { KEYFILE: /^(KEYFILE:([^=]+))=/, CERTFILE: /^(CERTFILE:([^=]+))=/ } as const;
/** More names than this on one server are a mistake of some script. */
const NAMED_PAIRS_MAX = 4096;

/**
 * Read what a server needs. Throws TlsMaterialError: 100 for variables that are not set, 96 for files
 * that cannot be used.
 */
export function loadServerMaterial(
  variables: TlsVariables,
  options: ServerMaterialOptions,
  files: MaterialFiles,
): ServerMaterial {
  const { sniLevel, clientCertificate } = options;
  const namedPairs = sniLevel === 0 ? [] : loadNamedPairs(variables, files);
  if (sniLevel === 2 && namedPairs.length === 0) {
    throw new UnsetVariable(96, "no suitable keypairs found in the environment");
  }
  return {
    ...policyOf(options),
    sniLevel,
    defaultPair: sniLevel === 2 ? undefined : loadPair(variables, files, "server"),
    namedPairs,
    clientCertificate,
    anchors: clientCertificate === "none" ? [] : requireAnchors(variables, files, "server"),
  };
}

/**
 * Read what a client needs. Anchors are not needed to verify nothing. Throws TlsMaterialError: 100 for
 * variables that are not set, 111 for files that cannot be read, 96 for files of no use.
 */
export function loadClientMaterial(
  variables: TlsVariables,
  options: ClientMaterialOptions,
  files: MaterialFiles,
): ClientMaterial {
  const { sendsCertificate, serverName, verifiesCertificate, verifiesName } = options;
  return {
    ...policyOf(options),
    pair: sendsCertificate ? loadPair(variables, files, "client") : undefined,
    anchors: verifiesCertificate ? requireAnchors(variables, files, "client") : [],
    serverName,
    verifiesCertificate,
    verifiesName,
  };
}

/** The same with the trust anchors as they are now. Throws TlsMaterialError. */
export function withServerTrust(
  material: ServerMaterial,
  variables: TlsVariables,
  files: MaterialFiles,
): ServerMaterial {
  if (material.clientCertificate === "none") return material;
  return { ...material, anchors: requireAnchors(variables, files, "server") };
}

/** The same with the trust anchors as they are now. Throws TlsMaterialError. */
export function withClientTrust(
  material: ClientMaterial,
  variables: TlsVariables,
  files: MaterialFiles,
): ClientMaterial {
  if (!material.verifiesCertificate) return material;
  return { ...material, anchors: requireAnchors(variables, files, "client") };
}

/** Why a peer is refused for that. */
export const TRUST_LOST =
  "an authority was withdrawn since the connection began, and may have been the one trusted";

/** Is an anchor of before missing now? */
export function isTrustLost(before: Anchored, { anchors }: Anchored): boolean {
  const now = new Set(anchors);
  return !before.anchors.every((anchor) => now.has(anchor));
}

/** All the pairs of a server. */
export function pairsOf({ defaultPair, namedPairs }: ServerMaterial): KeyPair[] {
  const named = namedPairs.map(({ pair }) => pair);
  return defaultPair === undefined ? named : [defaultPair, ...named];
}

/**
 * Warnings about the certificates that we show: those that have expired
 * or are not valid yet. One line each.
 */
export function validityWarnings(pairs: readonly KeyPair[], realtimeNs: bigint): string[] {
  const nowMs = Number(realtimeNs / 1_000_000n);
  return pairs.flatMap(({ file, chain }) => {
    const { validFrom, validTo } = new X509Certificate(chain);
    if (Date.parse(validTo) < nowMs) return [`certificate ${file} has expired on ${validTo}`];
    if (Date.parse(validFrom) <= nowMs) return [];
    return [`certificate ${file} is not valid before ${validFrom}`];
  });
}

function policyOf({ versions, ciphers, alpn }: PolicyOptions): TlsPolicy {
  return {
    minVersion: `TLSv${versions.min ?? "1.2"}`,
    maxVersion: `TLSv${versions.max ?? "1.3"}`,
    ciphers,
    alpn: alpn ?? [],
  };
}

function loadPair(variables: TlsVariables, files: MaterialFiles, side: Side): KeyPair {
  const [keyPath, certificatePath] = [variables.get("KEYFILE"), variables.get("CERTFILE")];
  if (keyPath === undefined) throw new UnsetVariable(100, "KEYFILE not set");
  if (certificatePath === undefined) throw new UnsetVariable(100, "CERTFILE not set");
  const names = { keyVariable: "KEYFILE", certificateVariable: "CERTFILE" };
  return loadKeyPair(files, { ...names, keyPath, certificatePath }, side);
}

function loadNamedPairs(variables: TlsVariables, files: MaterialFiles): NamedPair[] {
  const keys = namedFiles(variables, "KEYFILE");
  const certificates = namedFiles(variables, "CERTFILE");
  return Array.from(keys, ([name, { variable: keyVariable, path: keyPath }]) => {
    const certificate = certificates.get(name);
    if (certificate === undefined) {
      const missing = keyVariable.replace("KEYFILE", "CERTFILE");
      throw new TlsMaterialError(96, `${keyVariable} is set, ${missing} is not`);
    }
    const { variable: certificateVariable, path: certificatePath } = certificate;
    const source = { keyVariable, keyPath, certificateVariable, certificatePath };
    return { name, pair: loadKeyPair(files, source, "server") };
  });
}

interface NamedFile {
  readonly variable: string;
  readonly path: string;
}

/**
 * The files of all variables `KEYFILE:name` or `CERTFILE:name`, by the name as it is compared. Two spellings
 * of one name may not name two files.
 */
function namedFiles(
  variables: TlsVariables,
  kind: "KEYFILE" | "CERTFILE",
): ReadonlyMap<string, NamedFile> {
  const named = new Map<string, NamedFile>();
  for (const text of variables.strings()) {
    const [, variable = "", spelled = ""] = NAMED_FILE[kind].exec(text) ?? [];
    const name = comparableHostName(spelled);
    if (name === "") continue;
    const path = variables.get(variable) ?? "";
    const other = named.get(name);
    if (other !== undefined && other.path !== path) {
      const both = `${other.variable} and ${variable}`;
      throw new TlsMaterialError(96, `${both} are of one name, and name two files`);
    }
    named.set(name, other ?? { variable, path });
    if (named.size > NAMED_PAIRS_MAX) {
      throw new TlsMaterialError(100, `more than ${NAMED_PAIRS_MAX} variables ${kind}:name`);
    }
  }
  return named;
}

function requireAnchors(variables: TlsVariables, files: MaterialFiles, side: Side): string[] {
  const source = anchorSource((name) => variables.get(name));
  if (source === undefined) throw new UnsetVariable(100, "CADIR or CAFILE not set");
  return loadAnchors(files, source, side);
}
