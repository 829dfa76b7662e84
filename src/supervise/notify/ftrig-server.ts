/**
 * s6-ftrigrd: listens to fifodirs for a client, its parent, which talks to it over three pipes
 * (supervision.md, section 3.7). The C suite's programs use it; ours listen themselves.
 */

import { deadlineAfter } from "../../clock/index.ts";
import type { Clock, Timer } from "../../clock/index.ts";
import type { Faces, Report, Resident } from "../../host/index.ts";
import { decodeBytes, SystemError } from "../../posix/index.ts";
import type { Fd, Posix, Watch } from "../../posix/index.ts";
import { RegexError } from "../../regex/index.ts";
import { FrameReader } from "./frames.ts";
import { FrameSender } from "./frame-sender.ts";
import type { ListeningContext } from "./listener.ts";
import {
  CLIENT_BANNER,
  formatNews,
  formatAnswer,
  parseFtrigRequest,
  SERVER_BANNER,
  STATUS,
} from "./request.ts";
import type { FtrigRequest } from "./request.ts";
import { Subscription } from "./subscription.ts";

const NAME = "s6-ftrigrd";

/** The time for the first message. */
const HANDSHAKE_MS = 5_000;

const READ_BYTES = 65_536;

const EXIT_OK = 0;
const EXIT_PROTOCOL = 100;
const EXIT_SYSTEM = 111;

export interface FtrigServerOptions {
  readonly requests: Fd;
  readonly answers: Fd;
  readonly news: Fd;
  readonly report: Report;
  randomBytes(count: number): Uint8Array;
}

/** A subscription of the client. */
interface Subscribed {
  readonly subscription: Subscription;
  readonly timer: Timer | undefined;
}

type SubscribeRequest = Extract<FtrigRequest, { readonly kind: "subscribe" }>;

/** Serves one client, until that closes its end. */
export class FtrigServer implements Resident {
  readonly name = NAME;
  readonly done: Promise<number>;
  #end: (exitCode: number) => void = () => undefined;
  readonly #posix: Posix;
  readonly #clock: Clock;
  readonly #options: FtrigServerOptions;
  readonly #listening: ListeningContext;
  readonly #reader = new FrameReader();
  readonly #byId = new Map<number, Subscribed>();
  readonly #answers: FrameSender;
  readonly #news: FrameSender;
  #watch: Watch | undefined;
  #handshake: Timer | undefined;
  #isGreeted = false;
  #isSlowed = false;

  constructor({ posix, clock }: Faces, options: FtrigServerOptions) {
    this.done = new Promise((resolve) => (this.#end = resolve));
    this.#posix = posix;
    this.#clock = clock;
    this.#options = options;
    this.#listening = { posix, randomBytes: options.randomBytes };
    const events = { drained: () => this.#hurry(), failed: () => this.#stop(EXIT_OK) };
    this.#answers = new FrameSender(posix, options.answers, events);
    this.#news = new FrameSender(posix, options.news, events);
  }

  start(): void {
    const { requests, answers, news } = this.#options;
    for (const fd of [requests, answers, news]) this.#posix.setNonblocking(fd, true);
    this.#watch = this.#posix.watch(requests, { readable: true }, () => this.#read());
    this.#handshake = deadlineAfter(this.#clock, HANDSHAKE_MS)?.setTimer(() =>
      this.#fail(EXIT_SYSTEM, "unable to sync with client: Connection timed out"),
    );
  }

  stop(): void {
    this.#stop(EXIT_OK);
  }

  #read(): void {
    const into = new Uint8Array(READ_BYTES);
    let count: number | undefined;
    try {
      count = this.#posix.read(this.#options.requests, into);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#fail(EXIT_SYSTEM, `unable to read messages from client: ${error.message}`);
      return;
    }
    if (count === 0) this.#stop(EXIT_OK);
    if (count === undefined || count === 0) return;
    this.#reader.feed(into.subarray(0, count));
    this.#takeFrames();
  }

  #takeFrames(): void {
    while (this.#watch !== undefined) {
      const progress = this.#reader.next();
      if (progress.kind === "more") return;
      if (progress.kind === "tooLong") {
        const text = `a message of ${progress.length} bytes`;
        this.#fail(EXIT_SYSTEM, `unable to read messages from client: ${text}`);
      } else if (this.#isGreeted) this.#take(progress.body);
      else this.#greet(progress.body);
    }
  }

  #greet(body: Buffer): void {
    if (body.toString("latin1") !== CLIENT_BANNER) {
      this.#fail(EXIT_SYSTEM, "unable to sync with client: Protocol error");
      return;
    }
    this.#handshake?.cancel();
    this.#isGreeted = true;
    this.#news.send(Buffer.from(SERVER_BANNER));
    this.#answers.send(Buffer.from(SERVER_BANNER));
  }

