/**
 * The network side of a tunnel: ciphertext on a pair of descriptors, as the Duplex that node:tls works
 * on. Node's own sockets do not tell a peer that sent close_notify from one that is gone, nor
 * that it went in the middle of a record; and they end the connection as they like, not as the tunnel
 * decides. Nothing is read before it is asked for, so a slow reader behind the tunnel slows the peer.
 *
 * A connection that fails ends its reading side like any other end, behind all bytes that were received
 * before, for node:tls throws away what it has when its stream fails; `failure` tells the two apart.
 */

import { Duplex } from "node:stream";
import { afterBytes, SystemError } from "../../posix/index.ts";
import type { Fd, Posix, Readiness, Watch } from "../../posix/index.ts";
import type { AheadReader, AheadStream } from "../handshake/opening.ts";
import { HeldBytes } from "./held-bytes.ts";
import { RecordCounter } from "./records.ts";

/**
 * The number of bytes that are read at a time. With less, or with more than stays in a cache,
 * throughput goes down.
 */
const BUFFER_BYTES = 65_536;

/** The buffer for reading, for all connections: an idle one has no buffer of its own. */
let input = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** A way in and a way out, which may be the same descriptor. */
export interface Ends {
  readonly read: Fd;
  readonly write: Fd;
}

/** Its descriptors, each once. */
export function fdsOf({ read, write }: Ends): Fd[] {
  return read === write ? [read] : [read, write];
}

export interface WireEvents {
  /** Bytes went in or out. */
  moved(): void;
  /** Writing failed. What is written from now on is thrown away; what was received can still be read. */
  writeFailed(): void;
}

/** Has `read` called later, or never if the handshake ends before. */
type TakeTurn = (read: () => void) => void;

type Callback = (error?: Error | null) => void;

export class Wire extends Duplex implements AheadStream {
  readonly #posix: Posix;
  readonly #ends: Ends;
  readonly #events: WireEvents;
  readonly #records = new RecordCounter();
  readonly #readWatch: Watch;
  readonly #writeWatch: Watch;
  readonly #held = new HeldBytes();
  #isReading = false;
  /** Gets what is received, in place of the stream. */
  #aheadReader: AheadReader | undefined;
  /** Received, and to be read before anything else. */
  #unread: Buffer | undefined;
  #takeTurn: TakeTurn | undefined;
  #isAwaitingTurn = false;
  /** Not watched meanwhile. */
  #isPausedForTurn = false;
  #isInputWanted = true;
  #failure: SystemError | undefined;
  /** The bytes that are being written. */
  #pending: readonly Uint8Array[] = [];
  #written: Callback | undefined;
  #isWriteSideOpen = true;

