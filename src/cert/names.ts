/**
 * The names that certificates are made for: DNS names, wildcards and IP addresses of servers (RFC 5280
 * section 4.2.1.6, RFC 9525 section 6.3), and what people and programs are called.
 */

import { comparableHostName, formatIp, parseIp } from "../net/index.ts";
import { CertProblem } from "./problem.ts";

/** One entry of subjectAltName. */
export interface ServerName {
  readonly type: "dns" | "ip" | "email";
  readonly value: string;
}

/** The longest common name (RFC 5280, appendix A.1, ub-common-name). */
const COMMON_NAME_LENGTH_MAX = 64;

/** The longest DNS name as text without the final dot (RFC 1035 section 2.3.4). */
const DNS_NAME_LENGTH_MAX = 253;

/** The most names that one certificate can have here, which is what public authorities allow. */
const NAMES_MAX = 100;

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const CLIENT_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9 ._@+-]*[A-Za-z0-9_+-])?$/;
/** A dot-atom and a host (RFC 5321 section 4.1.2, without quoted strings). */
const EMAIL = /^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@([A-Za-z0-9.-]+)$/;
/** Control, format and unassigned characters, surrogates included. */
const UNPRINTABLE = /\p{C}/u;

/** The names of a server, in their canonical form and each once. Throws CertProblem. */
export function parseServerNames(texts: readonly string[]): readonly ServerName[] {
  const names = new Map<string, ServerName>();
  for (const text of texts) {
    const name = parseServerName(text);
    names.set(`${name.type}:${name.value}`, name);
  }
  if (names.size === 0) throw new CertProblem("input", "a server certificate needs a name");
  if (names.size > NAMES_MAX) {
    throw new CertProblem("input", `${names.size} names are more than ${NAMES_MAX}`);
  }
  return [...names.values()];
}

/**
 * A DNS name, a wildcard for the leftmost label, or an IP address; letters become lower-case, and a dot at the
 * end is left out. Throws CertProblem.
 *
 *     parseServerName("*.Example.org") // { type: "dns", value: "*.example.org" }
 *     parseServerName("2001:DB8:0::1") // { type: "ip", value: "2001:db8::1" }
 */
export function parseServerName(text: string): ServerName {
  const name = comparableHostName(text);
  const address = parseIp(name);
  if (address !== undefined) return { type: "ip", value: formatIp(address) };
  const why = dnsProblem(name);
  if (why !== undefined)
    throw new CertProblem("input", `not a server's name: ${quote(text)}: ${why}`);
  return { type: "dns", value: name };
}

/** The name of a client: its common name, and its e-mail address if it is named by one. */
export interface ClientName {
  readonly commonName: string;
  readonly names: readonly ServerName[];
}

/** Letters, digits, blanks and `._@+-`, 64 at most; with an @ it is an email address. Throws CertProblem. */
export function parseClientName(text: string): ClientName {
  const why = clientProblem(text);
  if (why !== undefined)
    throw new CertProblem("input", `not a client's name: ${quote(text)}: ${why}`);
  const names = text.includes("@") ? [{ type: "email" as const, value: text }] : [];
  return { commonName: text, names };
}

/** Any printable text that fits into a common name. Throws CertProblem. */
export function parseCommonName(text: string): string {
  const hasLength = text.length >= 1 && text.length <= COMMON_NAME_LENGTH_MAX;
  if (hasLength && !UNPRINTABLE.test(text)) return text;
  const expected = `1 to ${COMMON_NAME_LENGTH_MAX} printable characters`;
  throw new CertProblem("input", `not a common name: ${quote(text)}: it has ${expected}`);
}

/** The common name for a server: its first name that fits (it is an example of the alternative names). */
export function serverCommonName(names: readonly ServerName[]): string | undefined {
  return names.find(({ value }) => value.length <= COMMON_NAME_LENGTH_MAX)?.value;
}

/** The name of the files for a name: an underscore stands for an asterisk and for each blank. */
export function fileNameOf(name: string): string {
  return name.replace(/^\*/, "_").replaceAll(" ", "_");
}

function dnsProblem(text: string): string | undefined {
  if (/\P{ASCII}/u.test(text)) return "use the ASCII form, which begins with xn--";
  if (text.length > DNS_NAME_LENGTH_MAX) return `longer than ${DNS_NAME_LENGTH_MAX} characters`;
  const isWildcard = text.startsWith("*.");
  const labels = (isWildcard ? text.slice(2) : text).split(".");
  const wrong = labels.find((label) => !LABEL.test(label));
  if (wrong !== undefined) return `${quote(wrong)} is no label of a DNS name`;
  if (/^\d+$/.test(labels.at(-1) ?? "")) return "neither an IP address nor a DNS name";
  if (isWildcard && labels.length < 2)
    return "clients accept no wildcard for a whole top-level domain";
  return undefined;
}

function clientProblem(text: string): string | undefined {
  if (/\P{ASCII}/u.test(text)) return "only ASCII letters can be used";
  if (text.length > COMMON_NAME_LENGTH_MAX) {
    return `longer than ${COMMON_NAME_LENGTH_MAX} characters`;
  }
  if (!CLIENT_NAME.test(text)) return "letters, digits, blanks and ._@+- are allowed";
  if (!text.includes("@")) return undefined;
  const host = EMAIL.exec(text)?.[1];
  return host !== undefined && dnsProblem(comparableHostName(host)) === undefined
    ? undefined
    : "not an email address";
}

/** The text that a user typed, for an error line: short, and on one line. */
function quote(text: string): string {
  return `"${escapeUnprintable(text.length > 80 ? `${text.slice(0, 77)}...` : text)}"`;
}

/** The text with everything that could move a cursor or hide spelled out: `\u{1b}`. */
export function escapeUnprintable(text: string): string {
  return text.replaceAll(/\p{C}/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}
