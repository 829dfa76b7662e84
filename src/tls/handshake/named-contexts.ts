/**
 * The contexts of a server, one for each name that clients ask for: a session is resumed only for the name
 * that it was made for (RFC 6066, section 3), because the keys of its ticket are made from that name. OpenSSL
 * takes those keys from the context that a connection begins with, and from no other.
 *
 * The names come from the network. The contexts of names that the server knows stay; the others are kept
 * while there is room and made while there is time, and a client that asks for one more name is served
 * without a session. Nothing is lost with a context: another one for the same name has the same keys.
 */

import { createHash, hkdfSync, randomBytes } from "node:crypto";
import type { SecureContext } from "node:tls";
import type { Clock } from "../../clock/index.ts";
import type { KeyPair } from "../material/credentials.ts";
import type { ServerMaterial } from "../material/material.ts";
import { contextOf } from "./contexts.ts";
import type { SessionOptions } from "./contexts.ts";
import { nameKey, ServerNames } from "./server-names.ts";
import { WorkBudget } from "./work-budget.ts";

/** Names that the server does not know one by one: those of a wildcard or of the default pair. */
export const OTHER_NAMES_MAX = 256;
/** The share of the time that contexts for such names may take, and the milliseconds in a burst. */
const OTHER_NAMES_BUDGET = { share: 0.03, savedMsMax: 300 };

/** The key of a client that names nothing. */
const NO_NAME = nameKey(undefined);

const SECRET_BYTES = 32;
/** A name, a key for AES and one for HMAC. */
const TICKET_KEYS_BYTES = 48;
/** The longest SSL_CTX session id context. */
const SESSION_ID_CONTEXT_LENGTH = 32;

export class NamedContexts {
  readonly #material: ServerMaterial;
  readonly #pairs: ServerNames<KeyPair>;
  readonly #knownNames: ReadonlySet<string>;
  readonly #budget: WorkBudget;
  readonly #secret = randomBytes(SECRET_BYTES);
  readonly #known = new Map<string, SecureContext>();
  /** The one that was used last is the last. */
  readonly #others = new Map<string, SecureContext>();
  readonly #withoutSessions = new Map<KeyPair, SecureContext>();

  /** Of one set of ticket keys. */
  constructor(material: ServerMaterial, clock: Pick<Clock, "monotonicMs">) {
    const { sniLevel, defaultPair, namedPairs } = material;
    this.#material = material;
    this.#pairs = new ServerNames({
      level: sniLevel,
      fallback: defaultPair,
      named: namedPairs.map(({ name, pair }) => [name, pair] as const),
    });
    this.#knownNames = new Set([NO_NAME, ...namedPairs.map(({ name }) => nameKey(name))]);
    this.#budget = new WorkBudget(clock, OTHER_NAMES_BUDGET);
  }

  /** Make those that stay now, rather than for the first client. Throws TlsMaterialError. */
  prepare(): void {
    for (const name of this.#knownNames) this.contextFor(name);
  }

  /** The context for a client that asks for this name, or none; undefined when there is no pair for it. */
  contextFor(name: string | undefined): SecureContext | undefined {
    const pair = this.#pairs.lookup(name);
    if (pair === undefined) return undefined;
    const key = nameKey(name);
    return this.#knownNames.has(key)
      ? this.#knownContext(key, pair)
      : this.#otherContext(key, pair);
  }

  #otherContext(name: string, pair: KeyPair): SecureContext {
    const other = this.#others.get(name) ?? this.#budget.spend(() => this.#make(name, pair));
    if (other === undefined) return this.#contextWithoutSessions(pair);
    this.#others.delete(name);
    this.#others.set(name, other);
    const [oldest] = this.#others.keys();
    if (this.#others.size > OTHER_NAMES_MAX && oldest !== undefined) this.#others.delete(oldest);
    return other;
  }

  #knownContext(name: string, pair: KeyPair): SecureContext {
    const context = this.#known.get(name) ?? this.#make(name, pair);
    this.#known.set(name, context);
    return context;
  }

  #contextWithoutSessions(pair: KeyPair): SecureContext {
    const context =
      this.#withoutSessions.get(pair) ?? contextOf(this.#material, pair, { hasSessions: false });
    this.#withoutSessions.set(pair, context);
    return context;
  }

  #make(name: string, pair: KeyPair): SecureContext {
    return contextOf(this.#material, pair, this.#sessionOptions(name));
  }

  /** A session stands for the verification of its client's certificate, too: it ends with the policy for that. */
  #sessionOptions(name: string): SessionOptions {
    const { clientCertificate, anchors } = this.#material;
    const bound = createHash("sha256")
      .update(JSON.stringify([clientCertificate, anchors, name]))
      .digest();
    const keys = hkdfSync("sha256", this.#secret, "", bound, TICKET_KEYS_BYTES);
    return {
      sessionIdContext: bound.toString("hex").slice(0, SESSION_ID_CONTEXT_LENGTH),
      ticketKeys: Buffer.from(keys),
    };
  }
}
