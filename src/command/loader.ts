/**
 * Loads the bundles that the build makes of this package, each once in a process. Every bundle names the
 * build that it belongs to in its first line, and one of another build is refused: `npm install` may
 * replace the files while a server runs, and parts of two versions must never meet in one process.
 *
 * Where the build has left V8's compiled code for the V8 that runs (`npm run build` does, for the Node
 * that it runs on), the source is not compiled anew, which saves a short command a tenth of its time.
 */

import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";

/** The first line of each bundle of this build, without its end; set by the build. */
declare const BUNDLE_HEAD: string;

/** A bundle is the text of a function, which is given what a module of CommonJS is. */
type Body = (
  require: (id: string) => unknown,
  module: { exports: unknown },
  exports: unknown,
  dirname: string,
) => void;

/** How a command has been called. */
export interface Invocation {
  /** That of its launcher; "ucspi" is the one with all commands. */
  readonly name: string;
  /** Where the portable launchers are. */
  readonly directory: string;
  /** Where in process.argv its words begin. */
  readonly wordsAt: number;
}

/** What of the core the launchers call. */
interface Core {
  readonly command_main$main: (call: Invocation) => Promise<never>;
  readonly command_main$multicall: (call: Invocation) => Promise<never>;
}

/** A bundle that is gone, or belongs to another build. Known by its name, for it has a bundle of its own. */
export class BundleError extends Error {
  override readonly name = "BundleError";
}

export class Bundles {
  readonly #folder: string;
  readonly #require: NodeJS.Require;
  /** Where compiled code is, or belongs. */
  readonly compiledFolder: string;
  #hasCompiled: boolean;
  readonly #modules = new Map<string, { exports: unknown }>();
  readonly #scripts = new Map<string, Script>();

  /**
   * The bundles in `folder`; `require` finds Node's modules and other packages for them. `version` is V8's,
   * and compiled code is of it and of this build: V8 itself compares no more than lengths of sources.
   */
  constructor(folder: string, require: NodeJS.Require, version: string, usesCompiled: boolean) {
    const [build = ""] = BUNDLE_HEAD.split(" ").slice(-1);
    this.#folder = folder;
    this.#require = require;
    this.compiledFolder = join(folder, "compiled", `${version}-${build}`);
    this.#hasCompiled = usesCompiled;
  }

  /** What the bundle `NAME.cjs` exports. Throws where its file is gone or belongs to another build. */
  load(name: string): unknown {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.exports;
    const body = this.#compile(name);
    const module: { exports: unknown } = { exports: {} };
    this.#modules.set(name, module);
    try {
      body((id) => this.#find(id), module, module.exports, this.#folder);
    } catch (error) {
      this.#modules.delete(name);
      throw error;
    }
    return module.exports;
  }

  /** The compiled code of each bundle loaded so far, functions that have been called included. */
  compiled(): Map<string, Buffer> {
    return new Map(
      Array.from(this.#scripts, ([name, script]) => [name, script.createCachedData()]),
    );
  }

  #find(id: string): unknown {
    return id.startsWith("./") ? this.load(id.slice(2, -4)) : this.#require(id);
  }

  #compile(name: string): Body {
    const filename = join(this.#folder, `${name}.cjs`);
    const source = this.#read(filename);
    const script = new Script(source, { filename, cachedData: this.#readCompiled(name) });
    this.#scripts.set(name, script);
    return script.runInThisContext() as Body;
  }

  #read(filename: string): string {
    let source;
    try {
      source = readFileSync(filename, "utf8");
    } catch (error) {
      throw new BundleError(`unable to read ${filename}: ${REPLACED}`, { cause: error });
    }
    if (source.startsWith(`${BUNDLE_HEAD}\n`)) return source;
    throw new BundleError(`${filename} belongs to another build: ${REPLACED}`);
  }

  #readCompiled(name: string): Buffer | undefined {
    if (!this.#hasCompiled) return undefined;
    try {
      return readFileSync(join(this.compiledFolder, name));
    } catch {
      this.#hasCompiled = false; // it is only there to save time
      return undefined;
    }
  }
}

const REPLACED = "the package has been replaced since this process was started";

/** Run the command `name`, as its portable launcher in `directory` does. */
export function start(bundles: Bundles, name: string, directory: string): Promise<never> {
  return run(bundles, { name, directory, wordsAt: 2 });
}

/** Run the command that a native launcher has put before its words (src/launcher/launcher.c). */
export function launch(bundles: Bundles): Promise<never> {
  const [, , name = ""] = process.argv;
  return run(bundles, { name, directory: join(import.meta.dirname, "..", "bin"), wordsAt: 3 });
}

async function run(bundles: Bundles, call: Invocation): Promise<never> {
  try {
    const core = bundles.load("core") as Core;
    if (call.name === "ucspi") return await core.command_main$multicall(call);
    return await core.command_main$main(call);
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    writeSync(2, `${call.name}: fatal: ${error.message}\n`);
    return process.exit(EXIT_SYSTEM);
  }
}

/** As in src/chain/exit.ts, which is not loaded where this is needed. */
const EXIT_SYSTEM = 111;

/** The bundles beside this file, for a launcher that gives its `require`. */
export function openBundles(require: NodeJS.Require): Bundles {
  const { versions, arch, env } = process;
  const isMeasured = env["NODE_V8_COVERAGE"] !== undefined; // which compiled code knows nothing of
  return new Bundles(import.meta.dirname, require, `${versions.v8}-${arch}`, !isMeasured);
}
