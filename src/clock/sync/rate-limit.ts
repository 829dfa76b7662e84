/**
 * Limits how often each client is answered: a bucket of tokens for each address, an IPv6 client being its
 * /64. The number of addresses that are remembered is bounded; beyond it, the one that was heard of
 * first is forgotten.
 */

import { formatMaskedIp } from "../../net/index.ts";
import type { IpAddress } from "../../net/index.ts";
import type { Clock } from "../index.ts";

/** The most addresses that are remembered. */
export const CLIENTS_MAX = 4096;

const IP6_CLIENT_BITS = 64;

interface Bucket {
  tokens: number;
  atMs: number;
}

export class RateLimit {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  /** At most `perSecond` answers a second for each client, and as many at once. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** May this client be answered now? If so, that is counted. */
  admits(client: IpAddress): boolean {
    const bucket = this.#bucketOf(
      formatMaskedIp(client, client.family === 4 ? 32 : IP6_CLIENT_BITS),
    );
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - bucket.atMs) * this.#perSecond) / 1000;
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + earned);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  get size(): number {
    return this.#buckets.size;
  }

  #bucketOf(key: string): Bucket {
    const known = this.#buckets.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= CLIENTS_MAX && oldest !== undefined) this.#buckets.delete(oldest);
    const bucket = { tokens: this.#perSecond, atMs: this.#clock.monotonicMs() };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
