/**
 * Taking everything over from a holder that is alive (docs/formats/fd-holder.md). Until the predecessor has
 * confirmed, both have all descriptors, and it goes on as before when we fail; from then on they are ours.
 */

import type { Fd, Posix } from "../../posix/index.ts";
import { HolderConnection, holderError } from "./holder-connection.ts";
import type { ConnectionParts } from "./holder-connection.ts";
import { parseHandedEntries } from "./wire/handover.ts";
import type { HandedEntry } from "./wire/handover.ts";
import { parseNumbersReply, parseStatus } from "./wire/replies.ts";
import { formatHolderRequest, HANDOVER_VERSION } from "./wire/requests.ts";

/** What a predecessor has handed over. */
export interface Inheritance {
  readonly listener: Fd;
  readonly entries: readonly HandedEntry[];
  /** The connections of its clients. */
  readonly clients: readonly Fd[];
}

/**
 * Take over from the holder at the other end of a connected socket, which is closed in the end. Throws
 * SystemError: EPERM where it is not ours to take over, EPROTONOSUPPORT where it speaks other versions only, EPIPE
 * where it is a holder that hands nothing over, of the C suite for one.
 */
export async function takeOver(socket: Fd, parts: ConnectionParts): Promise<Inheritance> {
  const connection = new HolderConnection(socket, parts);
  const received: Fd[] = [];
  try {
    return await new Predecessor(connection, parts.posix, received).takeAll();
  } catch (error) {
    for (const fd of received) parts.posix.close(fd);
    throw error;
  } finally {
    connection.close();
  }
}

class Predecessor {
  readonly #connection: HolderConnection;
  readonly #posix: Posix;
  /** Every descriptor that has come, for whoever cleans up. */
  readonly #received: Fd[];

  constructor(connection: HolderConnection, posix: Posix, received: Fd[]) {
    this.#connection = connection;
    this.#posix = posix;
    this.#received = received;
  }

  async takeAll(): Promise<Inheritance> {
    await this.#connection.send(
      formatHolderRequest({ kind: "handOver", version: HANDOVER_VERSION }),
    );
    const { numbers, fds } = await this.#answer(2);
    const [version, total = 0] = numbers;
    const [listener] = fds;
    if (version !== HANDOVER_VERSION || listener === undefined || fds.length > 1) {
      throw this.#malformed();
    }
    const entries: HandedEntry[] = [];
    while (entries.length < total) entries.push(...(await this.#entries()));
    if (entries.length > total) throw this.#malformed();
    await this.#connection.send(formatHolderRequest({ kind: "commit" }));
    return { listener, entries, clients: await this.#clients() };
  }

  async #entries(): Promise<HandedEntry[]> {
    const { body, fds } = await this.#receive();
    const entries = parseHandedEntries(body, fds);
    if (entries === undefined || entries.length === 0) throw this.#malformed();
    return entries;
  }

  /**
   * A predecessor that gives up says so before it closes the connection; one whose connection has ended
   * without a word is dead, and everything is ours all the same. Its clients are a courtesy.
   */
  async #clients(): Promise<Fd[]> {
    const clients: Fd[] = [];
    let total: number;
    try {
      const { numbers } = await this.#answer(1);
      [total = 0] = numbers;
    } catch (error) {
      if (isGone(error)) return [];
      throw error;
    }
    try {
      while (clients.length < total) clients.push(...(await this.#receive()).fds);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
    return clients;
  }

  async #answer(count: number): Promise<{ numbers: readonly number[]; fds: readonly Fd[] }> {
    const { body, fds } = await this.#receive();
    const code = parseStatus(body);
    if (code !== undefined) throw holderError(this.#posix, code, "take over");
    const numbers = parseNumbersReply(body, count);
    if (numbers === undefined) throw this.#malformed();
    return { numbers, fds };
  }

  async #receive(): Promise<{ readonly body: Uint8Array; readonly fds: readonly Fd[] }> {
    const { body, fds } = await this.#connection.receive();
    this.#received.push(...fds);
    return { body, fds };
  }

  #malformed(): Error {
    return holderError(this.#posix, "EPROTO", "take over");
  }
}

function isGone(error: unknown): boolean {
  return (
    error instanceof Error && "code" in error && /^(EPIPE|ECONNRESET)$/.test(String(error.code))
  );
}
