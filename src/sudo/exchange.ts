/** Bytes over the socket of s6-sudo, in order and in time. */

import { waitReady } from "../clock/index.ts";
import type { Deadline } from "../clock/index.ts";
import type { Fd, Posix, ReceivedMessage } from "../posix/index.ts";

/** The peer did not answer in time, or ended too early. */
export class ExchangeError extends Error {
  override readonly name = "ExchangeError";
}

/** What a step of an exchange waits with. */
export interface ExchangeStep {
  readonly posix: Posix;
  readonly deadline: Deadline | undefined;
}

/** Read so many bytes and no more. Throws ExchangeError and SystemError. */
export async function receiveBytes(
  { posix, deadline }: ExchangeStep,
  fd: Fd,
  count: number,
): Promise<Buffer> {
  const bytes = Buffer.alloc(count);
  for (let at = 0; at < count;) {
    await ready(posix, fd, { readable: true }, deadline);
    const got = posix.read(fd, bytes.subarray(at)) ?? 0;
    if (got === 0) throw new ExchangeError("the connection has ended");
    at += got;
  }
  return bytes;
}

/** The next that comes, descriptors included; no bytes at the end. Throws ExchangeError and SystemError. */
export async function receiveMore(
  { posix, deadline }: ExchangeStep,
  fd: Fd,
  into: Uint8Array,
): Promise<ReceivedMessage> {
  for (;;) {
    await ready(posix, fd, { readable: true }, deadline);
    const message = posix.receiveMessage(fd, into);
    if (message !== undefined) return message;
  }
}

/** Send these bytes, and descriptors with the first of them, whatever the mode of the socket. */
export async function sendBytes(
  { posix, deadline }: ExchangeStep,
  fd: Fd,
  bytes: Uint8Array,
  fds: readonly Fd[] = [],
): Promise<void> {
  let left = fds;
  for (let rest = bytes; rest.length > 0;) {
    const sent = posix.sendMessage(fd, rest, left);
    if (sent === undefined) {
      await ready(posix, fd, { writable: true }, deadline);
      continue;
    }
    left = [];
    rest = rest.subarray(sent);
  }
}

async function ready(
  posix: Posix,
  fd: Fd,
  interest: { readonly readable?: boolean; readonly writable?: boolean },
  deadline: Deadline | undefined,
): Promise<void> {
  if (!(await waitReady(posix, fd, interest, deadline))) {
    throw new ExchangeError(posix.strerror("ETIMEDOUT"));
  }
}
