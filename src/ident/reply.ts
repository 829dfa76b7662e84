/**
 * The reply of an IDENT server (RFC 1413): a fed reader with a ceiling, and the parser of its line.
 * More careful than the C suite: the CR that ends the line is not part of the user, words are
 * compared without regard to case (RFC 1413 section 6 requires it), and control bytes in a user are
 * refused, since the name ends in logs and in a variable.
 */

import { receivedText } from "../net/index.ts";
import { decodeBytes } from "../posix/index.ts";

/** The ports of a connection as the side that asks sees them. */
export interface PortPair {
  /** The port on the machine of the IDENT server. */
  readonly remote: number;
  readonly local: number;
}

/** The reasons of an IDENT server for an error, by the errno name that the C suite gives it. */
export type IdentErrorCode = "EINVAL" | "ESRCH" | "EPERM" | "EIO" | "EEXIST";

/** The reply of an IDENT server. */
export type IdentReply =
  /** `user` may hold any byte but those of control characters (decodeBytes), and may be empty. */
  | { readonly kind: "user"; readonly user: string }
  /** An answer that is none. `text` is for people: `ident server replied: TEXT`. */
  | { readonly kind: "error"; readonly code: IdentErrorCode; readonly text: string };

/** A reply that broke the protocol, with the errno name that the C suite gives it. */
export interface IdentBreach {
  readonly kind: "breach";
  readonly code: "EPROTO" | "ENAMETOOLONG";
}

/** The longest reply, its newline included (RFC 1413 section 4 allows 1000 characters). */
export const IDENT_REPLY_BYTES_MAX = 1024;

/** The longest user, for us as for the C suite; RFC 1413 section 5 asks for 512 octets at most. */
export const IDENT_USER_BYTES_MAX = 511;

const NEWLINE = 0x0a;

/** Ports, the kind of reply, and all after the colon that follows it. Bytes are read as Latin-1. */
const REPLY = /^[ \t]*(\d+)[ \t]*,[ \t]*(\d+)[ \t]*:[ \t]*([A-Z]+)[ \t]*:(.*)$/is;

/** Past the operating-system field and at most one blank. */
const USER = /^[^:]*:[ \t]?(.*)$/s;

/** The answer of a server that closed before the end of one. */
const NO_REPLY: IdentReply = { kind: "error", code: "EIO", text: "unknown error" };

const ERRORS: Readonly<Record<string, IdentReply>> = {
  "INVALID-PORT": { kind: "error", code: "EINVAL", text: "invalid port" },
  "NO-USER": { kind: "error", code: "ESRCH", text: "no such user" },
  "HIDDEN-USER": { kind: "error", code: "EPERM", text: "identification denied" },
  "UNKNOWN-ERROR": NO_REPLY,
};

/** A token that is not in the RFC; it begins with X (RFC 1413 section 6.2). */
const OWN_ERROR: IdentReply = { kind: "error", code: "EEXIST", text: "X-error-token" };

const MALFORMED: IdentBreach = { kind: "breach", code: "EPROTO" };
const USER_TOO_LONG: IdentBreach = { kind: "breach", code: "ENAMETOOLONG" };

/**
 * The result of all bytes received so far; `more` as long as they can still become a
 * reply. Bytes after the first line do not matter, and a line that the end cuts off is no answer at all.
 */
export function readIdentReply(
  buffered: Uint8Array,
  ports: PortPair,
  hasEnded = false,
): IdentReply | IdentBreach | { readonly kind: "more" } {
  const end = buffered.subarray(0, IDENT_REPLY_BYTES_MAX).indexOf(NEWLINE);
  if (end >= 0) return parseIdentReply(buffered.subarray(0, end), ports);
  if (buffered.length >= IDENT_REPLY_BYTES_MAX) return MALFORMED;
  return hasEnded ? NO_REPLY : { kind: "more" };
}

/** Parse a reply line without its newline, with or without the CR before it. */
export function parseIdentReply(line: Uint8Array, ports: PortPair): IdentReply | IdentBreach {
  const text = Buffer.from(line).toString("latin1").replace(/\r$/, "");
  const [, remote, local, kind = "", rest = ""] = REPLY.exec(text) ?? [];
  if (Number(remote) !== ports.remote || Number(local) !== ports.local) return MALFORMED;
  switch (kind.toUpperCase()) {
    case "USERID":
      return parseUser(rest);
    case "ERROR":
      return parseError(rest);
    default:
      return MALFORMED;
  }
}

/** The question about a connection (RFC 1413 section 4), with the blanks that the C suite sends. */
export function formatIdentRequest(ports: PortPair): string {
  return `${ports.remote} , ${ports.local}\r\n`;
}

function parseUser(rest: string): IdentReply | IdentBreach {
  const bytes = USER.exec(rest)?.[1];
  if (bytes === undefined) return MALFORMED;
  const text = decodeBytes(Buffer.from(bytes, "latin1"));
  if (receivedText(text, IDENT_REPLY_BYTES_MAX) === undefined) return MALFORMED;
  const user = receivedText(text, IDENT_USER_BYTES_MAX);
  return user === undefined ? USER_TOO_LONG : { kind: "user", user };
}

function parseError(rest: string): IdentReply | IdentBreach {
  const token = rest.trim().toUpperCase();
  if (token.startsWith("X")) return OWN_ERROR;
  return Object.hasOwn(ERRORS, token) ? (ERRORS[token] ?? MALFORMED) : MALFORMED;
}
