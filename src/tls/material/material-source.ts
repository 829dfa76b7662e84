/**
 * Key material that follows its files: renewed certificates are served without a restart. What was
 * loaded last goes on being used while the files are missing, half-written or do not belong together,
 * for that is what they are while they are replaced one after the other.
 *
 * A look costs one stat(2) for each key, certificate, bundle and directory, and once a second one for
 * each file of CADIR too. Files are read again when one has changed, and once more a few milliseconds
 * later (see src/posix/file-version.ts).
 */

import type { Clock } from "../../clock/index.ts";
import { TlsMaterialError } from "./material-error.ts";
import { MaterialFiles } from "./material-files.ts";
import type { MaterialPosix } from "./material-files.ts";

/** The interval at which the files of a directory are checked, and damaged files tried again. */
const RECHECK_MS = 1000;

export interface MaterialSourceOptions<M> {
  readonly posix: MaterialPosix;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Read it, through these files alone. Throws TlsMaterialError. Results that are the same in JSON are the same. */
  readonly load: (files: MaterialFiles) => M;
  /** Told once of each broken state of the files that replaces one in use. */
  readonly onBroken: (error: TlsMaterialError) => void;
}

/** The material and the files it came from. */
export class MaterialSource<M> {
  readonly #options: MaterialSourceOptions<M>;
  #material: M;
  /** Of the last attempt, successful or not. */
  #files: MaterialFiles;
  #isBroken = false;
  #reported = "";
  #recheckMs: number;

  /** Loads it for the first time. Throws TlsMaterialError. */
  constructor(options: MaterialSourceOptions<M>) {
    this.#options = options;
    this.#files = new MaterialFiles(options.posix);
    this.#material = options.load(this.#files);
    this.#recheckMs = options.clock.monotonicMs() + RECHECK_MS;
  }

  /** The material now; the same object for as long as the files say the same. */
  current(): M {
    const nowMs = this.#options.clock.monotonicMs();
    const isRecheck = nowMs >= this.#recheckMs;
    if (isRecheck) this.#recheckMs = nowMs + RECHECK_MS;
    const mustLoad = isRecheck && this.#isBroken;
    if (mustLoad || this.#files.hasChanged({ withMembers: isRecheck })) this.#reload();
    return this.#material;
  }

  #reload(): void {
    this.#files = new MaterialFiles(this.#options.posix);
    this.#isBroken = true;
    try {
      const material = this.#options.load(this.#files);
      this.#isBroken = false;
      this.#reported = "";
      if (JSON.stringify(material) !== JSON.stringify(this.#material)) this.#material = material;
    } catch (error) {
      if (!(error instanceof TlsMaterialError)) throw error;
      this.#report(error);
    }
  }

  #report(error: TlsMaterialError): void {
    const state = `${error.message}\0${this.#files.versions}`;
    if (state === this.#reported) return;
    this.#reported = state;
    this.#options.onBroken(error);
  }
}
