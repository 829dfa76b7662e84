/**
 * The fd holder, as a resident: keeps descriptors under identifiers for its clients, who come over a Unix
 * socket (local-services.md, section 9). It owns every descriptor that its table names, the connections of
 * its clients, and the listening socket.
 */

import type { Clock, Timer } from "../../clock/index.ts";
import { deadlineAfter, taiFromUnix } from "../../clock/index.ts";
import type { Resident, Stop } from "../../host/index.ts";
import { UNIX_MESSAGE_FDS_MAX } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix, Uid } from "../../posix/index.ts";
import type { Asking } from "./answers.ts";
import { HolderListener } from "./holder-listener.ts";
import { HeldFd } from "./held-fd.ts";
import { HeldTable } from "./held-table.ts";
import type { Moment } from "./held-table.ts";
import type { HolderAdmission, HolderRules } from "./holder-rules.ts";
import { LiveClient } from "./live-client.ts";
import type { ClientKeeper, HolderPeer } from "./live-client.ts";
import { takeOver } from "./predecessor.ts";
import type { Inheritance } from "./predecessor.ts";
import type { HolderRights } from "./rights.ts";
import { SpareFds } from "./spare-fds.ts";
import { HANDED_CLIENTS } from "./wire/handover.ts";
import { formatNumbersReply } from "./wire/replies.ts";

/** The most clients at a time, unless told otherwise. */
export const HOLDER_CLIENTS_DEFAULT = 256;
/** The most entries, unless told otherwise. */
export const HOLDER_ENTRIES_DEFAULT = 1000;
/** The time after which an inactive client has to make room for another one, unless told otherwise. */
export const HOLDER_IDLE_MS = 10_000;

export interface FdStoreOptions {
  readonly posix: Posix;
  readonly clock: Clock;
  /**
   * A listening Unix stream socket; or a connection to the holder from which to take over. Its own from the
   * start on.
   */
  readonly socket: { readonly listener: Fd } | { readonly predecessor: Fd };
  readonly rules: HolderRules;
  readonly clientsMax?: number;
  readonly entriesMax?: number;
  /** The most entries that one user has stored; no limit unless given. */
  readonly perUserMax?: number | undefined;
  /** How long a newcomer may take for a request, and any client for taking an answer; undefined: for ever. */
  readonly answerMs?: number | undefined;
  /** How long a drain waits for answers to be taken; HOLDER_IDLE_MS unless given. */
  readonly drainMs?: number | undefined;
  /** When all places are taken, a client who has been inactive for so long makes room; Infinity: never. */
  readonly idleMs?: number;
  /** It serves. */
  readonly ready?: () => void;
  /** Something that an administrator should know. */
  readonly warn?: (text: string) => void;
}

type State =
  | { readonly kind: "starting" }
  | { readonly kind: "serving" }
  /** `stop`: what it was told meanwhile. */
  | { readonly kind: "handing"; readonly to: LiveClient; readonly stop: Stop | undefined }
  | { readonly kind: "draining" }
  | { readonly kind: "done" };

/** The time for taking over; a predecessor gives up after 10 s. */
const TAKE_OVER_MS = 15_000;

/** The time between two looks for clients who have to make room. */
const MAKE_ROOM_MS = 1_000;

/** Clocks that are set are noticed by measuring long waits anew. */
const EXPIRY_MS_MAX = 60_000;

/** Failures for want of descriptors. */
const SHORTAGES: ReadonlySet<string | undefined> = new Set(["EMFILE", "ENFILE"]);

const NO_RIGHTS: HolderRights = {
  mayStore: () => false,
  mayRetrieve: () => false,
  mayList: false,
  mayGetDump: false,
  maySetDump: false,
};

export class FdStore implements Resident {
  readonly name = "s6-fdholderd";
  readonly done: Promise<number>;
  readonly #options: FdStoreOptions;
  readonly #posix: Posix;
  readonly #table: HeldTable<HeldFd>;
  readonly #clients = new Set<LiveClient>();
  readonly #keeper: ClientKeeper;
  readonly #spares: SpareFds;
  #listener: HolderListener | undefined;
  #state: State = { kind: "starting" };
  #expiry: Timer | undefined;
  /** The expiry that the timer was set for. */
  #plannedMs: number | undefined;
  #patience: Timer | undefined;
  #resolve: (exitCode: number) => void = () => undefined;

