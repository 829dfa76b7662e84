/** How a command ends early. */

/** Ends a command. `run` throws it; only the launcher prints it and exits. */
export class Fatal extends Error {
  override readonly name = "Fatal";
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}
