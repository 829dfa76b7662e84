/** TLS as those who import a server ask for it, in terms of what the commands know. */

import { defaultsOf, wordsOf } from "../../options/index.ts";
import type { PathOfKind } from "../../options/index.ts";
import type { loadServerMaterial, TlsVariables } from "../material/material.ts";
import { DEFAULT_HANDSHAKE_LIMITS, namedSni } from "../options/declarations.ts";
import type { HandshakeLimits } from "../options/declarations.ts";
import { TLSD_OPTIONS } from "../options/tables.ts";

/** A certificate and its key, each in PEM or DER. The file of the certificate may have a chain (PEM). */
export interface KeyPairFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * The TLS settings of a server. All files are read when the server starts, and again when they have changed;
 * those in use stay in use while the new ones cannot be used.
 */
export interface TlsOptions extends KeyPairFiles {
  /** More pairs, by the name that a client asks for: `www.example.com`, `*.example.com`. */
  readonly names?: Readonly<Record<string, KeyPairFiles>>;
  /** Ask clients for a certificate; refuse those without a trusted one where it is "required". */
  readonly clientCertificate?: "optional" | "required";
  /** The authorities for the certificates of clients: a PEM file, or a directory. */
  readonly authorities?: { readonly file: string } | { readonly directory: string };
  /** "1.2" to "1.3" unless given. */
  readonly minVersion?: "1.2" | "1.3";
  readonly maxVersion?: "1.2" | "1.3";
  /** A list as OpenSSL writes it. */
  readonly ciphers?: string;
  /** The application protocols to agree to, best first. */
  readonly alpn?: readonly string[];
  /** 30,000 unless given; Infinity is without limit. */
  readonly handshakeTimeoutMs?: number;
  /** The handshakes in progress at a time; 256 of one address and 1024 in all unless given. */
  readonly handshakes?: Partial<HandshakeLimits>;
}

/** The files, as loading asks for them. */
export function materialVariables(tls: TlsOptions): TlsVariables {
  const variables = variablesOf(tls);
  return {
    get: (name) => variables.get(name),
    strings: () => Array.from(variables, ([name, value]) => `${name}=${value}`),
  };
}

export function materialOptions(tls: TlsOptions): Parameters<typeof loadServerMaterial>[1] {
  return {
    clientCertificate: tls.clientCertificate ?? "none",
    sniLevel: tls.names === undefined ? 0 : 1,
    versions: { min: tls.minVersion, max: tls.maxVersion },
    ciphers: tls.ciphers,
    alpn: tls.alpn,
  };
}

/** Throws RangeError for a limit that is no whole number from 1 on. */
export function handshakeLimits({ handshakes }: TlsOptions): HandshakeLimits {
  const limits = {
    perSource: handshakes?.perSource ?? DEFAULT_HANDSHAKE_LIMITS.perSource,
    inAll: handshakes?.inAll ?? DEFAULT_HANDSHAKE_LIMITS.inAll,
  };
  for (const [name, limit] of Object.entries(limits)) {
    if (Number.isSafeInteger(limit) && limit >= 1) continue;
    throw new RangeError(`handshakes.${name} must be a whole number from 1 on: ${limit}`);
  }
  return limits;
}

/**
 * The options of an s6-tlsd that does the same for a chain, and admits by these rules about certificates, and
 * the variables it needs.
 */
export function tlsdLine(
  tls: TlsOptions,
  certificateRules?: PathOfKind<"directory" | "cdb">,
): {
  readonly words: readonly string[];
  readonly variables: ReadonlyMap<string, string>;
} {
  const { clientCertificate, versions, ciphers, alpn, sniLevel } = materialOptions(tls);
  const limits = tls.handshakes && handshakeLimits(tls);
  const words = wordsOf(TLSD_OPTIONS, {
    ...defaultsOf(TLSD_OPTIONS),
    clientCertificate,
    versions,
    ciphers,
    sni: namedSni(sniLevel),
    alpn: alpn?.length === 0 ? undefined : alpn,
    handshakeTimeoutMs: handshakeTimeout(tls),
    maxHandshakes: limits?.inAll,
    maxHandshakesPerSource: limits?.perSource,
    certificateRules,
  });
  return { words, variables: variablesOf(tls) };
}

/** As whole milliseconds, of which 0 is without limit. */
function handshakeTimeout({ handshakeTimeoutMs: ms }: TlsOptions): number | undefined {
  if (ms === undefined) return undefined;
  return ms === Infinity ? 0 : Math.max(1, Math.round(ms));
}

/** The files by the names that the commands know them under. */
function variablesOf({
  certificate,
  key,
  names = {},
  authorities,
}: TlsOptions): Map<string, string> {
  const variables = new Map([
    ["CERTFILE", certificate],
    ["KEYFILE", key],
  ]);
  for (const [name, files] of Object.entries(names)) {
    variables.set(`CERTFILE:${name}`, files.certificate).set(`KEYFILE:${name}`, files.key);
  }
  if (authorities !== undefined) {
    if ("file" in authorities) variables.set("CAFILE", authorities.file);
    else variables.set("CADIR", authorities.directory);
  }
  return variables;
}
