/** Descriptors that are kept open for nothing, so that there are some when no more can be had. */

import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";

/** As many as reading a rule takes at a time, and one more. */
const COUNT = 3;

export class SpareFds {
  readonly #posix: Pick<Posix, "dup" | "close">;
  #of: Fd | undefined;
  #fds: Fd[] = [];

  constructor(posix: Pick<Posix, "dup" | "close">) {
    this.#posix = posix;
  }

  /** Keep copies of this descriptor, as many as can be had. */
  keep(fd: Fd): void {
    this.#of = fd;
    try {
      while (this.#fds.length < COUNT) this.#fds.push(this.#posix.dup(fd));
    } catch (error) {
      // The next time that some were lent they are tried again.
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** Do something that opens files and closes them again. */
  lend<T>(work: () => T): T {
    const of = this.#of;
    this.release();
    try {
      return work();
    } finally {
      if (of !== undefined) this.keep(of);
    }
  }

  /** Close all of them. */
  release(): void {
    for (const fd of this.#fds.splice(0)) this.#posix.close(fd);
    this.#of = undefined;
  }
}
