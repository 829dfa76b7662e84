/** From tcprules text to a database of either format, wherever the one comes from and the other goes. */

import { CdbWriter } from "../cdb/writer.ts";
import { DjbRules } from "./djb.ts";
import { RuleTextParser } from "./parser.ts";
import { S6Rules } from "./s6.ts";

import type { CdbSink } from "../cdb/writer.ts";

/** `djb` for ucspi-tcp's tcpserver, `s6` for this suite and the C one. */
export type RulesFormat = "djb" | "s6";

/** Compiles text in chunks of any size. */
export class TcpRulesCompiler {
  readonly #writer: CdbWriter;
  readonly #handler: DjbRules | S6Rules;
  readonly #parser: RuleTextParser;

  /** `warn` is told of lines that have no effect, or not the one they have in ucspi-tcp. */
  constructor(format: RulesFormat, sink: CdbSink, warn: (message: string) => void) {
    this.#writer = new CdbWriter(sink);
    this.#handler =
      format === "djb" ? new DjbRules(this.#writer, warn) : new S6Rules(this.#writer, warn);
    const addressEnd = format === "djb" ? "firstColon" : "instruction";
    this.#parser = new RuleTextParser(addressEnd, this.#handler);
  }

  /** Throws RuleLineError at the first line that cannot be compiled, RangeError past 4 GiB. */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk);
  }

  /** The text is complete: write what is left of the database. Throws as `push` does. */
  finish(): void {
    this.#parser.end();
    this.#handler.finish();
    this.#writer.finish();
  }
}
