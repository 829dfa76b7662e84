/**
 * The subject alternative names of a certificate (RFC 5280, section 4.2.1.6) of the kinds that we know, and
 * their text, which is what one process tells another of them.
 */

/** One name. */
export interface AlternativeName {
  readonly kind: "dns" | "email" | "uri" | "ip";
  /**
   * An address as we always write it, a DNS name without the dot at its end; everything else as it stands
   * in the certificate.
   */
  readonly value: string;
}

/**
 * The longest text of the names of one certificate, and the only limit on them: it goes into a variable,
 * with others into a block of 4095 bytes (networking.md, section 13.2), the rest of which takes 1700 at
 * most. A certificate with more names counts as one whose names are not known, wherever it is looked at,
 * so that a rule means the same for a chain that is fused and for one that is executed.
 */
export const ALTERNATIVE_NAMES_BYTES_MAX = 2048;

/** `dns:www.example.com email:me@example.com`, for names without blanks. */
export function formatAlternativeNames(names: readonly AlternativeName[]): string {
  return names.map(({ kind, value }) => `${kind}:${value}`).join(" ");
}

/** Is the text of the names no longer than the most? */
export function areFewAlternativeNames(names: readonly AlternativeName[]): boolean {
  let bytes = names.length - 1;
  for (const { kind, value } of names) {
    bytes += kind.length + 1 + Buffer.byteLength(value);
    if (bytes > ALTERNATIVE_NAMES_BYTES_MAX) return false;
  }
  return true;
}

/** Undefined when one of the words is no name, and for a text that is too long. */
export function parseAlternativeNames(text: string): AlternativeName[] | undefined {
  if (text.length > ALTERNATIVE_NAMES_BYTES_MAX) return undefined;
  const names: AlternativeName[] = [];
  for (const word of text === "" ? [] : text.split(" ")) {
    const [, kind, value] = /^(dns|email|uri|ip):([\x21-\x7e]+)$/.exec(word) ?? [];
    if (value === undefined || !isAlternativeNameKind(kind)) return undefined;
    names.push({ kind, value });
  }
  return names;
}

/** Is this a kind of names that we know? */
export function isAlternativeNameKind(word: unknown): word is AlternativeName["kind"] {
  return word === "dns" || word === "email" || word === "uri" || word === "ip";
}
