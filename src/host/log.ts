/**
 * The log of a process: lines on stderr. Nobody who writes to it waits for whoever reads it. A line is
 * written at once where there is room and queued where there is none; what does not fit into the queue
 * is dropped, the least important first, counted and told (line-queue.ts).
 *
 * Lines are written whole and in order, those of up to 4096 bytes (PIPE_BUF) in one piece, so that the
 * lines of processes that share a pipe do not mix. Of a longer line the pieces may have lines of other
 * processes between them, but none of ours. A descriptor that is closed, broken or full (ENOSPC) loses
 * lines, which are counted too. Only a regular file on a disk that hangs holds the writer up: give a
 * server a pipe to a logger instead.
 *
 * The process waits twice at most, for FLUSH_MS in all: before it executes another program, for all
 * lines, and before it ends, if a fatal one is among them (or a terminal's thread still writes).
 */

import type { Clock } from "../clock/index.ts";
import { SystemError } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";
import { LineQueue } from "./line-queue.ts";
import type { MessageKind } from "./line-queue.ts";
import { Outlet } from "./outlet.ts";

/** One line on stderr, `PROG: KIND: TEXT`. */
export type Report = (program: string, kind: MessageKind, text: string) => void;

/** How long a process waits for its log in all, in milliseconds. */
export const FLUSH_MS = 1000;

export interface Log {
  /** Say `PROG: KIND: TEXT`. Never waits, never throws. */
  readonly report: Report;
  /** The same for a line that is written as it is (`text` has no newline), a record of JSON say. */
  line(program: string, kind: MessageKind, text: string): void;
  /** Wait until everything is written, as long as the process may still wait. False if it is not. */
  flush(): boolean;
  /** The last call before the process ends: wait only where that is worth it. */
  end(): void;
}

export interface StderrLogOptions {
  readonly posix: Posix;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Descriptor 2 unless given. */
  readonly fd?: Fd;
}

export class StderrLog implements Log {
  readonly report: Report = (program, kind, text) => {
    this.line(program, kind, `${program}: ${kind}: ${text}`);
  };
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #outlet: Outlet;
  readonly #queue: LineQueue;
  /** Who has spoken last: in that name it is told that lines are missing. */
  #speaker = "";
  #waitLeftMs = FLUSH_MS;

  constructor({ posix, clock, fd = 2 as Fd }: StderrLogOptions) {
    this.#clock = clock;
    this.#outlet = new Outlet(posix, fd);
    this.#queue = new LineQueue((missing) => {
      const lines = missing === 1 ? "1 line is" : `${missing} lines are`;
      return `${this.#speaker}: warning: ${lines} missing here: this log was not read in time`;
    });
  }

  line(program: string, kind: MessageKind, text: string): void {
    this.#speaker = program;
    this.#queue.add(kind, text);
    this.#write();
  }

  flush(): boolean {
    if (this.#queue.isEmpty && !this.#outlet.isDeferred) return true;
    const deadlineMs = this.#clock.monotonicMs() + this.#waitLeftMs;
    const leftMs = (): number => Math.max(0, deadlineMs - this.#clock.monotonicMs());
    let isWritten = true;
    this.#write();
    while (isWritten && !this.#queue.isEmpty) {
      isWritten = this.#outlet.waitWritable(leftMs());
      this.#write();
    }
    isWritten &&= this.#outlet.waitWritten(leftMs());
    this.#waitLeftMs = leftMs();
    return isWritten;
  }

  end(): void {
    if (this.#queue.hasFatal || this.#outlet.isDeferred) this.flush();
    else this.#write();
  }

  /** Write as much as there is room for; the event loop sees to the rest. */
  #write(): void {
    for (let head; (head = this.#queue.head) !== undefined;) {
      const written = this.#attempt(head);
      if (written === "lost") this.#queue.lose();
      else if (written === undefined) return this.#continueLater();
      else this.#queue.advance(written);
    }
  }

  #attempt(bytes: Uint8Array): number | undefined | "lost" {
    try {
      return this.#outlet.write(bytes);
    } catch (error) {
      // There is no other place to say so.
      if (error instanceof SystemError) return "lost";
      throw error;
    }
  }

  #continueLater(): void {
    try {
      this.#outlet.whenWritable(() => this.#write());
    } catch (error) {
      // Without a watch (ENOMEM, EMFILE) the next line tries again.
      if (!(error instanceof SystemError)) throw error;
    }
  }
}
