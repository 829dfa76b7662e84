/** The client's message: words, variables and three descriptors (local-services.md, section 8.2). */

import { closeEach, EXIT } from "../chain/index.ts";
import { UnixMessageReader } from "../net/index.ts";
import type { Fd } from "../posix/index.ts";
import { ExchangeError, receiveMore } from "./exchange.ts";
import type { ExchangeStep } from "./exchange.ts";
import { SudoRefusal } from "./refusal.ts";
import { readSudoRequest, SUDO_BYTES_MAX, SUDO_FDS } from "./request.ts";
import type { SudoRequest } from "./request.ts";

const RECEIVED_BYTES = 65_536;
const EINVAL = 22;

/** A request and the client's descriptors, which are the caller's to close. */
export interface ReceivedRequest {
  readonly request: SudoRequest;
  readonly fds: readonly [Fd, Fd, Fd];
}

/**
 * Receive the message; `ownWords` is how many words the server has of its own. Throws SudoRefusal, ExchangeError and
 * SystemError, and has closed all descriptors that have come then.
 */
export async function receiveRequest(
  step: ExchangeStep,
  from: Fd,
  ownWords: number,
): Promise<ReceivedRequest> {
  const reader = new UnixMessageReader({ bytesMax: SUDO_BYTES_MAX });
  try {
    const { body, fds } = await receiveWhole(step, from, reader);
    try {
      return { request: requestIn(body, fds.length, ownWords), fds: threeOf(fds) };
    } catch (error) {
      closeEach(fds, step.posix);
      throw error;
    }
  } finally {
    closeEach(reader.takeFds(), step.posix);
  }
}

async function receiveWhole(
  step: ExchangeStep,
  from: Fd,
  reader: UnixMessageReader,
): Promise<{ readonly body: Uint8Array; readonly fds: readonly Fd[] }> {
  const into = new Uint8Array(RECEIVED_BYTES);
  for (;;) {
    const progress = reader.next();
    if (progress.kind === "message") return progress;
    if (progress.kind === "invalid") throw refused(EXIT.usage, progress.why);
    const { bytes, fds, lostFds, wasCut } = await receiveMore(step, from, into);
    reader.feed(into.subarray(0, bytes), fds, lostFds);
    if (lostFds || wasCut) {
      throw new SudoRefusal(EXIT.system, "descriptors or bytes of the client were lost");
    }
    if (bytes === 0) throw new ExchangeError("the connection has ended");
  }
}

function requestIn(body: Uint8Array, fdCount: number, ownWords: number): SudoRequest {
  if (fdCount !== SUDO_FDS) throw refused(EXIT.usage, `${fdCount} descriptors`);
  const reading = readSudoRequest(body, ownWords);
  switch (reading.kind) {
    case "request":
      return reading.request;
    case "malformed":
      throw refused(EXIT.usage, reading.why);
    case "invalid":
      throw refused(reading.fault === "variable" ? EXIT.usage : EXIT.system, reading.why, EINVAL);
  }
}

function threeOf([input, output, error]: readonly Fd[]): ReceivedRequest["fds"] {
  if (input === undefined || output === undefined || error === undefined) {
    throw new Error("a message whose descriptors have been counted");
  }
  return [input, output, error];
}

function refused(exitCode: number, why: string, told?: number): SudoRefusal {
  return new SudoRefusal(exitCode, `the client has sent ${why}`, told);
}
