/** s6-tcprules: compile tcprules text (networking.md, section 10; docs/formats/access-rules.md). */

import { isatty } from "node:tty";

import { EXIT } from "../../chain/index.ts";
import { defineCommand, Fatal, orFatal } from "../../command/index.ts";
import { octalMode, oneOf, value } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import { explainFailure, replaceCdbFile, TcpRulesCompiler } from "../index.ts";

import type { Report } from "../../host/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";

const NAME = "s6-tcprules";
const STDIN = 0 as Fd;
const CHUNK_BYTES = 1 << 18;
/** The mode that ucspi-tcp makes its files with. */
const CREATE_MODE = 0o644;
/** A file of nothing but mistakes is told in so many lines. */
const WARNINGS_MAX = 20;

export const tcprules = defineCommand({
  name: NAME,
  summary: "compile access rules from text",
  family: "long",
  options: {
    format: value(
      {
        long: "format",
        argument: "s6|djb",
        help: "compile for s6, or for ucspi-tcp exactly as its own tcprules does",
        ours: true,
      },
      oneOf("s6", "djb"),
      "s6" as const,
    ),
    mode: value(
      {
        short: "m",
        long: "mode",
        argument: "mode",
        help: "give the file these permissions, in octal; without it 644 less the umask",
        ours: true,
      },
      octalMode,
      undefined,
    ),
  },
  operands: "cdb [tmp]",
  operandCount: [1, 2],
  run({ posix, report }, { format, mode }, [cdb = "", temporary]) {
    const warnings = new Warnings(report);
    orFatal(
      (error) => explainFailure(posix, `compile to ${cdb}`, error),
      () =>
        replaceCdbFile(
          posix,
          cdb,
          { tag: NAME, temporary, createMode: CREATE_MODE, mode },
          (sink) => {
            const compiler = new TcpRulesCompiler(format, sink, (message) => warnings.add(message));
            if (isatty(STDIN)) report(NAME, "info", "reading rules from the terminal, up to ^D");
            for (const chunk of inputChunks(posix)) compiler.push(chunk);
            compiler.finish();
          },
        ),
    );
    warnings.end();
  },
});

/** Passes the first few warnings on and counts the rest. */
class Warnings {
  readonly #report: Report;
  #count = 0;

  constructor(report: Report) {
    this.#report = report;
  }

  add(message: string): void {
    this.#count += 1;
    if (this.#count <= WARNINGS_MAX) this.#report(NAME, "warning", message);
  }

  end(): void {
    const more = this.#count - WARNINGS_MAX;
    if (more > 0) this.#report(NAME, "warning", `${more} more warnings`);
  }
}

/** As `Posix.read`; what is wrong with the input is not to be taken for a fault of the output. */
function readInput(posix: Posix, chunk: Uint8Array): number | undefined {
  try {
    return posix.read(STDIN, chunk);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new Fatal(EXIT.system, `unable to read standard input: ${error.message}`, {
      cause: error,
    });
  }
}

/** Standard input to its end; each chunk is good until the next one is asked for. */
function* inputChunks(posix: Posix): Generator<Uint8Array, void> {
  if (!posix.isOpen(STDIN)) throw new Fatal(EXIT.system, "standard input is closed");
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const count = readInput(posix, chunk);
    if (count === 0) return;
    if (count === undefined) posix.waitReady(STDIN, { readable: true }, -1);
    else yield chunk.subarray(0, count);
  }
}
