/**
 * The server of RFC 1413 on one connection: reads queries one after the other, has each answered before
 * the next is read, and ends when the client does, goes silent, or has asked enough.
 */

import { deadlineAfter, waitReady } from "../clock/index.ts";
import { errnoOf, SystemError } from "../posix/index.ts";
import { IDENT_QUERY_BYTES_MAX, readIdentQuery } from "./query.ts";

import type { Clock, Deadline } from "../clock/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import type { IdentQuery } from "./query.ts";
import type { IdentAsking, IdentResponder, IdentResponse } from "./responder.ts";

/** The most queries of one connection that are answered. */
export const IDENT_QUERIES_MAX = 16;

/** The time that a client may take for a query unless another is given (RFC 1413 section 3: 60 to 180 s). */
export const IDENT_IDLE_MS = 60_000;

/** A client, where it is read from and written to, and what is to be told about it. */
export interface IdentConversation {
  readonly input: Fd;
  readonly output: Fd;
  readonly asking: IdentAsking;
  /** The time that one query, and one answer, may take; undefined is without limit. */
  readonly idleMs: number | undefined;
  /** Called for each answer that was given. */
  onAnswer?(query: IdentQuery, response: IdentResponse): void;
  /** Called with the reason why a query could only be answered UNKNOWN-ERROR. */
  onFailure?(error: SystemError): void;
}

/** The end of a conversation: `ended` where either side closed it in order. */
export type IdentEnd =
  | { readonly kind: "ended" }
  | { readonly kind: "timedOut" }
  /** The connection broke: `code` is the errno name. */
  | { readonly kind: "failed"; readonly code: string };

const ENDED: IdentEnd = { kind: "ended" };
const TIMED_OUT: IdentEnd = { kind: "timedOut" };

/**
 * Talk to one client. The descriptors are nonblocking meanwhile, and stay open. Never rejects for what a
 * client or its connection does.
 */
export async function serveIdent(
  posix: Posix,
  clock: Clock,
  responder: IdentResponder,
  conversation: IdentConversation,
): Promise<IdentEnd> {
  const { input, output } = conversation;
  const inputWas = posix.setNonblocking(input, true);
  const outputWas = posix.setNonblocking(output, true);
  try {
    return await new Conversation(posix, clock, responder, conversation).run();
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return { kind: "failed", code };
  } finally {
    posix.setNonblocking(output, outputWas);
    posix.setNonblocking(input, inputWas);
  }
}

class Conversation {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #responder: IdentResponder;
  readonly #facts: IdentConversation;
  readonly #buffer = new Uint8Array(IDENT_QUERY_BYTES_MAX);
  #used = 0;

  constructor(posix: Posix, clock: Clock, responder: IdentResponder, facts: IdentConversation) {
    this.#posix = posix;
    this.#clock = clock;
    this.#responder = responder;
    this.#facts = facts;
  }

  async run(): Promise<IdentEnd> {
    for (let answered = 0; answered < IDENT_QUERIES_MAX; answered += 1) {
      const query = await this.#nextQuery(this.#deadline());
      if (query.kind !== "ports" && query.kind !== "invalid") return query;
      const response = await this.#respond(query);
      this.#facts.onAnswer?.(query, response);
      if (!(await this.#write(response.bytes, this.#deadline()))) return TIMED_OUT;
      // A client that sends that uses another protocol.
      if (query.kind === "invalid") return ENDED;
    }
    return ENDED;
  }

  async #nextQuery(deadline: Deadline | undefined): Promise<IdentQuery | IdentEnd> {
    for (;;) {
      const progress = readIdentQuery(this.#buffer.subarray(0, this.#used));
      if (progress.kind === "tooLong") return ENDED;
      if (progress.kind === "query") {
        this.#buffer.copyWithin(0, progress.bytesUsed, this.#used);
        this.#used -= progress.bytesUsed;
        return progress.query;
      }
      const count = await this.#read(deadline);
      if (count === undefined) return TIMED_OUT;
      if (count === 0) return ENDED;
      this.#used += count;
    }
  }

  /** The number of bytes received; 0 at the end, undefined once the deadline has passed. */
  async #read(deadline: Deadline | undefined): Promise<number | undefined> {
    const { input } = this.#facts;
    while (await waitReady(this.#posix, input, { readable: true }, deadline)) {
      const count = this.#posix.read(input, this.#buffer.subarray(this.#used));
      if (count !== undefined) return count;
    }
    return undefined;
  }

  async #respond(query: IdentQuery): Promise<IdentResponse> {
    try {
      return await this.#responder.respond(query, this.#facts.asking);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#facts.onFailure?.(error);
      return this.#responder.apologize(query.ports);
    }
  }

  /** False when the deadline passed first. */
  async #write(bytes: Uint8Array, deadline: Deadline | undefined): Promise<boolean> {
    const { output } = this.#facts;
    let rest = bytes.subarray(this.#posix.write(output, bytes) ?? 0);
    while (rest.length > 0) {
      if (!(await waitReady(this.#posix, output, { writable: true }, deadline))) return false;
      rest = rest.subarray(this.#posix.write(output, rest) ?? 0);
    }
    return true;
  }

  #deadline(): Deadline | undefined {
    return deadlineAfter(this.#clock, this.#facts.idleMs);
  }
}
