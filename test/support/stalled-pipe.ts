/** Pipes and sockets that nobody reads, for what must not wait for a reader. */

import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";

const posix = loadPosix();

const FILLER = Buffer.from(`${"#".repeat(1023)}\n`);

/** The writing end is full, but for so many bytes, until somebody reads. */
export class StalledPipe implements Disposable {
  /** The writing end, for the process under test. */
  readonly writer: Fd;
  readonly #reader: Fd;
  #text = "";

  constructor(kind: "pipe" | "socket" = "pipe", roomBytes = 0) {
    const [reader, writer] = kind === "pipe" ? posix.pipe() : posix.socketPair("stream");
    this.#reader = reader;
    this.writer = writer;
    while (posix.writeNow(writer, FILLER) !== undefined); // until it is full
    this.#readSome(roomBytes);
  }

  /** Begin to read, until this has come; everything so far, but for what the pipe was filled with. */
  async readUntil(pattern: RegExp): Promise<string> {
    for (let isRead = false; !isRead;) {
      isRead = pattern.test(this.text);
      if (isRead) break;
      await this.#readable();
      this.#readSome(65_536);
    }
    return this.text;
  }

  /** Everything, once all writers have closed it. */
  async rest(): Promise<string> {
    posix.close(this.writer);
    for (;;) {
      await this.#readable();
      if (this.#readSome(65_536) === 0) return this.text;
    }
  }

  /** Has somebody set O_NONBLOCK on the writing end? */
  get isNonblocking(): boolean {
    return posix.isNonblocking(this.writer);
  }

  /** Nobody will ever read it any more. */
  break(): void {
    posix.close(this.#reader);
  }

  get text(): string {
    return this.#text.replaceAll(/^#*\n/gm, "");
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#reader, this.writer]) if (posix.isOpen(fd)) posix.close(fd);
  }

  #readSome(bytes: number): number {
    if (bytes === 0) return 0;
    const into = Buffer.alloc(bytes);
    const count = posix.read(this.#reader, into) ?? 0;
    this.#text += into.subarray(0, count).toString();
    return count;
  }

  async #readable(): Promise<void> {
    await new Promise<void>((resolve) => {
      const watch = posix.watch(this.#reader, { readable: true }, () => {
        watch.close();
        resolve();
      });
    });
  }
}