  #take(body: Buffer): void {
    const request = parseFtrigRequest(body);
    if (request === undefined) this.#fail(EXIT_PROTOCOL, "invalid client request");
    else if (request.kind === "subscribe") this.#answer(this.#subscribe(request));
    else {
      // It may have ended at this very moment, so an id that there is not is no error.
      this.#forget(request.id);
      this.#answer(STATUS.ok);
    }
  }

  /** Subscribe; the status for the client. */
  #subscribe({ id, repeats, timeoutMs, wanted }: SubscribeRequest): number {
    if (wanted === undefined) return STATUS.EPROTO;
    if (this.#byId.has(id)) return STATUS.EEXIST;
    const path = decodeBytes(wanted.path);
    const regex = decodeBytes(wanted.regex);
    try {
      const subscription = new Subscription(
        this.#listening,
        { fifodir: { path }, regex },
        {
          matched: (events) => {
            if (!repeats) this.#forget(id);
            this.#tell(id, events);
          },
          failed: (error) => this.#give(id, error.errno),
        },
      );
      const deadline = deadlineAfter(this.#clock, timeoutMs);
      const timer = deadline?.setTimer(() => this.#give(id, STATUS.ETIMEDOUT));
      this.#byId.set(id, { subscription, timer });
      if (this.#isSlowed) subscription.pause();
      return STATUS.ok;
    } catch (error) {
      if (error instanceof RegexError) return STATUS.EINVAL;
      if (error instanceof SystemError) return error.errno;
      throw error;
    }
  }

  /** The subscription has ended with an error. */
  #give(id: number, status: number): void {
    this.#forget(id);
    this.#tell(id, status);
  }

  #answer(status: number): void {
    this.#answers.send(formatAnswer(status));
    this.#slowDown();
  }

  #tell(id: number, news: Uint8Array | number): void {
    this.#news.send(formatNews(id, news));
    this.#slowDown();
  }

  /** A client that does not read its messages gets no more: events wait in the fifos, as far as they have room. */
  #slowDown(): void {
    if (this.#isSlowed || !(this.#answers.isSlow || this.#news.isSlow)) return;
    this.#isSlowed = true;
    this.#watch?.update({});
    for (const { subscription } of this.#byId.values()) subscription.pause();
  }

  #hurry(): void {
    if (!this.#isSlowed || this.#answers.isSlow || this.#news.isSlow) return;
    this.#isSlowed = false;
    this.#watch?.update({ readable: true });
    for (const { subscription } of this.#byId.values()) subscription.resume();
  }

  #forget(id: number): void {
    const subscribed = this.#byId.get(id);
    this.#byId.delete(id);
    subscribed?.timer?.cancel();
    subscribed?.subscription.close();
  }

  #fail(exitCode: number, text: string): void {
    this.#options.report(NAME, "fatal", text);
    this.#stop(exitCode);
  }

  #stop(exitCode: number): void {
    this.#handshake?.cancel();
    this.#watch?.close();
    this.#watch = undefined;
    for (const id of [...this.#byId.keys()]) this.#forget(id);
    this.#answers.close();
    this.#news.close();
    this.#end(exitCode);
  }
}
