/**
 * Descriptors in the event loop. Watches go over the addon's private epoll descriptor: one call from C brings a batch of ready
 * descriptors, which is dealt out here. A watch that an earlier one of the same batch closed or
 * paused is not called.
 */
import { errnoOf, type Fd } from "./kernel.ts";

/** The readiness of a watched descriptor. `hangup` covers POLLHUP and POLLERR. */
export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly hangup: boolean;
}

/**
 * The events a watch waits for. A hangup is reported along with any other of them; `hangup` alone
 * waits for nothing but that.
 */
export interface Interest {
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly hangup?: boolean;
}

/** A descriptor in the event loop. Closing it does not close the descriptor. */
export interface Watch {
  /** Change what is waited for; nothing pauses the watch (it then no longer keeps the loop alive). */
  update(interest: Interest): void;
  /** Does it keep the loop alive while it waits? It does unless it is told otherwise. */
  keepAlive(isWanted: boolean): void;
  close(): void;
}

/** The call that puts a descriptor into the event loop. */
export interface EventLoop {
  /**
   * Watch a descriptor in the event loop, level-triggered. The watch keeps the loop alive while it
   * waits for something. `ready` must not throw.
   */
  watch(fd: Fd, interest: Interest, ready: (readiness: Readiness) => void): Watch;
}

/** The exports of C for this family (`native/`). */
export interface EventLoopAddon {
  watchStart(dispatch: (count: number) => void, events: Float64Array): void;
  watchAdd(fd: number, interest: number, token: number): void;
  watchModify(fd: number, interest: number, token: number): void;
  watchRemove(fd: number): void;
  watchKeepAlive(isWanted: 0 | 1): void;
}

/** The most events that the C side fills at a time (BATCH_MAX in native/watch.c). */
const BATCH_MAX = 128;

const READABLE = 1;
const WRITABLE = 2;
const HANGUP = 4;

/** The readiness that bits from the addon stand for. */
export function readinessOf(bits: number): Readiness {
  return {
    readable: (bits & READABLE) !== 0,
    writable: (bits & WRITABLE) !== 0,
    hangup: (bits & HANGUP) !== 0,
  };
}

function interestBits({ readable = false, writable = false, hangup = false }: Interest): number {
  return (readable ? READABLE : 0) | (writable ? WRITABLE : 0) | (hangup ? HANGUP : 0);
}

/** All watches of one environment. */
export class Watcher implements EventLoop {
  readonly #addon: EventLoopAddon;
  readonly #events = new Float64Array(2 * BATCH_MAX);
  readonly #byToken = new Map<number, NativeWatch>();
  readonly #byFd = new Map<Fd, NativeWatch>();
  #isStarted = false;
  #lastToken = 0;
  /** The number of watches that keep the loop alive. */
  #keeping = 0;

  constructor(addon: EventLoopAddon) {
    this.#addon = addon;
  }

  watch(fd: Fd, interest: Interest, ready: (readiness: Readiness) => void): Watch {
    if (!this.#isStarted) {
      this.#addon.watchStart((count) => this.#dispatch(count), this.#events);
      this.#isStarted = true;
    }
    const token = ++this.#lastToken;
    const watch = new NativeWatch(this.#addon, fd, token, ready, {
      keeps: (change) => this.#keep(change),
      closed: () => {
        this.#byToken.delete(token);
        if (this.#byFd.get(fd) === watch) this.#byFd.delete(fd);
      },
    });
    watch.update(interest);
    this.#byToken.set(token, watch);
    this.#byFd.set(fd, watch);
    return watch;
  }

  /** Forget a descriptor that is about to be closed. */
  forget(fd: Fd): void {
    this.#byFd.get(fd)?.close();
  }

  #keep(change: 1 | -1): void {
    this.#keeping += change;
    if (this.#keeping === 0) this.#addon.watchKeepAlive(0);
    else if (this.#keeping === 1 && change === 1) this.#addon.watchKeepAlive(1);
  }

  #dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const token = this.#events[2 * i] ?? 0;
      this.#byToken.get(token)?.deliver(this.#events[2 * i + 1] ?? 0);
    }
  }
}

/** The state of a watch in the kernel: none, in epoll, or (regular files) always ready. */
type Means = "none" | "epoll" | "immediate";

/** The calls of a watch to the whole loop. */
interface WatchEvents {
  /** One more or one less keeps the loop alive. */
  keeps(change: 1 | -1): void;
  closed(): void;
}

class NativeWatch implements Watch {
  readonly #addon: EventLoopAddon;
  readonly #fd: Fd;
  readonly #token: number;
  readonly #ready: (readiness: Readiness) => void;
  readonly #events: WatchEvents;
  #interest = 0;
  #means: Means = "none";
  #keepsAlive = true;
  #immediate: NodeJS.Immediate | undefined;
  #isClosed = false;

  constructor(
    addon: EventLoopAddon,
    fd: Fd,
    token: number,
    ready: (readiness: Readiness) => void,
    events: WatchEvents,
  ) {
    this.#addon = addon;
    this.#fd = fd;
    this.#token = token;
    this.#ready = ready;
    this.#events = events;
  }

  update(interest: Interest): void {
    const bits = interestBits(interest);
    if (this.#isClosed || bits === this.#interest) return;
    if (this.#means === "immediate") this.#scheduleIf(bits !== 0);
    else this.#tellKernel(bits);
    this.#interest = bits;
  }

  keepAlive(isWanted: boolean): void {
    if (this.#keepsAlive === isWanted) return;
    this.#keepsAlive = isWanted;
    if (this.#means === "epoll") this.#events.keeps(isWanted ? 1 : -1);
    if (isWanted) this.#immediate?.ref();
    else this.#immediate?.unref();
  }

  close(): void {
    if (this.#isClosed) return;
    this.update({});
    this.#isClosed = true;
    this.#events.closed();
  }

  deliver(bits: number): void {
    const wanted = bits & (this.#interest | HANGUP);
    if (this.#interest !== 0 && wanted !== 0) this.#ready(readinessOf(wanted));
  }

  /** A descriptor without interest leaves the set: epoll would still report a hangup. */
  #tellKernel(bits: number): void {
    if (bits === 0) {
      this.#means = "none";
      if (this.#keepsAlive) this.#events.keeps(-1);
      this.#addon.watchRemove(this.#fd);
    } else if (this.#means === "epoll") {
      this.#addon.watchModify(this.#fd, bits, this.#token);
    } else {
      this.#add(bits);
    }
  }

  #add(bits: number): void {
    try {
      this.#addon.watchAdd(this.#fd, bits, this.#token);
      this.#means = "epoll";
      if (this.#keepsAlive) this.#events.keeps(1);
    } catch (error) {
      if (errnoOf(error) !== "EPERM") throw error;
      this.#means = "immediate"; // a regular file, which poll(2) too calls always ready
      this.#scheduleIf(true);
    }
  }

  #scheduleIf(isWanted: boolean): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = isWanted ? setImmediate(() => this.#deliverAgain()) : undefined;
    if (!this.#keepsAlive) this.#immediate?.unref();
  }

  #deliverAgain(): void {
    this.#scheduleIf(true);
    this.deliver(this.#interest);
  }
}
