/**
 * A listener's fifo in a fifodir (supervision.md, section 3.2). It has a reader before notifiers can see it, so
 * that no event is lost between the subscription and what is done next.
 */

import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import type { Fifodir } from "./fifodir.ts";
import { newFifoName, temporaryName } from "./names.ts";

/** The world of listeners. */
export interface ListeningContext {
  readonly posix: Posix;
  randomBytes(count: number): Uint8Array;
}

/** Readable by its owner alone, and writable by all, whatever the umask. */
const FIFO_MODE = 0o622;

/** Names are taken by chance only. */
const NAMES_MAX = 16;

/** An open fifo: one that notifiers see, until it is closed. */
export class FifoListener {
  /** Readable when there are events. */
  readonly fd: Fd;
  readonly #posix: Posix;
  readonly #name: string;
  /** Kept open, so that there is never an end of file. */
  readonly #writer: Fd;
  /** The directory itself, which may get another name. */
  readonly #directory: Fd;

  private constructor(posix: Posix, parts: FifoParts) {
    this.#posix = posix;
    this.#name = parts.name;
    this.fd = parts.reader;
    this.#writer = parts.writer;
    this.#directory = parts.directory;
  }

  /** Make a fifo and open it. Throws SystemError, with nothing left of it. */
  static open(context: ListeningContext, { path, at }: Fifodir): FifoListener {
    const { posix } = context;
    const directory = posix.open(path, "read", { directory: true, pathOnly: true, at });
    try {
      const name = makeFifo(context, directory);
      return new FifoListener(posix, { name, directory, ...openEnds(posix, name, directory) });
    } catch (error) {
      posix.close(directory);
      throw error;
    }
  }

  /** The events that have come, as read(2) does it; undefined when there are none. */
  read(into: Uint8Array): number | undefined {
    return this.#posix.read(this.fd, into);
  }

  /** Remove the fifo; the second time nothing happens. One that cannot be removed goes with the next event. */
  close(): void {
    const posix = this.#posix;
    if (this.#isClosed) return;
    this.#isClosed = true;
    removeQuietly(posix, this.#name, this.#directory);
    for (const fd of [this.fd, this.#writer, this.#directory]) posix.close(fd);
  }

  #isClosed = false;
}

interface FifoParts {
  readonly name: string;
  readonly directory: Fd;
  readonly reader: Fd;
  readonly writer: Fd;
}

/** Make a fifo under its temporary name, and return the name it is to have. */
function makeFifo({ posix, randomBytes }: ListeningContext, directory: Fd): string {
  for (let tries = 1; ; tries += 1) {
    const name = newFifoName(posix.realtimeNs(), randomBytes);
    try {
      posix.mkfifo(temporaryName(name), FIFO_MODE, directory);
      return name;
    } catch (error) {
      const isTaken = error instanceof SystemError && error.code === "EEXIST";
      if (!isTaken || tries === NAMES_MAX) throw error;
    }
  }
}

/** Open both ends of the fifo, and give it its name. */
function openEnds(
  posix: Posix,
  name: string,
  directory: Fd,
): { readonly reader: Fd; readonly writer: Fd } {
  const temporary = temporaryName(name);
  const opened: Fd[] = [];
  const open = (mode: "read" | "write"): Fd => {
    const fd = posix.open(temporary, mode, { nonblocking: true, noFollow: true, at: directory });
    opened.push(fd);
    return fd;
  };
  try {
    const reader = open("read");
    posix.setMode(reader, FIFO_MODE);
    const writer = open("write");
    posix.rename(temporary, name, directory, directory);
    return { reader, writer };
  } catch (error) {
    for (const fd of opened) posix.close(fd);
    removeQuietly(posix, temporary, directory);
    throw error;
  }
}

/** Somebody else may have removed it, or the rights to do so. */
function removeQuietly(posix: Posix, name: string, directory: Fd): void {
  try {
    posix.unlink(name, directory);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}
