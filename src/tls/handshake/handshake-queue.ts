/**
 * The order in which one event loop works on handshakes: which may begin, which takes the next turn,
 * which is given up for another, and which is refused. Pure; `turns.ts` performs what is decided here.
 *
 * A handshake waits until there is a place for it. From then on it is idle while its peer has to send
 * something, and ready when that has come, until it takes its turn. Places and turns are given round robin
 * over the sources, and within a source in order. A source is whatever the caller counts by, an address
 * for one.
 *
 * Where there is no place, one that is idle gives its own up: the one that has been idle for longest, of
 * the source that has the most places. It does so at once for a source that has fewer, and after
 * `PATIENCE_MS` for others. So silent peers keep no other from a handshake, not even of their own address.
 */

import type { HandshakeLimits } from "../options/declarations.ts";

/** So many times as many as may be in progress may wait for a place. Each costs its descriptor. */
export const WAITING_PER_PLACE = 4;

/** The time for which a peer may be silent while others wait for its place. */
export const PATIENCE_MS = 1000;

/** One handshake in the queue; its owner names it by this object in all calls. */
export interface Place {
  readonly source: string;
  readonly limits: HandshakeLimits;
}

/** The next handshake to begin. */
export type Begin<P extends Place> =
  /** This one, which is idle from now on. `givenUp` has left the queue for it. */
  | { readonly kind: "begin"; readonly place: P; readonly givenUp: P | undefined }
  /** None before this time, unless something happens. */
  | { readonly kind: "wait"; readonly untilMs: number }
  /** None before something happens. */
  | { readonly kind: "none" };

type Stage = "waiting" | "ready" | "idle";

/** The handshakes of one source. Maps and sets have them in the order in which they were added. */
class Source<P extends Place> {
  readonly waiting = new Set<P>();
  readonly ready = new Set<P>();
  /** With the time since when. */
  readonly idle = new Map<P, number>();

  get inProgress(): number {
    return this.ready.size + this.idle.size;
  }
}

/** Is there a place for one that waits? `from` has it now, if not nobody. */
type Room<P extends Place> =
  | { readonly isFree: true; readonly from: P | undefined }
  | { readonly isFree: false; readonly untilMs: number };

export class HandshakeQueue<P extends Place> {
  readonly #sources = new Map<string, Source<P>>();
  /** The sources of which some wait for a place; the one that was served longest ago comes first. */
  readonly #waitingSources = new Set<Source<P>>();
  /** The same of those of which some wait for a turn. */
  readonly #readySources = new Set<Source<P>>();
  readonly #stages = new Map<P, Stage>();
  #waiting = 0;

  /** The number of those that have begun and not left. */
  get inProgress(): number {
    return this.#stages.size - this.#waiting;
  }

  /** The number of those that have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Does any wait for its turn? */
  get isTurnWanted(): boolean {
    return this.#readySources.size > 0;
  }

