/**
 * The rule for a value that came from the network and is to become a variable, whichever protocol carried it
 * (TLS, the PROXY protocol, IDENT): programs print variables into logs, and take what is in them for what
 * was sent. So a value is taken whole or not at all, never cut, holds no control characters, and
 * has a maximum length. Names of hosts from the DNS are narrower still: see `isHostName`.
 */

import { encodeBytes } from "../posix/index.ts";
import { withoutFinalDot } from "./host-name.ts";

/** The longest word: that of a host or of a protocol (RFC 1035, RFC 7301). */
export const RECEIVED_WORD_BYTES_MAX = 255;

const WORD = /^[\x21-\x7e]+$/;
/** C0, DEL and C1. */
const CONTROL = /\p{Cc}/u;

/** The value if it is a word, visible ASCII of 1 to 255 bytes; else undefined. */
export function receivedWord(value: string): string | undefined {
  return value.length <= RECEIVED_WORD_BYTES_MAX && WORD.test(value) ? value : undefined;
}

/** The name of a server that a client asks for, without a dot at its end, if it is a word; else undefined. */
export function receivedServerName(value: string): string | undefined {
  return receivedWord(withoutFinalDot(value));
}

/**
 * The value if it is text for people: `bytesMax` bytes at most, which may be none, and no control
 * character; else undefined. Bytes that are no UTF-8 may be in it (`decodeBytes`).
 */
export function receivedText(value: string, bytesMax: number): string | undefined {
  return encodeBytes(value).length <= bytesMax && !CONTROL.test(value) ? value : undefined;
}
