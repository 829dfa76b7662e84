/**
 * The queries of clients to an IDENT server (RFC 1413 sections 3 and 4): a fed reader with a ceiling, and the
 * parser of a line, `6193 , 23`. The first port is the one on the server's machine.
 */

import { PORT_MAX } from "../net/index.ts";
import type { PortPair } from "./reply.ts";

/** The longest query, its end of line included (RFC 1413 section 4: 1000 characters). */
export const IDENT_QUERY_BYTES_MAX = 1000;

/** A question, or a line that is none. */
export type IdentQuery =
  | { readonly kind: "ports"; readonly ports: PortPair }
  /** To be answered INVALID-PORT; the numbers that were read, 0 where there was none. */
  | { readonly kind: "invalid"; readonly ports: PortPair };

/** The state of reading a query. */
export type QueryProgress =
  | { readonly kind: "more" }
  | { readonly kind: "query"; readonly query: IdentQuery; readonly bytesUsed: number }
  | { readonly kind: "tooLong" };

const NEWLINE = 0x0a;

/** Two numbers of any size a number holds exactly; a sign, a fraction or anything else is no port. */
const QUERY = /^[ \t]*(\d{1,10})[ \t]*,[ \t]*(\d{1,10})[ \t]*$/;

const NO_PORTS: PortPair = { remote: 0, local: 0 };

/** The first query in what has come so far; `more` as long as its line can still end in time. */
export function readIdentQuery(buffered: Uint8Array): QueryProgress {
  const end = buffered.subarray(0, IDENT_QUERY_BYTES_MAX).indexOf(NEWLINE);
  if (end >= 0) {
    return { kind: "query", query: parseIdentQuery(buffered.subarray(0, end)), bytesUsed: end + 1 };
  }
  return buffered.length < IDENT_QUERY_BYTES_MAX ? { kind: "more" } : { kind: "tooLong" };
}

/** Parse a query without its newline, with or without the CR before it. */
export function parseIdentQuery(line: Uint8Array): IdentQuery {
  const text = Buffer.from(line).toString("latin1").replace(/\r$/, "");
  const [, remote, local] = QUERY.exec(text) ?? [];
  if (remote === undefined || local === undefined) return { kind: "invalid", ports: NO_PORTS };
  const ports = { remote: Number(remote), local: Number(local) };
  return { kind: isPort(ports.remote) && isPort(ports.local) ? "ports" : "invalid", ports };
}

/** RFC 1413 section 4 has ports from 1 on. */
function isPort(number: number): boolean {
  return number >= 1 && number <= PORT_MAX;
}
