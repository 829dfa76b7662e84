/**
 * Who may do what with an fd holder: access rules by user and group, and the rights in their environments
 * (local-services.md, sections 7 and 9.2).
 *
 * Rules in a CDB file are read at the start and again when they are asked to be, and every regular expression
 * in them is checked then: what cannot be used is refused as a whole. Rules in a directory are read for each
 * client, so an expression in them that is none costs the clients whom its rule is for.
 */

import { Cdb, CdbError, CdbRuleSet, DirectoryRules, readCdbFile } from "../../access/index.ts";
import type { LocalPeer, Rules, RulesSource, Verdict } from "../../access/index.ts";
import { decodeBytes, errnoOf } from "../../posix/index.ts";
import type { Posix } from "../../posix/index.ts";
import { RegexError } from "../../regex/index.ts";
import { RegexCache, rightsOf } from "./rights.ts";
import type { HolderRights } from "./rights.ts";

/** The decision about a client who has just connected. */
export type HolderAdmission =
  | { readonly kind: "admit"; readonly rights: HolderRights; readonly warning?: string }
  | {
      readonly kind: "refuse";
      readonly warning?: string;
      /** The errno name of the failure because of which it is refused, if one is why. */
      readonly code?: string | undefined;
    };

export interface HolderRules {
  admit(peer: LocalPeer): HolderAdmission;
  /** Read them again where they are not read for each client. Why they stay as they were, if they do. */
  reload(): string | undefined;
}

/**
 * Rules that cannot be used. `fault` is "input" where the user has to change a rule, and "system" where the
 * file cannot be read or is damaged.
 */
export class HolderRulesError extends Error {
  override readonly name = "HolderRulesError";
  readonly fault: "input" | "system";

  constructor(fault: "input" | "system", message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

/** Open the rules of a holder. Throws HolderRulesError for a CDB file that cannot be used. */
export function openHolderRules(source: RulesSource, posix: Posix): HolderRules {
  return "cdb" in source
    ? new CdbHolderRules(source.cdb, posix)
    : new DirectoryHolderRules(source.directory, posix);
}

class DirectoryHolderRules implements HolderRules {
  readonly #rules: Rules;
  readonly #posix: Posix;
  readonly #regexes = new RegexCache();

  constructor(path: string, posix: Posix) {
    this.#rules = new DirectoryRules(posix, path);
    this.#posix = posix;
  }

  admit(peer: LocalPeer): HolderAdmission {
    return admission(this.#rules.checkUidGid(peer), this.#regexes, this.#posix);
  }

  reload(): undefined {
    return undefined;
  }
}

class CdbHolderRules implements HolderRules {
  readonly #path: string;
  readonly #posix: Posix;
  readonly #regexes = new RegexCache();
  #rules: CdbRuleSet;

  constructor(path: string, posix: Posix) {
    this.#path = path;
    this.#posix = posix;
    this.#rules = this.#read();
  }

  admit(peer: LocalPeer): HolderAdmission {
    return admission(this.#rules.checkUidGid(peer), this.#regexes, this.#posix);
  }

  reload(): string | undefined {
    try {
      this.#rules = this.#read();
      return undefined;
    } catch (error) {
      if (error instanceof HolderRulesError) return error.message;
      throw error;
    }
  }

  #read(): CdbRuleSet {
    try {
      const bytes = readCdbFile(this.#posix, this.#path);
      const rules = new CdbRuleSet(bytes);
      for (const { key } of new Cdb(bytes).entries()) this.#checkRule(decodeBytes(key), rules);
      return rules;
    } catch (error) {
      if (error instanceof HolderRulesError) throw error;
      const reason = this.#reasonOf(error);
      if (reason === undefined) throw error;
      const message = `unable to read ${this.#path}: ${reason}`;
      throw new HolderRulesError("system", message, { cause: error });
    }
  }

  #reasonOf(error: unknown): string | undefined {
    if (error instanceof CdbError) return error.message;
    const code = errnoOf(error);
    if (code !== undefined) return this.#posix.strerror(code);
    return error instanceof Error && error.name === "UnfitFile" ? error.message : undefined;
  }

  #checkRule(key: string, rules: CdbRuleSet): void {
    const result = rules.probe(key);
    try {
      if (result.kind === "allow") rightsOf(result.edits, this.#regexes);
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      const message = `${this.#path}: rule ${key}: ${error.message}`;
      throw new HolderRulesError("input", message, { cause: error });
    }
  }
}

function admission(
  verdict: Verdict,
  regexes: RegexCache,
  posix: Pick<Posix, "strerror">,
): HolderAdmission {
  switch (verdict.kind) {
    case "allow":
      return rightsByRule(verdict, regexes);
    case "deny":
      return { kind: "refuse" };
    case "notFound":
      return { kind: "refuse" };
    case "error": {
      const { why, code, rule } = verdict;
      const reason = code === undefined ? why : `${why}: ${posix.strerror(code)}`;
      const warning = rule === undefined ? reason : `rule ${rule}: ${reason}`;
      return { kind: "refuse", warning, code };
    }
  }
}

function rightsByRule(
  { rule, edits, exec }: Extract<Verdict, { readonly kind: "allow" }>,
  regexes: RegexCache,
): HolderAdmission {
  try {
    const rights = rightsOf(edits, regexes);
    if (exec === undefined) return { kind: "admit", rights };
    return { kind: "admit", rights, warning: `rule ${rule}: its script is ignored` };
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    return { kind: "refuse", warning: `rule ${rule}: ${error.message}` };
  }
}
