/**
 * Descriptors in the event loop. Watches go over the addon's private epoll descriptor: one call from C brings a batch of ready
 * descriptors, which is dealt out here. A watch that an earlier one of the same batch closed or
 * paused is not called.
 */
import { errnoOf, type Fd } from "./kernel.ts";

/** What a watched descriptor is ready for. `hangup` covers POLLHUP and POLLERR. */
export interface Readiness {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly hangup: boolean;
}

/**
 * What a watch waits for. A hangup is told along with anything else that is waited for; `hangup` alone
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
  close(): void;
}

/** `keepsAlive` is true unless given. */
export interface WatchOptions {
  readonly keepsAlive?: boolean;
}

/** The call that puts a descriptor into the event loop. */
export interface EventLoop {
  /**
   * Watch a descriptor in the event loop, level-triggered. The watch keeps the loop alive while it
   * waits for something, unless `keepsAlive` is false. `ready` must not throw.
   */
  watch(
    fd: Fd,
    interest: Interest,
    ready: (readiness: Readiness) => void,
    options?: WatchOptions,
  ): Watch;
}

/** What C exports for this family (`native/`). */
export interface EventLoopAddon {
  watchStart(dispatch: (count: number) => void, events: Float64Array): void;
  watchAdd(fd: number, interest: number, token: number, keepsAlive: boolean): void;
  watchModify(fd: number, interest: number, token: number): void;
  watchRemove(fd: number, keepsAlive: boolean): void;
}

/** What the C side fills at most at a time (BATCH_MAX in native/watch.c). */
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

  constructor(addon: EventLoopAddon) {
    this.#addon = addon;
  }

  watch(
    fd: Fd,
    interest: Interest,
    ready: (readiness: Readiness) => void,
    { keepsAlive = true }: WatchOptions = {},
  ): Watch {
    if (!this.#isStarted) {
      this.#addon.watchStart((count) => this.#dispatch(count), this.#events);
      this.#isStarted = true;
    }
    const token = ++this.#lastToken;
    const watch = new NativeWatch(this.#addon, {
      fd,
      token,
      keepsAlive,
      ready,
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

  #dispatch(count: number): void {
    for (let i = 0; i < count; i++) {
      const token = this.#events[2 * i] ?? 0;
      this.#byToken.get(token)?.deliver(this.#events[2 * i + 1] ?? 0);
    }
  }
}

/** What the kernel does for a watch: nothing, wait in epoll, or (regular files) not even that. */
type Means = "none" | "epoll" | "immediate";

interface Watched {
  readonly fd: Fd;
  readonly token: number;
  readonly keepsAlive: boolean;
  ready(readiness: Readiness): void;
  closed(): void;
}

class NativeWatch implements Watch {
  readonly #addon: EventLoopAddon;
  readonly #watched: Watched;
  #interest = 0;
  #means: Means = "none";
  #immediate: NodeJS.Immediate | undefined;
  #isClosed = false;

  constructor(addon: EventLoopAddon, watched: Watched) {
    this.#addon = addon;
    this.#watched = watched;
  }

  update(interest: Interest): void {
    const bits = interestBits(interest);
    if (this.#isClosed || bits === this.#interest) return;
    if (this.#means === "immediate") this.#scheduleIf(bits !== 0);
    else this.#tellKernel(bits);
    this.#interest = bits;
  }

  close(): void {
    if (this.#isClosed) return;
    this.update({});
    this.#isClosed = true;
    this.#watched.closed();
  }

  deliver(bits: number): void {
    const wanted = bits & (this.#interest | HANGUP);
    if (this.#interest !== 0 && wanted !== 0) this.#watched.ready(readinessOf(wanted));
  }

  /** A descriptor without interest leaves the set: epoll would still report a hangup. */
  #tellKernel(bits: number): void {
    const { fd, token, keepsAlive } = this.#watched;
    if (bits === 0) {
      this.#addon.watchRemove(fd, keepsAlive);
      this.#means = "none";
    } else if (this.#means === "epoll") {
      this.#addon.watchModify(fd, bits, token);
    } else {
      this.#add(bits);
    }
  }

  #add(bits: number): void {
    const { fd, token, keepsAlive } = this.#watched;
    try {
      this.#addon.watchAdd(fd, bits, token, keepsAlive);
      this.#means = "epoll";
    } catch (error) {
      if (errnoOf(error) !== "EPERM") throw error;
      this.#means = "immediate"; // a regular file, which poll(2) too calls always ready
      this.#scheduleIf(true);
    }
  }

  #scheduleIf(isWanted: boolean): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = isWanted ? setImmediate(() => this.#deliverAgain()) : undefined;
    if (!this.#watched.keepsAlive) this.#immediate?.unref();
  }

  #deliverAgain(): void {
    this.#scheduleIf(true);
    this.deliver(this.#interest);
  }
}
