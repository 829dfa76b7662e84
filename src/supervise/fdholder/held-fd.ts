/**
 * A held descriptor and its users: the table that names it, and each answer that is still to take it to a
 * client. It is closed when the last of them lets it go, so an entry that is deleted while an answer waits
 * does not give its number to another file, and none is duplicated.
 */

import type { Fd, Posix } from "../../posix/index.ts";

export class HeldFd {
  readonly fd: Fd;
  readonly #posix: Pick<Posix, "close">;
  #users = 1;

  /** `fd` is its own from now on, and has one user. */
  constructor(posix: Pick<Posix, "close">, fd: Fd) {
    this.#posix = posix;
    this.fd = fd;
  }

  /** One more user. */
  use(): this {
    if (this.#users === 0) throw new Error("a held descriptor used after it was closed");
    this.#users += 1;
    return this;
  }

  /** One user less. */
  release(): void {
    if (this.#users === 0) throw new Error("a held descriptor released too often");
    this.#users -= 1;
    if (this.#users === 0) this.#posix.close(this.fd);
  }
}
