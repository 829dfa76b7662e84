/** What the linter says about a rule. */

/** What a finding is about; docs/formats/access-rules.md explains each. */
export type FindingCode =
  | "bad-id"
  | "bad-name"
  | "bad-network"
  | "both"
  | "duplicate"
  | "empty"
  | "environment-too-big"
  | "exec-cut"
  | "host-bits"
  | "invalid"
  | "not-canonical"
  | "redundant"
  | "shadowed"
  | "stray"
  | "trailing-dot"
  | "unknown-kind"
  | "unreadable"
  | "upper-case";

export interface Finding {
  /** An error keeps clients out or compiling from working; a note is only superfluous. */
  readonly severity: "error" | "warning" | "note";
  readonly key: string;
  readonly code: FindingCode;
  /** Reads on from the key. */
  readonly message: string;
}
