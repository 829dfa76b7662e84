/**
 * Contexts from material: what to offer and whom to trust; and the handshakes of a client. TLS itself is
 * OpenSSL's, by way of node:tls. Those of a server are in `server-contexts.ts`.
 */

import { constants } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import { parseIp, withoutFinalDot } from "../../net/index.ts";
import type { KeyPair } from "../material/credentials.ts";
import { describeTlsError, describeUntrusted } from "./describe-error.ts";
import { areWildcardsAllowed } from "./excluded-names.ts";
import { factsOf, shownCertificates } from "./facts.ts";
import type { TlsFacts } from "./facts.ts";
import type { TlsHandshake } from "./handshake.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { ClientMaterial, TlsPolicy } from "../material/material.ts";
import { parsePem } from "../material/pem.ts";
import { isCertificateFor, parseServerIdentity } from "./server-identity.ts";
import type { ServerIdentity } from "./server-identity.ts";

/** The ciphers when no list is given: forward secrecy and authenticated encryption. */
const DEFAULT_CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

const OPTIONS = constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE;

const EXCLUDED_WILDCARD =
  "the server's certificate is not trusted: no chain from an anchor allows its wildcards";

/** A client's side of handshakes. */
export class ClientContexts {
  readonly #material: ClientMaterial;
  readonly #clock: Pick<Clock, "realtimeNs">;
  readonly #context: SecureContext;
  /** As sent: a name, not an address (RFC 6066, section 3), without a dot at its end. */
  readonly #sentName: string | undefined;
  /** Undefined: any server that is trusted will do. */
  readonly #expected: ServerIdentity | undefined;
  /** In DER, once they were needed. */
  #anchors: readonly Uint8Array[] | undefined;

  /**
   * Throws TlsMaterialError: 100 for settings, and for a name to verify that no certificate can be for, 96
   * for a pair that OpenSSL will not use.
   */
  constructor(material: ClientMaterial, clock: Pick<Clock, "realtimeNs">) {
    this.#material = material;
    this.#clock = clock;
    checkCiphers(material);
    this.#context = contextOf(material, material.pair, {});
    const name = material.serverName && withoutFinalDot(material.serverName);
    this.#sentName = name === undefined || isAddress(name) ? undefined : name;
    this.#expected = expectedServer(material);
  }

  /** Start the handshake with a server. Sessions are not kept, so there is none to resume. */
  handshake(duplex: Duplex): TlsHandshake {
    const socket = this.connect(duplex);
    return {
      socket,
      verdict: () => this.verdict(socket),
      facts: () => this.facts(socket),
      describeError: describeTlsError,
    };
  }

  /** Start the handshake with a server; `secure` and `error` of the socket tell how it ends. */
  connect(duplex: Duplex): TLSSocket {
    const { alpn } = this.#material;
    return connect({
      socket: duplex,
      secureContext: this.#context,
      rejectUnauthorized: false, // `verdict` does, and says why
      checkServerIdentity: () => undefined, // the same
      ...(this.#sentName === undefined ? {} : { servername: this.#sentName }),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    });
  }

  /** The reason why a server must not be used after its handshake; undefined: use it. */
  verdict(socket: TLSSocket): string | undefined {
    if (!this.#material.verifiesCertificate) return undefined;
    if (!socket.authorized) return untrustedServer(socket);
    const shown = shownCertificates(socket);
    const [certificate] = shown;
    if (certificate === undefined) return "the server has shown no certificate";
    if (!this.#areWildcardsAllowed(shown)) return EXCLUDED_WILDCARD;
    if (this.#expected === undefined || isCertificateFor(this.#expected, certificate)) {
      return undefined;
    }
    return `the server's certificate is not for ${this.#material.serverName}`;
  }

  #areWildcardsAllowed(shown: readonly Uint8Array[]): boolean {
    const nowMs = Number(this.#clock.realtimeNs() / 1_000_000n);
    this.#anchors ??= this.#material.anchors.flatMap((pem) => parsePem(pem).map(({ der }) => der));
    return areWildcardsAllowed({ shown, anchors: this.#anchors, nowMs });
  }

  /** The results of the handshake. */
  facts(socket: TLSSocket): TlsFacts {
    return factsOf(socket, {
      serverName: this.#sentName,
      reportsPeer: true,
      isPeerVerified: this.#material.verifiesCertificate && socket.authorized,
    });
  }
}

/** The settings of a context that keep its sessions apart from those of others. */
export interface SessionOptions {
  readonly sessionIdContext?: string;
  readonly ticketKeys?: Buffer;
  /** False: no session can be resumed. */
  readonly hasSessions?: boolean;
}

/** Throws TlsMaterialError: 96 for a pair that OpenSSL will not use. */
export function contextOf(
  policy: TlsPolicy & { readonly anchors: readonly string[] },
  pair: KeyPair | undefined,
  { hasSessions = true, ...session }: SessionOptions,
): SecureContext {
  try {
    return createSecureContext({
      ca: [...policy.anchors], // an empty list: no authority, rather than those that Node trusts
      allowPartialTrustChain: true, // an anchor need not be a root
      ...(pair === undefined ? {} : { cert: pair.chain, key: pair.key }),
      minVersion: policy.minVersion,
      maxVersion: policy.maxVersion,
      ciphers: policy.ciphers ?? DEFAULT_CIPHERS,
      secureOptions: hasSessions ? OPTIONS : OPTIONS | constants.SSL_OP_NO_TICKET,
      ...session,
    });
  } catch (error) {
    const detail = describeTlsError(error);
    const what = pair === undefined ? "trust anchors" : `certificate ${pair.file}`;
    throw new TlsMaterialError(96, `unable to use ${what}: ${detail}`, { cause: error });
  }
}

/** Throws TlsMaterialError (100), before anything is made of them: OpenSSL passes over a list that leaves a version without ciphers. */
export function checkCiphers({ ciphers, minVersion, maxVersion }: TlsPolicy): void {
  if (ciphers === undefined) return;
  const isNew = ciphers.split(":").map((name) => name.startsWith("TLS_"));
  const isUsable = (maxVersion === "TLSv1.3" && isNew.includes(true)) || isNew.includes(false);
  if (!isUsable || (minVersion === "TLSv1.3" && !isNew.includes(true))) {
    throw new TlsMaterialError(100, `no cipher for ${minVersion} to ${maxVersion} in ${ciphers}`);
  }
  try {
    createSecureContext({ ciphers, minVersion, maxVersion });
  } catch (error) {
    throw new TlsMaterialError(100, `no such ciphers: ${ciphers}`, { cause: error });
  }
}

/** In any spelling that we or Node take for an address. */
function isAddress(text: string): boolean {
  return parseIp(text) !== undefined || isIP(text) !== 0;
}

/** The server whose name is verified, where one is. */
function expectedServer({
  serverName,
  verifiesCertificate,
  verifiesName,
}: ClientMaterial): ServerIdentity | undefined {
  if (serverName === undefined || !verifiesCertificate || !verifiesName) return undefined;
  const identity = parseServerIdentity(serverName);
  if (identity !== undefined) return identity;
  const hint = /^[\0-\x7f]*$/.test(serverName)
    ? ""
    : "; use the ASCII form, which begins with xn--";
  throw new TlsMaterialError(100, `no certificate can be for ${JSON.stringify(serverName)}${hint}`);
}

function untrustedServer(socket: TLSSocket): string {
  const code = String(socket.authorizationError ?? "it has not been verified");
  return `the server's certificate is not trusted: ${describeUntrusted(code)}`;
}