  /**
   * A new handshake waits for a place. Where too many wait, the last of the source that has the most
   * waiting is refused: it is returned, has left, and may be the new one.
   */
  enter(place: P): P | undefined {
    const source = this.#sources.get(place.source) ?? new Source<P>();
    this.#sources.set(place.source, source);
    source.waiting.add(place);
    this.#stages.set(place, "waiting");
    this.#waiting += 1;
    this.#waitingSources.add(source);
    if (this.#waiting <= place.limits.inAll * WAITING_PER_PLACE) return undefined;
    const refused = lastOf(longestOf(this.#waitingSources, source).waiting);
    if (refused !== undefined) this.leave(refused);
    return refused;
  }

  /** The next handshake that can begin. To be asked until there is none. */
  begin(nowMs: number): Begin<P> {
    let untilMs = Infinity;
    for (const source of this.#waitingSources) {
      const [first] = source.waiting;
      if (first === undefined) continue;
      const room = this.#roomFor(first, source, nowMs);
      if (room.isFree) return this.#start(first, source, room.from, nowMs);
      untilMs = Math.min(untilMs, room.untilMs);
    }
    return untilMs === Infinity ? { kind: "none" } : { kind: "wait", untilMs };
  }

  /** Its peer has sent something: it wants a turn. Ignored unless it is idle. */
  ready(place: P): void {
    const source = this.#sources.get(place.source);
    if (source === undefined || !source.idle.delete(place)) return;
    source.ready.add(place);
    this.#stages.set(place, "ready");
    this.#readySources.add(source);
  }

  /** The handshake whose turn it is, which is idle from now on. Undefined when none wants a turn. */
  turn(nowMs: number): P | undefined {
    const [source] = this.#readySources;
    const [place] = source?.ready ?? [];
    if (source === undefined || place === undefined) return undefined;
    source.ready.delete(place);
    this.#idle(place, source, nowMs);
    this.#readySources.delete(source);
    if (source.ready.size > 0) this.#readySources.add(source); // behind the others
    return place;
  }

  /** It is over. May be said more than once. */
  leave(place: P): void {
    const source = this.#sources.get(place.source);
    const stage = this.#stages.get(place);
    if (source === undefined || stage === undefined) return;
    source[stage].delete(place);
    this.#stages.delete(place);
    if (stage === "waiting") this.#waiting -= 1;
    if (source.waiting.size === 0) this.#waitingSources.delete(source);
    if (source.ready.size === 0) this.#readySources.delete(source);
    if (source.waiting.size + source.inProgress === 0) this.#sources.delete(place.source);
  }

  #start(place: P, source: Source<P>, givenUp: P | undefined, nowMs: number): Begin<P> {
    source.waiting.delete(place);
    this.#waiting -= 1;
    this.#idle(place, source, nowMs);
    this.#waitingSources.delete(source);
    if (source.waiting.size > 0) this.#waitingSources.add(source); // behind the others
    if (givenUp !== undefined) this.leave(givenUp);
    return { kind: "begin", place, givenUp };
  }

  #idle(place: P, source: Source<P>, nowMs: number): void {
    source.idle.set(place, nowMs);
    this.#stages.set(place, "idle");
  }

  #roomFor({ limits }: P, source: Source<P>, nowMs: number): Room<P> {
    const isSourceFull = source.inProgress >= limits.perSource;
    if (!isSourceFull && this.inProgress < limits.inAll) return { isFree: true, from: undefined };
    const other = isSourceFull ? source : this.#largest();
    const [idlest] = other?.idle ?? [];
    if (other === undefined || idlest === undefined) return { isFree: false, untilMs: Infinity };
    const [from, sinceMs] = idlest;
    const untilMs = sinceMs + PATIENCE_MS;
    // By one more, or two sources would take a place from each other by turns.
    const hasMore = other.inProgress > source.inProgress + 1;
    return hasMore || untilMs <= nowMs ? { isFree: true, from } : { isFree: false, untilMs };
  }

  /** Of the sources that have an idle one, that with the most places; of such, the one with the idlest. */
  #largest(): Source<P> | undefined {
    let largest: Source<P> | undefined;
    for (const source of this.#sources.values()) {
      if (source.idle.size === 0) continue;
      if (largest === undefined || isLarger(source, largest)) largest = source;
    }
    return largest;
  }
}

function isLarger<P extends Place>(one: Source<P>, other: Source<P>): boolean {
  if (one.inProgress !== other.inProgress) return one.inProgress > other.inProgress;
  return idleSinceMs(one) < idleSinceMs(other);
}

function idleSinceMs<P extends Place>({ idle }: Source<P>): number {
  const [sinceMs = Infinity] = idle.values();
  return sinceMs;
}

/** The source of which the most wait; of some that have as many, `first` or else any. */
function longestOf<P extends Place>(sources: Iterable<Source<P>>, first: Source<P>): Source<P> {
  let longest = first;
  for (const source of sources) if (source.waiting.size > longest.waiting.size) longest = source;
  return longest;
}

function lastOf<T>(items: Iterable<T>): T | undefined {
  let last: T | undefined;
  for (const item of items) last = item;
  return last;
}
