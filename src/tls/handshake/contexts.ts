/**
 * Handshakes, from material: what to offer, whom to trust, and what came of it. TLS itself is OpenSSL's,
 * by way of node:tls, which is loaded with this file and no other.
 *
 * Node finishes a handshake whatever it thinks of the peer's certificate. So whoever takes a socket from
 * here asks for the `verdict` once it is secure, and lets nothing through before.
 */

import { createHash, constants, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import { parseIp, withoutFinalDot } from "../../net/index.ts";
import type { KeyPair } from "../material/credentials.ts";
import { describeTlsError, describeUntrusted } from "./describe-error.ts";
import { areWildcardsAllowed } from "./excluded-names.ts";
import { exportable, factsOf, peerCertificateOf, shownCertificates } from "./facts.ts";
import type { TlsFacts } from "./facts.ts";
import { TlsMaterialError } from "../material/material-error.ts";
import type { ClientMaterial, ServerMaterial, TlsPolicy } from "../material/material.ts";
import { parsePem } from "../material/pem.ts";
import { hasServerNames, isCertificateFor, parseServerIdentity } from "./server-identity.ts";
import type { ServerIdentity } from "./server-identity.ts";
import { ServerNames } from "./server-names.ts";

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

/** The lifetime of the keys of session tickets, in nanoseconds: 12 hours. */
const TICKET_KEYS_LIFE_NS = 43_200_000_000_000n;
const TICKET_KEYS_BYTES = 48;
/** The longest SSL_CTX session id context. */
const SESSION_ID_CONTEXT_LENGTH = 32;

const EXCLUDED_WILDCARD =
  "the server's certificate is not trusted: no chain from an anchor allows its wildcards";
const NO_NAMES = "it has no alternative names, and the common name does not count";

/** A server's side of handshakes. Make another one when the material has changed. */
export class ServerContexts {
  readonly #material: ServerMaterial;
  readonly #clock: Pick<Clock, "realtimeNs">;
  #epoch: bigint;
  #contexts: ContextTable;

  /** Throws TlsMaterialError: 100 for settings, 96 for a pair that OpenSSL will not use. */
  constructor(material: ServerMaterial, clock: Pick<Clock, "realtimeNs">) {
    this.#material = material;
    this.#clock = clock;
    checkCiphers(material);
    this.#epoch = this.#currentEpoch();
    this.#contexts = tableOf(material);
  }

  /** Start the handshake with a client; `secure` and `error` of the socket tell how it ends. */
  accept(duplex: Duplex): TLSSocket {
    const { sniLevel, clientCertificate, alpn } = this.#material;
    const { initial, names } = this.#currentContexts();
    return new TLSSocket(duplex, {
      isServer: true,
      secureContext: initial,
      requestCert: clientCertificate !== "none",
      rejectUnauthorized: clientCertificate === "required", // no certificate: an alert
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      ...(sniLevel === 0
        ? {}
        : { SNICallback: (name, done) => done(null, names.lookup(name) ?? initial) }),
    });
  }

  /** The reason why a client must not be served after its handshake; undefined: serve it. */
  verdict(socket: TLSSocket): string | undefined {
    if (this.#material.clientCertificate !== "required") return undefined;
    return problemOfClient(socket);
  }

  /** The results of the handshake. */
  facts(socket: TLSSocket): TlsFacts {
    const reportsPeer = this.#material.clientCertificate !== "none";
    return factsOf(socket, {
      serverName: exportable(sentServerName(socket)),
      reportsPeer,
      isPeerVerified: reportsPeer && problemOfClient(socket) === undefined,
    });
  }

  /** New keys for session tickets take new contexts; sessions of the old ones are not resumed. */
  #currentContexts(): ContextTable {
    const epoch = this.#currentEpoch();
    if (epoch !== this.#epoch) {
      this.#contexts = tableOf(this.#material);
      this.#epoch = epoch;
    }
    return this.#contexts;
  }

  #currentEpoch(): bigint {
    return this.#clock.realtimeNs() / TICKET_KEYS_LIFE_NS;
  }
}

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
    const hint = hasServerNames(certificate) ? "" : `: ${NO_NAMES}`;
    return `the server's certificate is not for ${this.#material.serverName}${hint}`;
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

