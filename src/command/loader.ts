/**
 * Loads the bundles that the build makes of this package, each once in a process. Every bundle names the
 * build that it belongs to in its first line, and one of another build is refused: `npm install` may
 * replace the files while a server runs, and parts of two versions must never meet in one process.
 *
 * Where the build has left V8's compiled code for the V8 that runs (`npm run build` does, for the Node
 * that it runs on), the source is not compiled anew, which saves a short command a tenth of its time.
 */

import { existsSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";

/** The first line of each bundle of this build, without its end; set by the build. */
declare const BUNDLE_HEAD: string;

/** What a bundle is given, as a module of CommonJS is. */
type Body = (
  require: (id: string) => unknown,
  module: { exports: unknown },
  exports: unknown,
  dirname: string,
) => void;

const [BEFORE, AFTER] = ["(function(require,module,exports,__dirname){", "\n})"];

/** What of the core the launchers call. */
interface Core {
  readonly command: {
    main(name: string, directory: string): Promise<never>;
    multicall(directory: string): Promise<never>;
  };
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
  readonly #hasCompiled: boolean;
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
    this.#hasCompiled = usesCompiled && existsSync(this.compiledFolder);
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
    const script = new Script(BEFORE + source + AFTER, {
      filename,
      columnOffset: -BEFORE.length,
      cachedData: this.#hasCompiled ? this.#readCompiled(name) : undefined,
    });
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
    try {
      return readFileSync(join(this.compiledFolder, name));
    } catch {
      return undefined; // it is only there to save time
    }
  }
}

const REPLACED = "the package has been replaced since this process was started";

/** Run the command that a launcher in `directory` is for; "ucspi" is the one with all of them. */
export async function start(bundles: Bundles, name: string, directory: string): Promise<never> {
  try {
    const { command } = bundles.load("core") as Core;
    return await (name === "ucspi" ? command.multicall(directory) : command.main(name, directory));
  } catch (error) {
    if (!(error instanceof BundleError)) throw error;
    writeSync(2, `${name}: fatal: ${error.message}\n`);
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
