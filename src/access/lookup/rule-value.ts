/**
 * The values of compiled rules (networking 8.3): `D` denies; `A`, a length and environment edits, a
 * length and a script for execlineb allow. Lengths are 16 bits, big-endian.
 */

/** The most bytes of environment edits that a compiled rule holds. */
export const RULE_ENVIRONMENT_BYTES_MAX = 4096;
/** The most bytes of a script. */
export const RULE_EXEC_BYTES_MAX = 4096;
const RULE_VALUE_BYTES_MAX = 5 + RULE_ENVIRONMENT_BYTES_MAX + RULE_EXEC_BYTES_MAX;

const ALLOW = 0x41;
const DENY = 0x44;

/** The value of every rule that denies. */
export const DENY_VALUE: Uint8Array = Uint8Array.of(DENY);

/** The value of every rule that allows and changes nothing else. */
export const PLAIN_ALLOW_VALUE: Uint8Array = Uint8Array.of(ALLOW, 0, 0, 0, 0);

/** A value taken apart, its blobs being views into it. */
export type RuleValue =
  | { readonly kind: "allow"; readonly environment: Uint8Array; readonly exec: Uint8Array }
  | { readonly kind: "deny" }
  /** Neither: the search goes on as if the key were absent. */
  | { readonly kind: "notFound" }
  | { readonly kind: "error"; readonly why: string };

/** Take a value apart as the C reader does; anything after `D` is ignored. */
export function parseRuleValue(bytes: Uint8Array): RuleValue {
  if (bytes.length === 0) return invalid("is empty");
  if (bytes.length > RULE_VALUE_BYTES_MAX) return invalid("is too long");
  if (bytes[0] === DENY) return { kind: "deny" };
  if (bytes[0] !== ALLOW) return { kind: "notFound" };
  const environmentBytes = lengthAt(bytes, 1);
  const execAt = 3 + environmentBytes;
  const execBytes = lengthAt(bytes, execAt);
  if (environmentBytes > RULE_ENVIRONMENT_BYTES_MAX) return invalid("has too long an environment");
  if (execBytes > RULE_EXEC_BYTES_MAX) return invalid("has too long a script");
  if (execAt + 2 + execBytes !== bytes.length)
    return invalid("does not have the length that it gives");
  return {
    kind: "allow",
    environment: bytes.subarray(3, execAt),
    exec: bytes.subarray(execAt + 2),
  };
}

/** The value of an allowing rule. Throws RangeError for blobs past their maxima. */
export function formatAllow(environment: Uint8Array, exec: Uint8Array): Uint8Array {
  if (environment.length > RULE_ENVIRONMENT_BYTES_MAX || exec.length > RULE_EXEC_BYTES_MAX) {
    throw new RangeError("A rule holds 4096 bytes of environment and 4096 of script at most");
  }
  const bytes = new Uint8Array(5 + environment.length + exec.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = ALLOW;
  view.setUint16(1, environment.length);
  bytes.set(environment, 3);
  view.setUint16(3 + environment.length, exec.length);
  bytes.set(exec, 5 + environment.length);
  return bytes;
}

/** The length at `at`; 0 where the value is too short for one, which the sum then shows. */
function lengthAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function invalid(what: string): RuleValue {
  return { kind: "error", why: `the rule's value ${what}` };
}
