/** Names of hosts as look-ups return them: lower-case, with a trailing dot. */

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
