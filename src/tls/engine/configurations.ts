/**
 * The configurations of one command line: which files count is for the variables of each connection to
 * say, which are mostly the same. Files are read when they are named for the first time, and followed
 * from then on.
 */

import type { Environment } from "../../chain/index.ts";
import type { Clock } from "../../clock/index.ts";
import type { EngineConfiguration } from "./messages.ts";
import type { MaterialFiles, MaterialPosix } from "../material/material-files.ts";
import { MaterialSource } from "../material/material-source.ts";

/** The variables that name files, but for those of SNI. */
const FILE_VARIABLES = ["KEYFILE", "CERTFILE", "CADIR", "CAFILE"];
const SNI_VARIABLES = ["KEYFILE:", "CERTFILE:"];

/** Rules may name other files for each client; so many sets are followed. */
const SOURCES_MAX = 64;

export interface ConfigurationsOptions {
  readonly posix: MaterialPosix;
  readonly clock: Clock;
  /** Read what the variables name; throws TlsMaterialError. */
  load(variables: Environment, files: MaterialFiles): EngineConfiguration;
  /** The same with the trust that the files give now; throws TlsMaterialError when they give none. */
  renewTrust(
    before: EngineConfiguration,
    variables: Environment,
    files: MaterialFiles,
  ): EngineConfiguration;
  /** Do the variables of SNI count? */
  readonly hasNames: boolean;
  /** The files in use were replaced by some that cannot be used: why. */
  readonly warn: (text: string) => void;
}

export class Configurations {
  readonly #options: ConfigurationsOptions;
  readonly #sources = new Map<string, MaterialSource<EngineConfiguration>>();

  constructor(options: ConfigurationsOptions) {
    this.#options = options;
  }

  /** The configuration for a process of this environment now. Throws TlsMaterialError. */
  current(environment: Environment): EngineConfiguration {
    const key = this.#keyOf(environment);
    const known = this.#sources.get(key);
    if (known !== undefined) return known.current();
    const { posix, clock, load, renewTrust, warn } = this.#options;
    const source = new MaterialSource({
      posix,
      clock,
      load: (files) => load(environment, files),
      renewTrust: (before, files) => renewTrust(before, environment, files),
      warn,
    });
    if (this.#sources.size >= SOURCES_MAX) this.#sources.clear();
    this.#sources.set(key, source);
    return source.current();
  }

  #keyOf(environment: Environment): string {
    const names = this.#options.hasNames
      ? SNI_VARIABLES.flatMap((prefix) => environment.namesStartingWith(prefix))
      : [];
    const values = [...FILE_VARIABLES, ...names].map((name) => [name, environment.get(name)]);
    return JSON.stringify(values);
  }
}