  /** The descriptors are nonblocking, and the wire's own from now on. */
  constructor(posix: Posix, ends: Ends, events: WireEvents) {
    // Its owner destroys it: node:tls would throw away what it has not been asked for yet.
    super({ allowHalfOpen: true, readableHighWaterMark: BUFFER_BYTES, autoDestroy: false });
    this.#posix = posix;
    this.#ends = ends;
    this.#events = events;
    this.#readWatch = posix.watch(ends.read, {}, (ready) => this.#ready(ready));
    this.#writeWatch =
      ends.write === ends.read
        ? this.#readWatch
        : posix.watch(ends.write, {}, (ready) => this.#ready(ready));
  }

  /** The last byte that came was in the middle of a record. */
  get isInsideRecord(): boolean {
    return this.#records.isInsideRecord;
  }

  /**
   * The reason why the connection was lost, from reading or writing, whichever noticed: the kernel tells
   * it once, and at the next reading that the stream has ended.
   */
  get failure(): SystemError | undefined {
    return this.#failure;
  }

  /** The descriptor that it writes to. */
  get fd(): Fd {
    return this.#ends.write;
  }

  /** Writing has failed, or was ended. */
  get hasLostPeer(): boolean {
    return !this.#isWriteSideOpen;
  }

  /** Read no more: node:tls would keep for ever what comes behind the end that TLS has told. */
  stopInput(): void {
    this.#isInputWanted = false;
    this.#stopReading();
  }

  /** Let what is written from now on wait for what is written after `releaseOutput`. */
  holdOutput(): void {
    this.#held.hold();
  }

  releaseOutput(): void {
    this.#held.release();
  }

  /** From now on read when it is time for that, each time; undefined: at once, as at the beginning. */
  takeTurns(takeTurn: TakeTurn | undefined): void {
    this.#takeTurn = takeTurn;
    this.#endPause();
  }

  /** Tell the peer that nothing more will come: the end of a connection, or of a pipe. */
  shutdownWrite(): void {
    if (!this.#isWriteSideOpen) return;
    this.#isWriteSideOpen = false;
    const { read, write } = this.#ends;
    this.#attempt(() => {
      if (this.#posix.isSocket(write)) this.#posix.shutdown(write, "write");
      else if (write !== read) this.#posix.close(write);
    });
  }

  readAhead(reader: AheadReader): void {
    this.#aheadReader = reader;
    this.#startReading();
  }

  unread(bytes: Uint8Array): void {
    this.#aheadReader = undefined;
    this.#unread = Buffer.from(bytes);
  }

  override _read(): void {
    const bytes = this.#unread;
    this.#unread = undefined;
    if (bytes !== undefined) this.push(bytes);
    else this.#startReading();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, written: Callback): void {
    this.#send([chunk], written);
  }

  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], written: Callback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      written,
    );
  }

  override _final(done: Callback): void {
    this.shutdownWrite();
    done();
  }

  override _destroy(error: Error | null, done: Callback): void {
    this.#readWatch.close();
    this.#writeWatch.close();
    const { read, write } = this.#ends;
    this.#posix.close(read);
    if (write !== read && (this.#isWriteSideOpen || this.#posix.isSocket(write))) {
      this.#posix.close(write);
    }
    done(error);
  }

  #ready({ readable, writable, hangup }: Readiness): void {
    if (this.#isReading && (readable || hangup)) this.#receiveInTurn();
    if (this.#pending.length > 0 && (writable || hangup)) this.#flush();
  }

  #wait(): void {
    if (this.destroyed) return;
    const readable = this.#isReading && !this.#isPausedForTurn;
    const writable = this.#pending.length > 0;
    if (this.#readWatch === this.#writeWatch) this.#readWatch.update({ readable, writable });
    else {
      this.#readWatch.update({ readable });
      this.#writeWatch.update({ writable });
    }
  }

  #startReading(): void {
    if (this.#isReading || !this.#isInputWanted) return;
    this.#isReading = true;
    this.#wait();
  }

  #receiveInTurn(): void {
    if (this.#unread !== undefined) {
      this.#stopReading();
      return;
    }
    if (this.#takeTurn === undefined) {
      this.#receive();
      return;
    }
    if (this.#isAwaitingTurn) {
      this.#pauseForTurn(); // it was told already, and the turn has not come by the next round
      return;
    }
    this.#isAwaitingTurn = true;
    this.#takeTurn(() => {
      this.#endPause();
      if (this.#isReading && !this.destroyed) this.#receive();
    });
  }

  #pauseForTurn(): void {
    if (this.#isPausedForTurn) return;
    this.#isPausedForTurn = true;
    this.#wait();
  }

  #endPause(): void {
    this.#isAwaitingTurn = false;
    if (!this.#isPausedForTurn) return;
    this.#isPausedForTurn = false;
    this.#wait();
  }

  #receive(): void {
    const count = this.#attempt(() => this.#posix.read(this.#ends.read, input));
    if (count === undefined) return;
    if (count instanceof SystemError) this.#failure ??= count;
    if (count === 0 || count instanceof SystemError) {
      this.#stopReading();
      this.push(null);
      this.#aheadReader?.ended();
      return;
    }
    this.#events.moved();
    const bytes = input.subarray(0, count);
    this.#records.count(bytes);
    if (this.#aheadReader !== undefined) this.#aheadReader.received(bytes);
    else if (!this.#pass(bytes)) this.#stopReading();
  }

  /**
   * Pass on what was read. While node:tls is reading, it copies it at once; what has to wait for it is
   * copied here, so that a few bytes do not hold a whole buffer.
   */
  #pass(bytes: Buffer): boolean {
    if (this.readableFlowing !== true || this.readableLength > 0) {
      return this.push(Buffer.from(bytes));
    }
    const wantsMore = this.push(bytes);
    if (this.readableLength > 0) input = Buffer.allocUnsafeSlow(BUFFER_BYTES); // it has to wait after all
    return wantsMore;
  }

  #stopReading(): void {
    this.#isReading = false;
    this.#wait();
  }

  #send(bytes: readonly Uint8Array[], written: Callback): void {
    this.#pending = this.#held.through(bytes);
    this.#written = written;
    this.#flush();
  }

  #flush(): void {
    while (this.#pending.length > 0 && this.#isWriteSideOpen) {
      const count = this.#attempt(() => this.#posix.writev(this.#ends.write, this.#pending));
      if (count === undefined) {
        this.#wait();
        return;
      }
      if (count instanceof SystemError) {
        this.shutdownWrite();
        // EPIPE: a pipe has no reader, or the peer had ended what it sends before it was lost.
        if (count.code !== "EPIPE") this.#failure ??= count;
        this.#events.writeFailed();
      } else {
        this.#events.moved();
        this.#pending = afterBytes(this.#pending, count);
      }
    }
    this.#pending = [];
    const written = this.#written;
    this.#written = undefined;
    this.#wait();
    written?.();
  }

  #attempt<T>(call: () => T): T | SystemError {
    try {
      return call();
    } catch (error) {
      if (error instanceof SystemError) return error;
      throw error;
    }
  }
}
