/**
 * Rules kept as a directory: `DIR/<key>/allow` or `deny`, beside `allow` an `env` directory and an
 * `exec` file (networking 8.2). Nothing is remembered: a change counts from the next check on.
 *
 * Absent is only what has no entry in its directory. What is there and cannot be read, a symbolic link that
 * leads nowhere included, may be a denial, or the words and variables that a client is to get in place
 * of those of a wider rule: so it denies, and the verdict has the fault.
 */

import { errnoOf, readHead } from "../../posix/index.ts";
import { readEnvironmentDirectory } from "./environment.ts";
import { isOfType } from "../lookup/kernel.ts";
import { RULE_EXEC_BYTES_MAX } from "../lookup/rule-value.ts";
import { DENIED, failed, NOT_FOUND, ProbedRules } from "../lookup/rules.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { RulesPosix } from "../lookup/kernel.ts";
import type { Denied, RuleResult } from "../lookup/rules.ts";

type Presence = "present" | "absent" | Denied;

const NO_EDITS: readonly EnvironmentEdit[] = [];

export class DirectoryRules extends ProbedRules {
  readonly #posix: RulesPosix;
  readonly #directory: string;

  constructor(posix: RulesPosix, directory: string) {
    super();
    this.#posix = posix;
    this.#directory = directory;
  }

  /**
   * That a rule is not there counts only if the directory of its kind is there, or has no entry either: one
   * that cannot be searched may have the rule.
   */
  override probe(key: string): RuleResult {
    if (!isInside(key)) return NOT_FOUND;
    const rule = `${this.#directory}/${key}`;
    const entry = this.#entry(rule);
    if (entry === "absent") {
      const kind = this.#entry(`${this.#directory}/${key.slice(0, key.indexOf("/"))}`);
      return typeof kind === "string" ? NOT_FOUND : kind;
    }
    if (entry !== "present") return entry;
    const allow = this.#presence(`${rule}/allow`);
    if (allow === "present") return this.#allowed(rule);
    return allow === "absent" ? this.#denied(`${rule}/deny`) : allow;
  }

  #denied(path: string): RuleResult {
    const deny = this.#presence(path);
    if (deny === "present") return DENIED;
    return deny === "absent" ? NOT_FOUND : deny;
  }

  /** Is there a file that we may read? The answer is a denial where that cannot be told. */
  #presence(path: string): Presence {
    const code = this.#posix.readable(path);
    if (code === undefined) return "present";
    if (code !== "ENOENT") return unreadable(path, code);
    const entry = this.#entry(path);
    // One that is there now was made in between: it counts from the next check on.
    return entry === "present" ? "absent" : entry;
  }

  /** Is there anything of this name? A link that leads nowhere denies, as it was to lead somewhere. */
  #entry(path: string): Presence {
    const entry = this.#posix.linkVersion(path);
    if (entry === "ENOENT") return "absent";
    if (typeof entry === "string") return unreadable(path, entry);
    const target = isOfType(entry, "link") ? this.#posix.fileVersion(path) : entry;
    return typeof target === "string" ? unreadable(path, target) : "present";
  }

  #allowed(rule: string): RuleResult {
    const edits = this.#edits(`${rule}/env`);
    if ("kind" in edits) return edits;
    const exec = this.#exec(`${rule}/exec`);
    if (exec !== undefined && "kind" in exec) return exec;
    return { kind: "allow", edits, exec };
  }

  /** Most rules have no environment, so its absence is asked for rather than caught. */
  #edits(path: string): readonly EnvironmentEdit[] | Denied {
    const entry = this.#entry(path);
    if (entry !== "present") return entry === "absent" ? NO_EDITS : entry;
    try {
      return readEnvironmentDirectory(this.#posix, path);
    } catch (error) {
      return unreadable(path, errnoOf(error));
    }
  }

  /** The program itself is no stand-in for a script that cannot be read. */
  #exec(path: string): Uint8Array | undefined | Denied {
    const entry = this.#entry(path);
    if (entry !== "present") return entry === "absent" ? undefined : entry;
    try {
      const script = readHead(this.#posix, path, RULE_EXEC_BYTES_MAX);
      return script.length === 0 ? undefined : script;
    } catch (error) {
      const isGone = errnoOf(error) === "ENOENT" && this.#entry(path) === "absent";
      return isGone ? undefined : unreadable(path, errnoOf(error));
    }
  }
}

/** Does the key name something below the directory? Host names come from the network. */
function isInside(key: string): boolean {
  const [, name = "", ...deeper] = key.split("/");
  return deeper.length === 0 && name !== "." && name !== ".." && !key.includes("\0");
}

function unreadable(path: string, code: string | undefined): Denied {
  return { kind: "deny", fault: failed(`unable to read ${path}`, code) };
}
