/** The answers of an IDENT server (RFC 1413 sections 4 to 6), from value to bytes. */

import { encodeBytes } from "../posix/index.ts";
import { IDENT_USER_BYTES_MAX } from "./reply.ts";
import type { PortPair } from "./reply.ts";

/** The reasons of a server not to name a user (RFC 1413 section 6.2.2). */
export type IdentErrorToken = "INVALID-PORT" | "NO-USER" | "HIDDEN-USER" | "UNKNOWN-ERROR";

export type IdentAnswer =
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "error"; readonly token: IdentErrorToken };

/** The operating-system field unless something else is asked for. */
export const OPERATING_SYSTEM_DEFAULT = "UNIX";

/** The most characters of an operating-system field (RFC 1413 section 4, `opsys-field`). */
const OPERATING_SYSTEM_CHARACTERS_MAX = 64;

const OPERATING_SYSTEM = /^[!-9;-~]+(?: ?, ?[!-9;-~]+)?$/;

/** A control byte of ASCII ends or disturbs a line; all others may be in a user. */
const CONTROL = /[^\P{Cc}\x80-\x9f]/u;

/** May this be sent as a user? It has 1 to 511 bytes, and none of them is a control byte. */
export function isIdentUser(user: string): boolean {
  if (user === "" || CONTROL.test(user)) return false;
  return encodeBytes(user).length <= IDENT_USER_BYTES_MAX;
}

/** May this be sent as the operating system: `UNIX`, `OTHER`, or `UNIX,UTF-8` with a character set? */
export function isOperatingSystem(text: string): boolean {
  return text.length <= OPERATING_SYSTEM_CHARACTERS_MAX && OPERATING_SYSTEM.test(text);
}

/**
 * The line of an answer, CRLF included. `answer.user` has to be one that isIdentUser accepts, and the
 * operating system one that isOperatingSystem does: RangeError otherwise.
 */
export function formatIdentAnswer(
  ports: PortPair,
  answer: IdentAnswer,
  operatingSystem = OPERATING_SYSTEM_DEFAULT,
): Buffer {
  const about = `${ports.remote} , ${ports.local}`;
  if (answer.kind === "error") return Buffer.from(`${about} : ERROR : ${answer.token}\r\n`);
  if (!isIdentUser(answer.user) || !isOperatingSystem(operatingSystem)) {
    throw new RangeError(`Cannot send ${JSON.stringify([operatingSystem, answer.user])}`);
  }
  return encodeBytes(`${about} : USERID : ${operatingSystem} : ${answer.user}\r\n`);
}