  constructor(options: FdStoreOptions) {
    this.#options = options;
    this.#posix = options.posix;
    const { entriesMax = HOLDER_ENTRIES_DEFAULT, perUserMax: perOwnerMax } = options;
    this.#table = new HeldTable({ entriesMax, perOwnerMax });
    this.#keeper = this.#makeKeeper();
    this.#spares = new SpareFds(this.#posix);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** The number of entries, and of clients. */
  get counts(): { readonly entries: number; readonly clients: number } {
    return { entries: this.#table.size, clients: this.#clients.size };
  }

  /** The descriptors that the table names, for whoever compares them with those that are open. */
  descriptors(): Fd[] {
    return Array.from(this.#table.entries(), ({ descriptor }) => descriptor.fd);
  }

  /** Rejects with SystemError where the predecessor does not hand over. */
  async start(): Promise<void> {
    const { socket } = this.#options;
    if ("listener" in socket) return this.#serve(socket.listener);
    const deadline = deadlineAfter(this.#options.clock, TAKE_OVER_MS);
    const { posix, clock } = this.#options;
    const inheritance = await takeOver(socket.predecessor, { posix, clock, deadline });
    if (this.#state.kind === "starting") this.#inherit(inheritance);
  }

  /** All ways but `kill` deliver the answers that are on their way; what is held is lost. */
  stop(how: Stop): void {
    if (this.#state.kind === "done") return;
    if (this.#state.kind === "handing" && how !== "kill") {
      this.#state = { ...this.#state, stop: how };
      return;
    }
    if (how === "kill" || how === "leave") return this.#finish();
    if (this.#state.kind !== "draining") this.#drain();
  }

  /** Read the rules again. Why they stay as they were, if they do. */
  reload(): string | undefined {
    return this.#options.rules.reload();
  }

  #makeKeeper(): ClientKeeper {
    const { posix, clock, answerMs, warn = () => undefined } = this.#options;
    return {
      posix,
      clock,
      answerMs,
      warn,
      asking: (client, rights) => this.#asking(client, rights),
      handOverBegins: (client) => this.#beginHandOver(client),
      resume: () => this.#resume(),
      commit: (client) => this.#commit(client),
      closed: (client) => this.#closed(client),
    };
  }

  #serve(fd: Fd): void {
    const {
      posix,
      clock,
      clientsMax = HOLDER_CLIENTS_DEFAULT,
      idleMs = HOLDER_IDLE_MS,
    } = this.#options;
    this.#listener = new HolderListener({
      posix,
      clock,
      listener: new HeldFd(posix, fd),
      room: () => clientsMax - this.#clients.size,
      accepted: (connection) => this.#admit(connection),
      failed: (error) => this.#keeper.warn(`unable to accept: ${error.message}`),
      makeRoom: () => this.#makeRoom(idleMs),
      makeRoomMs: MAKE_ROOM_MS,
    });
    this.#spares.keep(fd);
    this.#state = { kind: "serving" };
    this.#listener.start();
    this.#planExpiry();
    this.#options.ready?.();
  }

  #inherit({ listener, entries, clients }: Inheritance): void {
    const now = this.#now();
    for (const { fd, ...entry } of entries) {
      const descriptor = new HeldFd(this.#posix, fd);
      const outcome = this.#table.import({ ...entry, descriptor }, now);
      if ("replaced" in outcome) continue;
      this.#keeper.warn(`no room for ${JSON.stringify(entry.id)} of the predecessor`);
      descriptor.release();
    }
    this.#serve(listener);
    for (const fd of clients) this.#admit(fd);
  }

  /** Take on a client who has just connected. */
  #admit(fd: Fd): void {
    try {
      const peer = this.#posix.peerCredentials(fd);
      const admission = this.#decide(peer);
      if (admission.warning !== undefined) this.#keeper.warn(admission.warning);
      const rights = admission.kind === "admit" ? admission.rights : undefined;
      if (rights === undefined && !this.#maySucceed(peer)) return this.#posix.close(fd);
      this.#clients.add(new LiveClient(fd, peer, rights, this.#keeper));
    } catch (error) {
      this.#posix.close(fd);
      if (!(error instanceof SystemError)) throw error;
      this.#keeper.warn(`unable to serve a client: ${error.message}`);
    }
  }

  /** Rules can be read even when no more files can be opened: descriptors are kept for that. */
  #decide(peer: HolderPeer): HolderAdmission {
    const [serverUid, serverGid] = [this.#posix.geteuid(), this.#posix.getegid()];
    const asked = { ...peer, serverUid, serverGid };
    const admission = this.#options.rules.admit(asked);
    if (admission.kind === "admit" || !SHORTAGES.has(admission.code)) return admission;
    return this.#spares.lend(() => this.#options.rules.admit(asked));
  }

  /** Whose process may do with ours what it likes may have what it holds. */
  #maySucceed({ uid }: HolderPeer): boolean {
    return uid === 0 || uid === this.#posix.geteuid();
  }

  #asking(client: LiveClient, rights: HolderRights = NO_RIGHTS): Asking {
    const { peer } = client;
    return {
      table: this.#table,
      rights,
      owner: peer.uid,
      now: () => this.#now(),
      hold: (fd) => new HeldFd(this.#posix, fd),
      listenerForSuccessor: () => {
        return this.#maySucceed(peer) ? this.#listener?.held.use() : undefined;
      },
      changed: () => this.#planExpiry(),
      expire: () => this.#expire(),
    };
  }

  #now(): Moment {
    const tai = taiFromUnix(this.#posix.realtimeNs());
    return { tai, monotonicMs: this.#options.clock.monotonicMs() };
  }

  /** Nobody sees an entry that has expired, whenever the timer comes. */
  #expire(): void {
    if (this.#table.nextExpiryMs === undefined) return;
    const expired = this.#table.expire(this.#options.clock.monotonicMs());
    for (const descriptor of expired) descriptor.release();
  }

  #planExpiry(): void {
    const { nextExpiryMs } = this.#table;
    if (nextExpiryMs === this.#plannedMs) return;
    this.#plannedMs = nextExpiryMs;
    this.#expiry?.cancel();
    if (nextExpiryMs === undefined) return;
    const leftMs = nextExpiryMs - this.#options.clock.monotonicMs();
    this.#expiry = this.#options.clock.setTimer(Math.min(leftMs, EXPIRY_MS_MAX), () => {
      this.#plannedMs = undefined;
      this.#expire();
      this.#planExpiry();
    });
  }

  /** End the client who has been inactive for longest, of the user who has most of them. */
  #makeRoom(idleMs: number): void {
    const latestMs = this.#options.clock.monotonicMs() - idleMs;
    const perUser = new Map<Uid, LiveClient[]>();
    for (const client of this.#clients) {
      perUser.set(client.peer.uid, [...(perUser.get(client.peer.uid) ?? []), client]);
    }
    const crowds = [...perUser.values()].toSorted((a, b) => b.length - a.length);
    for (const crowd of crowds) {
      const [oldest] = crowd.toSorted((a, b) => a.activeAtMs - b.activeAtMs);
      if (oldest === undefined || oldest.activeAtMs > latestMs) continue;
      this.#keeper.warn(
        `uid ${oldest.peer.uid} gid ${oldest.peer.gid} was inactive, and makes room`,
      );
      return oldest.cut();
    }
  }

  #beginHandOver(client: LiveClient): void {
    this.#state = { kind: "handing", to: client, stop: undefined };
    this.#listener?.pause();
    for (const other of this.#clients) if (other !== client) other.freeze(true);
  }

  /** The successor has failed; do what was asked for meanwhile. */
  #resume(): void {
    if (this.#state.kind !== "handing") return;
    const { stop } = this.#state;
    this.#keeper.warn("the successor has failed: serving on");
    this.#state = { kind: "serving" };
    this.#listener?.resume();
    for (const client of this.#clients) client.freeze(false);
    if (stop !== undefined) this.stop(stop);
  }

  /** The successor has everything: pass the clients on, and be done when that is sent. */
  #commit(successor: LiveClient): void {
    this.#listener?.stop();
    this.#expiry?.cancel();
    const passed = [...this.#clients].filter((client) => client !== successor && client.isIdle);
    const held = passed.map((client) => new HeldFd(this.#posix, client.detach()));
    const trips = Math.ceil(held.length / UNIX_MESSAGE_FDS_MAX);
    const messages = Array.from({ length: trips }, (_, trip) => {
      const start = trip * UNIX_MESSAGE_FDS_MAX;
      return { body: HANDED_CLIENTS, held: held.slice(start, start + UNIX_MESSAGE_FDS_MAX) };
    });
    successor.send([{ body: formatNumbersReply(held.length), held: [] }, ...messages]);
    this.#state = { kind: "draining" };
    this.#releaseAll();
    this.#drainClients();
  }

  #drain(): void {
    this.#state = { kind: "draining" };
    this.#listener?.stop();
    this.#drainClients();
  }

  #drainClients(): void {
    const { clock, drainMs = HOLDER_IDLE_MS } = this.#options;
    for (const client of this.#clients) client.drain();
    if (this.#clients.size === 0) return this.#finish();
    this.#patience = clock.setTimer(drainMs, () => this.#finish());
  }

  #closed(client: LiveClient): void {
    this.#clients.delete(client);
    if (this.#state.kind === "draining" && this.#clients.size === 0) this.#finish();
    else if (this.#state.kind === "serving") this.#listener?.resume();
  }

  /** Close everything. */
  #finish(): void {
    if (this.#state.kind === "done") return;
    this.#state = { kind: "done" };
    const { size } = this.#table;
    if (size > 0) this.#keeper.warn(`${size} descriptors that were held are closed`);
    this.#expiry?.cancel();
    this.#patience?.cancel();
    for (const client of this.#clients) client.cut();
    this.#releaseAll();
    this.#spares.release();
    this.#listener?.stop();
    this.#listener?.held.release();
    this.#resolve(0);
  }

  #releaseAll(): void {
    for (const { id } of [...this.#table.entries()]) this.#table.remove(id)?.release();
  }
}
