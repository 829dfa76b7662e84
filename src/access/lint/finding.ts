/** The findings of the linter. */

/** The subject of a finding; docs/formats/access-rules.md explains each. */
export type FindingCode =
  | "bad-certificate"
  | "bad-id"
  | "bad-name"
  | "bad-network"
  | "both"
  | "duplicate"
  | "empty"
  | "environment-too-big"
  | "exec-cut"
  | "extension"
  | "host-bits"
  | "invalid"
  | "not-canonical"
  | "redundant"
  | "shadowed"
  | "stray"
  | "too-long"
  | "trailing-dot"
  | "unknown-kind"
  | "unreadable"
  | "upper-case"
  | "wildcard";

export interface Finding {
  /** An error refuses clients or makes compiling fail; a note is about something superfluous, or worth knowing. */
  readonly severity: "error" | "warning" | "note";
  readonly key: string;
  readonly code: FindingCode;
  /** Reads on from the key. */
  readonly message: string;
}
