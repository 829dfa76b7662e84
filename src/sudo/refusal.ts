/** A client that s6-sudod does not serve. */

/** The exit code, why, and the number of the error that the client is told, if any. */
export class SudoRefusal extends Error {
  override readonly name = "SudoRefusal";
  readonly exitCode: number;
  readonly told: number | undefined;

  constructor(exitCode: number, message: string, told?: number) {
    super(message);
    this.exitCode = exitCode;
    this.told = told;
  }
}
