/** The client's side of s6-sudo: hand over what the program is to have, and wait for its end. */

import { getSystemErrorName } from "node:util";
import { deadlineAfter } from "../clock/index.ts";
import type { Clock } from "../clock/index.ts";
import { formatUnixMessage } from "../net/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { ExchangeError, receiveBytes, sendBytes } from "./exchange.ts";
import { exitCodeOfStatus, formatSudoRequest, SUDO_FDS, SUDO_SERVER_BANNER } from "./request.ts";
import type { SudoRequest } from "./request.ts";

/** A run under the rights of a server. */
export interface SudoRun {
  readonly request: SudoRequest;
  /** The connection: where it is read, and where it is written. */
  readonly from: Fd;
  readonly to: Fd;
  /** The descriptors 0, 1 and 2 of the program. */
  readonly fds: readonly Fd[];
  /** Milliseconds until the program runs, and for its run. */
  readonly timeoutMs: number | undefined;
  readonly runTimeoutMs: number | undefined;
  /** Called as soon as the server has the descriptors. */
  handedOver(): void;
}

/** A run that has not come to its end: `isForeign` where the server is none for s6-sudo. */
export class SudoError extends Error {
  override readonly name = "SudoError";
  readonly isForeign: boolean;

  constructor(message: string, isForeign = false) {
    super(message);
    this.isForeign = isForeign;
  }
}

/** The exit code for the end of the program (local-services.md, section 8.4). Throws SudoError. */
export async function runSudo(
  { posix, clock }: { readonly posix: Posix; readonly clock: Clock },
  run: SudoRun,
): Promise<number> {
  const { from, to, fds, request } = run;
  const step = { posix, deadline: deadlineAfter(clock, run.timeoutMs) };
  const banner = await doing("read the banner of the server", () =>
    receiveBytes(step, from, SUDO_SERVER_BANNER.length),
  );
  if (banner.toString("latin1") !== SUDO_SERVER_BANNER) {
    throw new SudoError("the server is no s6-sudod, or one of another version", true);
  }
  const message = formatUnixMessage(formatSudoRequest(request), SUDO_FDS);
  await doing("send to the server", () => sendBytes(step, to, message, fds));
  run.handedOver();
  const [errno = 0] = await doing("get confirmation from the server", () =>
    receiveBytes(step, from, 1),
  );
  if (errno !== 0)
    throw new SudoError(`the server could not run the program: ${told(errno, posix)}`);
  const runStep = { posix, deadline: deadlineAfter(clock, run.runTimeoutMs) };
  const status = await doing("get the exit status from the server", () =>
    receiveBytes(runStep, from, 4),
  );
  return exitCodeOfStatus(status);
}

async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ExchangeError || error instanceof SystemError)) throw error;
    throw new SudoError(`unable to ${what}: ${error.message}`);
  }
}

/** A number of an error in words. */
function told(errno: number, posix: Posix): string {
  const name = getSystemErrorName(-errno);
  return name.startsWith("Unknown") ? `error ${errno}` : posix.strerror(name);
}
