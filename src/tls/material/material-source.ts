/**
 * Key material that follows its files: renewed certificates are served without a restart. Keys and certificates
 * that were loaded last go on being used while the files are missing, half-written or do not belong together,
 * for that is what they are while they are replaced one after the other. Trust anchors do not: an authority
 * whose file is gone is trusted no more, and without a readable one there are no handshakes.
 *
 * A look costs one stat(2) for each key, certificate, bundle and directory, and for the files of CADIR: at
 * each look where they are few, and once a second else. Files are read again when one has changed, and once more
 * a few milliseconds later (see src/posix/file-version.ts).
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
  /**
   * The material of before with the trust anchors as the files have them now, for when no other can be loaded.
   * Throws TlsMaterialError when they cannot be read.
   */
  readonly renewTrust: (before: M, files: MaterialFiles) => M;
  /** Told once of each broken state of the files that replaces one in use. */
  readonly warn: (text: string) => void;
}

/** The material and the files it came from. */
export class MaterialSource<M> {
  readonly #options: MaterialSourceOptions<M>;
  #material: M;
  /** Of the last attempt, successful or not. */
  #files: MaterialFiles;
  #isBroken = false;
  /** The reason why there is no trust, and so no material. */
  #withdrawn: TlsMaterialError | undefined;
  #reported = "";
  #recheckMs: number;

  /** Loads it for the first time. Throws TlsMaterialError. */
  constructor(options: MaterialSourceOptions<M>) {
    this.#options = options;
    this.#files = new MaterialFiles(options.posix);
    this.#material = options.load(this.#files);
    this.#recheckMs = options.clock.monotonicMs() + RECHECK_MS;
  }

  /**
   * The material now; the same object for as long as the files say the same. Throws TlsMaterialError while its
   * trust anchors cannot be read.
   */
  current(): M {
    const nowMs = this.#options.clock.monotonicMs();
    const isRecheck = nowMs >= this.#recheckMs;
    if (isRecheck) this.#recheckMs = nowMs + RECHECK_MS;
    const mustLoad = isRecheck && this.#isBroken;
    if (mustLoad || this.#files.hasChanged({ withMembers: isRecheck })) this.#reload();
    if (this.#withdrawn !== undefined) throw this.#withdrawn;
    return this.#material;
  }

  #reload(): void {
    this.#files = new MaterialFiles(this.#options.posix);
    try {
      this.#take(this.#options.load(this.#files));
      this.#isBroken = false;
      this.#reported = "";
    } catch (error) {
      this.#isBroken = true;
      this.#renewTrust(materialError(error));
    }
  }

  /** The new files cannot be used: have those read before, but for the trust. */
  #renewTrust(why: TlsMaterialError): void {
    try {
      this.#take(this.#options.renewTrust(this.#material, this.#files));
      this.#report(`${why.message}; the files read before stay in use`);
    } catch (error) {
      this.#withdrawn = materialError(error);
      this.#report(`${this.#withdrawn.message}; connections are refused until that can be used`);
    }
  }

  #take(material: M): void {
    if (JSON.stringify(material) !== JSON.stringify(this.#material)) this.#material = material;
    this.#withdrawn = undefined;
  }

  #report(text: string): void {
    const state = `${text}\0${this.#files.versions}`;
    if (state === this.#reported) return;
    this.#reported = state;
    this.#options.warn(text);
  }
}

/** Any other error is no fault of the files, and is thrown on. */
function materialError(error: unknown): TlsMaterialError {
  if (error instanceof TlsMaterialError) return error;
  throw error;
}
