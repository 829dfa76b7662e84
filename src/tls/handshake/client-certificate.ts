/**
 * Is the certificate of a client trusted now? OpenSSL verifies a chain in a full handshake and no more when the
 * session is resumed, which may be hours later. So the dates are checked here each time.
 */

import { X509Certificate } from "node:crypto";
import type { DetailedPeerCertificate, TLSSocket } from "node:tls";
import { describeUntrusted } from "./describe-error.ts";
import { peerCertificateOf } from "./facts.ts";

/** So many chains are remembered; of others the certificate alone is checked when a session is resumed. */
const CHAINS_MAX = 4096;
/** More than any chain that OpenSSL has verified. */
const CHAIN_LENGTH_MAX = 128;

/** The times at which all certificates of a chain are valid. */
interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The certificates of a server's clients. */
export class ClientCertificates {
  readonly #anchors: readonly X509Certificate[];
  /** The times at which an anchor becomes valid or expires, in milliseconds since 1970. */
  readonly #anchorDates: readonly number[];
  /** By the fingerprint of the client's certificate. The chain that was verified last is the last. */
  readonly #chains = new Map<string, Validity>();

  /** Anchors in PEM. */
  constructor(anchors: readonly string[]) {
    this.#anchors = anchors.map((pem) => new X509Certificate(pem));
    this.#anchorDates = this.#anchors.flatMap(({ validFrom, validTo }) => [
      Date.parse(validFrom),
      Date.parse(validTo),
    ]);
  }

  /** Another number whenever an anchor has become valid or has expired. */
  anchorsEpoch(nowMs: number): number {
    return this.#anchorDates.filter((atMs) => atMs <= nowMs).length;
  }

  /** The reason why the certificate of a client is not trusted, once the handshake is done; undefined: it is. */
  problem(socket: TLSSocket, nowMs: number): string | undefined {
    // A resumed session without a certificate has nothing wrong with it either.
    if (peerCertificateOf(socket) === undefined) return "the client has shown no certificate";
    const problem = verifyError(socket) ?? outside(this.#validityOf(socket, nowMs), nowMs);
    return problem && `the client's certificate is not trusted: ${describeUntrusted(problem)}`;
  }

  #validityOf(socket: TLSSocket, nowMs: number): Validity {
    const certificate = socket.getPeerCertificate(true);
    const own = validityOf(certificate);
    if (socket.isSessionReused()) {
      // Such a session has the client's certificate, and not those between it and an anchor.
      const verified = this.#chains.get(certificate.fingerprint256);
      return verified === undefined ? own : commonOf([own, verified]);
    }
    const chain = commonOf(this.#belowAnchor(certificate).map(validityOf));
    // OpenSSL has just verified a chain: one that is not valid now is another.
    const validity = outside(chain, nowMs) === undefined ? chain : own;
    this.#remember(certificate.fingerprint256, validity);
    return validity;
  }

  /** The chain up to the certificate whose issuer is an anchor, as OpenSSL builds it. */
  #belowAnchor(certificate: DetailedPeerCertificate): DetailedPeerCertificate[] {
    const chain = chainOf(certificate);
    const last = chain.findIndex(({ raw }) => {
      const link = new X509Certificate(raw);
      return this.#anchors.some((anchor) => link.checkIssued(anchor));
    });
    return last < 0 ? chain : chain.slice(0, last + 1);
  }

  #remember(fingerprint: string, validity: Validity): void {
    this.#chains.delete(fingerprint);
    this.#chains.set(fingerprint, validity);
    const [oldest] = this.#chains.keys();
    if (this.#chains.size > CHAINS_MAX && oldest !== undefined) this.#chains.delete(oldest);
  }
}

type Dated = Pick<DetailedPeerCertificate, "valid_from" | "valid_to">;

/** From the certificate to the anchor, which may be its own issuer. */
function chainOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain = [certificate];
  let issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
  while (issuer !== undefined && !chain.includes(issuer) && chain.length < CHAIN_LENGTH_MAX) {
    chain.push(issuer);
    issuer = issuer.issuerCertificate;
  }
  return chain;
}

function validityOf({ valid_from: from, valid_to: to }: Dated): Validity {
  return { fromMs: Date.parse(from), toMs: Date.parse(to) };
}

function commonOf(all: readonly Validity[]): Validity {
  return {
    fromMs: Math.max(...all.map(({ fromMs }) => fromMs)),
    toMs: Math.min(...all.map(({ toMs }) => toMs)),
  };
}

/** In OpenSSL's words. A date that is none (NaN) is outside of every time. */
function outside({ fromMs, toMs }: Validity, nowMs: number): string | undefined {
  if (!(nowMs <= toMs)) return "CERT_HAS_EXPIRED";
  return nowMs >= fromMs ? undefined : "CERT_NOT_YET_VALID";
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
