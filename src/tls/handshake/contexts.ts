/**
 * Contexts from material: what to offer and whom to trust; and the handshakes of a client. TLS itself is
 * OpenSSL's, by way of node:tls. Those of a server are in `server-contexts.ts`.
 */

import { constants } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect, createSecureContext } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import { errnoOf } from "../../posix/index.ts";
import type { KeyPair } from "../material/credentials.ts";
import { describeTlsError, describeUntrusted } from "./describe-error.ts";
import { factsOf } from "./facts.ts";
import type { TlsFacts } from "./facts.ts";
import type { TlsHandshake } from "./handshake.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { ClientMaterial, TlsPolicy } from "../material/material.ts";

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

/** A client's side of handshakes. */
export class ClientContexts {
  readonly #material: ClientMaterial;
  readonly #context: SecureContext;
  /** As sent: a name, not an address (RFC 6066, section 3), without a dot at its end. */
  readonly #sentName: string | undefined;

  /** Throws TlsMaterialError: 100 for settings, 96 for a pair that OpenSSL will not use. */
  constructor(material: ClientMaterial) {
    this.#material = material;
    checkCiphers(material);
    this.#context = contextOf(material, material.pair, {});
    const name = material.serverName?.replace(/\.$/, "");
    this.#sentName = name === undefined || isIP(name) !== 0 ? undefined : name;
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
    const { verifiesCertificate, verifiesName, serverName } = this.#material;
    if (!verifiesCertificate) return undefined;
    if (!socket.authorized) return untrustedServer(socket);
    if (!verifiesName || serverName === undefined) return undefined;
    if (isCertificateFor(serverName, socket)) return undefined;
    return `the server's certificate is not for ${serverName}`;
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

/** Node throws at names that it cannot take apart; a certificate with such names fits no name. */
function isCertificateFor(serverName: string, socket: TLSSocket): boolean {
  try {
    return checkServerIdentity(serverName, socket.getPeerCertificate()) === undefined;
  } catch (error) {
    if (errnoOf(error) === "ERR_TLS_CERT_ALTNAME_FORMAT") return false;
    throw error;
  }
}

function untrustedServer(socket: TLSSocket): string {
  const code = String(socket.authorizationError ?? "it has not been verified");
  return `the server's certificate is not trusted: ${describeUntrusted(code)}`;
}
