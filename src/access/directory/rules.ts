/**
 * Rules kept as a directory: `DIR/<key>/allow` or `deny`, beside `allow` an `env` directory and an
 * `exec` file (networking 8.2). Nothing is remembered: a change counts from the next check on.
 */

import { errnoOf, readHead } from "../../posix/index.ts";
import { readEnvironmentDirectory } from "./environment.ts";
import { RULE_EXEC_BYTES_MAX } from "../lookup/rule-value.ts";
import { DENIED, failed, NOT_FOUND, ProbedRules } from "../lookup/rules.ts";

import type { EnvironmentEdit } from "../../net/index.ts";
import type { RulesPosix } from "../lookup/kernel.ts";
import type { Denied, Failed, RuleResult } from "../lookup/rules.ts";

const NO_EDITS: readonly EnvironmentEdit[] = [];

export class DirectoryRules extends ProbedRules {
  readonly #posix: RulesPosix;
  readonly #directory: string;

  constructor(posix: RulesPosix, directory: string) {
    super();
    this.#posix = posix;
    this.#directory = directory;
  }

  override probe(key: string): RuleResult {
    if (!isInside(key)) return NOT_FOUND;
    const rule = `${this.#directory}/${key}`;
    const allow = this.#posix.readable(`${rule}/allow`);
    if (allow === undefined) return this.#allowed(rule);
    if (allow !== "ENOENT" && allow !== "EACCES") return unreadable(`${rule}/allow`, allow);
    return this.#denied(`${rule}/deny`);
  }

  /** One that we may not read denies: an `allow` is lost that way, a denial never. */
  #denied(path: string): RuleResult {
    const code = this.#posix.readable(path);
    if (code === undefined) return DENIED;
    if (code === "ENOENT") return NOT_FOUND;
    const fault = unreadable(path, code);
    return code === "EACCES" ? { kind: "deny", fault } : fault;
  }

  #allowed(rule: string): RuleResult {
    const edits = this.#edits(`${rule}/env`);
    if ("kind" in edits) return edits;
    const exec = this.#exec(`${rule}/exec`);
    if (exec !== undefined && "kind" in exec) return exec;
    return { kind: "allow", edits, exec };
  }

  /** Most rules have no environment, so its absence is asked for rather than caught. */
  #edits(path: string): readonly EnvironmentEdit[] | Failed {
    if (this.#posix.fileVersion(path) === "ENOENT") return NO_EDITS;
    try {
      return readEnvironmentDirectory(this.#posix, path);
    } catch (error) {
      return unreadable(path, errnoOf(error));
    }
  }

  /** The program itself is no stand-in for a script that we may not read. */
  #exec(path: string): Uint8Array | undefined | Failed | Denied {
    if (this.#posix.fileVersion(path) === "ENOENT") return undefined;
    try {
      const script = readHead(this.#posix, path, RULE_EXEC_BYTES_MAX);
      return script.length === 0 ? undefined : script;
    } catch (error) {
      const code = errnoOf(error);
      if (code === "ENOENT") return undefined;
      const fault = unreadable(path, code);
      return code === "EACCES" ? { kind: "deny", fault } : fault;
    }
  }
}

/** Does the key name something below the directory? Host names come from the network. */
function isInside(key: string): boolean {
  const [, name = "", ...deeper] = key.split("/");
  return deeper.length === 0 && name !== "." && name !== ".." && !key.includes("\0");
}

function unreadable(path: string, code: string | undefined): Failed {
  return failed(`unable to read ${path}`, code);
}
