/** A connection to an fd holder as its client has it: whole messages each way, under one deadline. */

import { constants } from "node:os";
import { waitReady } from "../../clock/index.ts";
import type { Clock, Deadline } from "../../clock/index.ts";
import { formatUnixMessage, UNIX_MESSAGE_FDS_MAX, UnixMessageReader } from "../../net/index.ts";
import type { UnixMessage } from "../../net/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, Interest, Posix } from "../../posix/index.ts";

/** The longest reply that is read: a list of 65,536 of the longest identifiers. */
const REPLY_BYTES_MAX = 1 << 24;
const INPUT_BYTES = 1 << 16;

/** The time between two attempts to connect while the backlog of the holder is full. */
const RETRY_MS = 10;

/** A failure as the errno that says what it is. */
export function holderError(
  posix: Pick<Posix, "strerror">,
  code: string,
  syscall: string,
): SystemError {
  const numbers: Readonly<Record<string, number>> = constants.errno;
  return new SystemError(code, numbers[code] ?? 0, syscall, posix.strerror(code));
}

export interface ConnectionParts {
  readonly posix: Posix;
  readonly clock: Clock;
  /** For everything that is done with the connection; undefined for none. */
  readonly deadline: Deadline | undefined;
}

/** Connect to a holder. Throws SystemError (ECONNREFUSED, ENOENT, EACCES, ETIMEDOUT, ...). */
export async function connectToHolder(path: string, parts: ConnectionParts): Promise<Fd> {
  const { posix, clock, deadline } = parts;
  const fd = posix.socket("unix", "stream");
  try {
    while (!isConnected(posix, fd, path)) {
      if (deadline?.hasPassed() === true) throw holderError(posix, "ETIMEDOUT", "connect");
      await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
    }
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

/** False where the holder's backlog is full. */
function isConnected(posix: Posix, fd: Fd, path: string): boolean {
  try {
    return posix.connect(fd, { family: "unix", path });
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return false;
    throw error;
  }
}

export class HolderConnection {
  readonly #posix: Posix;
  readonly #deadline: Deadline | undefined;
  readonly #fd: Fd;
  readonly #input = Buffer.allocUnsafe(INPUT_BYTES);
  readonly #reader = new UnixMessageReader({
    bytesMax: REPLY_BYTES_MAX,
    fdsMax: UNIX_MESSAGE_FDS_MAX,
  });

  /** `fd` is a connected stream socket, and its own from now on. */
  constructor(fd: Fd, { posix, deadline }: ConnectionParts) {
    this.#fd = fd;
    this.#posix = posix;
    this.#deadline = deadline;
  }

  /** Send a message in one piece, as the C suite's holder needs it. The descriptors stay the caller's. */
  async send(body: Uint8Array, fds: readonly Fd[] = []): Promise<void> {
    let rest: Uint8Array = formatUnixMessage(body, fds.length);
    for (let rights = fds; rest.length > 0;) {
      const sent = this.#posix.sendMessage(this.#fd, rest, rights);
      if (sent === undefined) {
        await this.#wait({ writable: true }, "sendmsg");
      } else {
        rest = rest.subarray(sent);
        rights = [];
      }
    }
  }

  /**
   * The next message; its body is valid until the next call. Throws SystemError: EPIPE where the holder has
   * closed the connection, EMFILE where we had no room for descriptors, EPROTO for what is no message.
   */
  async receive(): Promise<UnixMessage> {
    for (;;) {
      const progress = this.#reader.next();
      if (progress.kind === "invalid") throw holderError(this.#posix, "EPROTO", "recvmsg");
      if (progress.kind === "message") return this.#whole(progress);
      await this.#feed();
    }
  }

  /** Close it, and all descriptors that came over it and were not taken. */
  close(): void {
    for (const fd of this.#reader.takeFds()) this.#posix.close(fd);
    this.#posix.close(this.#fd);
  }

  #whole(message: UnixMessage): UnixMessage {
    if (!message.lostFds) return message;
    for (const fd of message.fds) this.#posix.close(fd);
    throw holderError(this.#posix, "EMFILE", "recvmsg");
  }

  async #feed(): Promise<void> {
    const received = this.#posix.receiveMessage(this.#fd, this.#input);
    if (received === undefined) {
      await this.#wait({ readable: true }, "recvmsg");
      return;
    }
    const { bytes, fds, lostFds } = received;
    this.#reader.feed(this.#input.subarray(0, bytes), fds, lostFds);
    if (bytes === 0) throw holderError(this.#posix, "EPIPE", "recvmsg");
  }

  async #wait(interest: Interest, syscall: string): Promise<void> {
    const isReady = await waitReady(this.#posix, this.#fd, interest, this.#deadline);
    if (!isReady) throw holderError(this.#posix, "ETIMEDOUT", syscall);
  }
}
