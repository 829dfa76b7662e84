/**
 * Finds the owner of a TCP connection of this machine in the kernel's tables. All the questions that wait
 * are answered by one reading, a reading lets other work go on in between, and readings keep a distance,
 * so that however many ask, and however large the tables are, only a part of the time goes there.
 */

import { errnoOf } from "../posix/index.ts";
import { connectionNames, TableScanner } from "./connection-table.ts";

import type { Clock } from "../clock/index.ts";
import type { Posix, Uid } from "../posix/index.ts";
import type { ConnectionEntry } from "./connection-table.ts";

const IP4_TABLE = "/proc/net/tcp";
const IP6_TABLE = "/proc/net/tcp6";

/** The kernel gives about a page of it at a time. */
const PIECE_BYTES = 16_384;

/** So many bytes are read before other work gets a turn, a few hundred rows. */
const TURN_BYTES = 65_536;

/** The least time from the end of a reading to the next. */
const GAP_MS = 50;

/** A look-up that waits for the next reading of the tables. */
interface PendingLookup {
  readonly names: readonly string[];
  resolve(uid: Uid | undefined): void;
  reject(error: unknown): void;
}

/** The owners of connections, for any number of look-ups at a time. */
export class ConnectionOwners {
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #waiting: PendingLookup[] = [];
  #isReading = false;
  #nextMs = -Infinity;

  constructor(posix: Posix, clock: Clock) {
    this.#posix = posix;
    this.#clock = clock;
  }

  /**
   * The user whose process has this connection; undefined when no process of the machine does, or of
   * the container, where the caller lives in one. Rejects with SystemError when there is no table.
   */
  async ownerOf(connection: ConnectionEntry): Promise<Uid | undefined> {
    const names = connectionNames(connection);
    if (names.length === 0) return undefined;
    return await new Promise<Uid | undefined>((resolve, reject) => {
      this.#waiting.push({ names, resolve, reject });
      if (!this.#isReading) void this.#answerAll();
    });
  }

  async #answerAll(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) {
      const leftMs = this.#nextMs - this.#clock.monotonicMs();
      if (leftMs > 0) await this.#pause(leftMs);
      await this.#answer(this.#waiting.splice(0));
      this.#nextMs = this.#clock.monotonicMs() + GAP_MS;
    }
    this.#isReading = false;
  }

  async #answer(questions: readonly PendingLookup[]): Promise<void> {
    try {
      const owners = await this.#look(new Set(questions.flatMap(({ names }) => names)));
      for (const { names, resolve } of questions) {
        const found = names.find((name) => owners.has(name));
        resolve(found === undefined ? undefined : owners.get(found));
      }
    } catch (error) {
      for (const { reject } of questions) reject(error);
    }
  }

  async #look(wanted: ReadonlySet<string>): Promise<ReadonlyMap<string, Uid>> {
    const scanner = new TableScanner(wanted);
    await this.#scan(IP4_TABLE, scanner);
    try {
      await this.#scan(IP6_TABLE, scanner);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error; // a kernel without IPv6 has no such table
    }
    return scanner.owners;
  }

  async #scan(path: string, scanner: TableScanner): Promise<void> {
    const posix = this.#posix;
    const fd = posix.open(path, "read");
    try {
      const piece = new Uint8Array(PIECE_BYTES);
      let bytesThisTurn = 0;
      for (;;) {
        const count = posix.read(fd, piece) ?? 0;
        if (count === 0) return;
        // A row that begins in one piece ends in the next.
        scanner.push(piece.subarray(0, count));
        bytesThisTurn += count;
        if (bytesThisTurn < TURN_BYTES) continue;
        await this.#pause(0);
        bytesThisTurn = 0;
      }
    } finally {
      posix.close(fd);
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.setTimer(ms, resolve));
  }
}
