/** Names of hosts: those that look-ups return are in lower case, with a dot at their end. */

/** The longest name in text form, trailing dot included (RFC 1035 section 2.3.4, less the length). */
const HOST_NAME_LENGTH_MAX = 254;

const LABELS = /^(?:[a-z0-9_-]{1,63}\.)+$/;

/**
 * May this go into a variable or become part of the key of a rule? Letters, digits, hyphen and
 * underscore only: the owner of a reverse zone can put any byte into a name, slashes included.
 */
export function isHostName(name: string): boolean {
  return name.length <= HOST_NAME_LENGTH_MAX && LABELS.test(name);
}

/**
 * The same name without the dot at its end, which marks it as complete and is in no certificate and no key
 * of a rule (RFC 6066 section 3).
 */
export function withoutFinalDot(name: string): string {
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/**
 * The one spelling of a name, by which names are compared: in lower case, without the dot at its end. ASCII
 * letters alone have a case: to Unicode the Kelvin sign is a capital k as well.
 */
export function comparableHostName(name: string): string {
  return withoutFinalDot(name).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}
