/**
 * The client of RFC 1413: ask the machine at the other end of a connection which of its users owns it.
 * One nonblocking socket of our own, bound to the local address of that connection, since the server
 * looks the connection up by both addresses.
 */

import { waitReady } from "../clock/index.ts";
import { toSocketAddress } from "../net/index.ts";
import { errnoOf } from "../posix/index.ts";
import { formatIdentRequest, IDENT_REPLY_BYTES_MAX, readIdentReply } from "./reply.ts";

import type { Deadline } from "../clock/index.ts";
import type { Endpoint } from "../net/index.ts";
import type { Fd, Interest, Posix } from "../posix/index.ts";
import type { IdentReply } from "./reply.ts";

/** The result of a question. */
export type IdentOutcome =
  | IdentReply
  /** No answer was had: `code` is the errno name, `text` what strerror(3) says of it. */
  | { readonly kind: "failed"; readonly code: string; readonly text: string }
  /** The deadline passed first. */
  | { readonly kind: "timedOut" };

/** A connection to ask about, and how. */
export interface IdentQuestion {
  /** The end whose machine is asked. */
  readonly remote: Endpoint;
  /** Our end; its address may be the wildcard. Of the same family. */
  readonly local: Endpoint;
  /** Undefined: wait as long as TCP does. */
  readonly deadline?: Deadline | undefined;
  /** The interface index, where the addresses are link-local. */
  readonly scope?: number;
  /** The port of the server, IDENT_PORT unless given. */
  readonly serverPort?: number;
}

/** The port of the service `auth` (RFC 1413 section 3). */
export const IDENT_PORT = 113;

const TIMED_OUT: IdentOutcome = { kind: "timedOut" };

/**
 * Ask about one connection. Never throws for what a network, a server or the kernel does; the socket
 * is closed when the promise resolves.
 */
export async function askIdent(posix: Posix, question: IdentQuestion): Promise<IdentOutcome> {
  if (question.deadline?.hasPassed() === true) return TIMED_OUT;
  let fd: Fd | undefined;
  try {
    fd = connectFrom(posix, question);
    return await exchange(posix, fd, question);
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return failed(posix, code);
  } finally {
    if (fd !== undefined) posix.close(fd);
  }
}

/** A socket on its way to the server. */
function connectFrom(posix: Posix, question: IdentQuestion): Fd {
  const { remote, local, scope = 0, serverPort = IDENT_PORT } = question;
  const to = toSocketAddress({ address: remote.address, port: serverPort }, scope);
  const from = toSocketAddress({ address: local.address, port: 0 }, scope);
  const fd = posix.socket(remote.address.family === 4 ? "inet" : "inet6", "stream");
  try {
    posix.bind(fd, from);
    posix.connect(fd, to);
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

/** Wait until connected, send the question, read until the answer is complete. */
async function exchange(posix: Posix, fd: Fd, question: IdentQuestion): Promise<IdentOutcome> {
  const ports = { remote: question.remote.port, local: question.local.port };
  const isReady = (interest: Interest) => waitReady(posix, fd, interest, question.deadline);
  if (!(await isReady({ writable: true }))) return TIMED_OUT;
  const code = posix.socketError(fd);
  if (code !== undefined) return failed(posix, code);
  let unsent: Uint8Array = Buffer.from(formatIdentRequest(ports));
  for (;;) {
    unsent = unsent.subarray(posix.write(fd, unsent) ?? 0);
    if (unsent.length === 0) break;
    if (!(await isReady({ writable: true }))) return TIMED_OUT;
  }
  const reply = new Uint8Array(IDENT_REPLY_BYTES_MAX);
  let used = 0;
  while (await isReady({ readable: true })) {
    const count = posix.read(fd, reply.subarray(used));
    if (count === undefined) continue;
    used += count;
    const outcome = readIdentReply(reply.subarray(0, used), ports, count === 0);
    if (outcome.kind === "breach") return failed(posix, outcome.code);
    if (outcome.kind !== "more") return outcome;
  }
  return TIMED_OUT;
}

function failed(posix: Posix, code: string): IdentOutcome {
  return { kind: "failed", code, text: posix.strerror(code) };
}
