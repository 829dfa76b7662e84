/** Which certificate for which name: the choice that a server makes by SNI (networking.md, 14.1). */

import { comparableHostName } from "../../net/index.ts";
import type { SniLevel } from "../options/declarations.ts";

/** The pairs that a server may choose from. */
export interface ServerNamesOptions<T> {
  readonly level: SniLevel;
  /** For clients that name nothing, or something else. Not at level 2. */
  readonly fallback: T | undefined;
  /** By name, or by `*.` and the name of a domain. An empty name is ignored; level 0 ignores all. */
  readonly named: Iterable<readonly [name: string, entry: T]>;
}

/** A table of names. Neither ASCII case nor a dot at the end counts. */
export class ServerNames<T> {
  readonly #fallback: T | undefined;
  readonly #named: ReadonlyMap<string, T>;

  constructor({ level, fallback, named }: ServerNamesOptions<T>) {
    this.#fallback = level === 2 ? undefined : fallback;
    const entries = level === 0 ? [] : [...named].filter(([name]) => name !== "");
    this.#named = new Map(entries.map(([name, entry]) => [nameKey(name), entry]));
  }

  /**
   * The entry for the name that a client asks for: exactly that one, else a wildcard in place of its
   * first label, else the fallback. Undefined: there is to be no handshake.
   *
   * A wildcard stands for one label of a name with three at least: `*.com` matches nothing, and `*.lan`
   * neither. A dot at the end, which RFC 6066 forbids to send, is no part of the name.
   */
  lookup(name: string | undefined): T | undefined {
    const asked = nameKey(name);
    return this.#named.get(asked) ?? this.#named.get(wildcardFor(asked)) ?? this.#fallback;
  }
}

/** The name of the wildcard that would match; empty when none can. */
function wildcardFor(name: string): string {
  const dot = name.indexOf(".");
  const domain = name.slice(dot + 1);
  return dot >= 0 && domain.includes(".") ? `*.${domain}` : "";
}

/** The same text for names that are the same, and the empty one for none. */
export function nameKey(name = ""): string {
  return comparableHostName(name);
}