/** The contexts of one set of ticket keys. */
interface ContextTable {
  /** The context that a handshake begins with; without a certificate when the client must send a name. */
  readonly initial: SecureContext;
  readonly names: ServerNames<SecureContext>;
}

/**
 * The session id context that the contexts of a server share, so that a session of one is not taken for
 * one of another.
 */
interface SessionOptions {
  readonly sessionIdContext?: string;
  readonly ticketKeys?: Buffer;
}

function tableOf(material: ServerMaterial): ContextTable {
  const sessions = sessionOptions(material);
  const { sniLevel, defaultPair, namedPairs } = material;
  const initial = contextOf(material, defaultPair, sessions);
  const named = namedPairs.map(
    ({ name, pair }) => [name, contextOf(material, pair, sessions)] as const,
  );
  return { initial, names: new ServerNames({ level: sniLevel, fallback: initial, named }) };
}

/**
 * A session stands for the verification of its client's certificate, so it must not outlive a change of
 * whom we trust: that takes other contexts, with keys of their own.
 */
function sessionOptions({ clientCertificate, anchors }: ServerMaterial): SessionOptions {
  const policy = createHash("sha256")
    .update(JSON.stringify([clientCertificate, anchors]))
    .digest("hex");
  const sessionIdContext = policy.slice(0, SESSION_ID_CONTEXT_LENGTH);
  return { sessionIdContext, ticketKeys: randomBytes(TICKET_KEYS_BYTES) };
}

function contextOf(
  policy: TlsPolicy & { readonly anchors: readonly string[] },
  pair: KeyPair | undefined,
  sessions: SessionOptions,
): SecureContext {
  try {
    return createSecureContext({
      ca: [...policy.anchors], // an empty list: no authority, rather than those that Node trusts
      allowPartialTrustChain: true, // an anchor need not be a root
      ...(pair === undefined ? {} : { cert: pair.chain, key: pair.key }),
      minVersion: policy.minVersion,
      maxVersion: policy.maxVersion,
      ciphers: policy.ciphers ?? DEFAULT_CIPHERS,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
      ...sessions,
    });
  } catch (error) {
    const detail = describeTlsError(error);
    const what = pair === undefined ? "trust anchors" : `certificate ${pair.file}`;
    throw new TlsMaterialError(96, `unable to use ${what}: ${detail}`, { cause: error });
  }
}

/** Before anything is made of them: OpenSSL passes over a list that leaves a version without ciphers. */
function checkCiphers({ ciphers, minVersion, maxVersion }: TlsPolicy): void {
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

/** The reason why the certificate of a client is not trusted; undefined when it is. */
function problemOfClient(socket: TLSSocket): string | undefined {
  // A resumed session without a certificate has nothing wrong with it either.
  if (peerCertificateOf(socket) === undefined) return "the client has shown no certificate";
  const problem = verifyError(socket);
  return problem && `the client's certificate is not trusted: ${describeUntrusted(problem)}`;
}

/**
 * The error of OpenSSL when it verified the peer's chain; undefined: none. Of sockets that accept, Node
 * tells it to its own tls.Server alone, hence the `ssl` of old. Without that no peer is trusted.
 */
function verifyError(socket: TLSSocket): string | undefined {
  const { ssl } = socket as { ssl?: { verifyError?: () => unknown } | null };
  if (typeof ssl?.verifyError !== "function") return "Node does not report the reason";
  const error = ssl.verifyError();
  if (error === undefined || error === null) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "unknown reason";
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

/** The name that a client asked for; @types/node knows it of client sockets only. */
function sentServerName(socket: TLSSocket): string | undefined {
  const { servername } = socket as { servername?: unknown };
  return typeof servername === "string" ? servername : undefined;
}
