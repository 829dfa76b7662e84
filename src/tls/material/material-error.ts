/** The reason why keys, certificates or settings of TLS cannot be used. */

import { errnoOf } from "../../posix/index.ts";
import type { Posix } from "../../posix/index.ts";

/** 96: material that cannot be used; 100: invalid settings; 111: a system call failed. */
export type MaterialExitCode = 96 | 100 | 111;

/** The message is what users see: one line that names the file and the variable. */
export class TlsMaterialError extends Error {
  override readonly name: string = "TlsMaterialError";
  readonly exitCode: MaterialExitCode;

  constructor(exitCode: MaterialExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** A variable that has to name something is not there, which is no fault of any file. */
export class UnsetVariable extends TlsMaterialError {
  override readonly name = "UnsetVariable";
}

/** A fault in the content of a file. The caller knows which file it is, and its use. */
export class MaterialProblem extends Error {
  override readonly name = "MaterialProblem";
}

/** Which side we are: a missing file is 96 to a server and 111 to a client (networking.md, 14.3). */
export type Side = "client" | "server";

/**
 * `unable to use KEYFILE /etc/x.pem: it is encrypted with a passphrase`: what to throw for an error that
 * came while a file was read and made sense of. Errors that are no fault of the file are thrown on.
 */
export function cannotUse(
  what: string,
  error: unknown,
  side: Side,
  posix: Pick<Posix, "strerror">,
): TlsMaterialError {
  if (error instanceof MaterialProblem) {
    return new TlsMaterialError(96, `unable to use ${what}: ${error.message}`, { cause: error });
  }
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  const message = `unable to read ${what}: ${posix.strerror(errno)}`;
  return new TlsMaterialError(side === "server" ? 96 : 111, message, { cause: error });
}
