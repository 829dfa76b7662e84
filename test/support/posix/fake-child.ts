/** A child that FakePosix spawned: tests look at what it was born with, and act its part. */
import { splitBlock } from "../../../src/posix/bytes.ts";
import type { FdTable } from "./fake-file.ts";
import type { Pid, SpawnRequest, SystemError, WaitStatus } from "../../../src/posix/posix.ts";

export class FakeChild {
  readonly pid: Pid;
  readonly request: SpawnRequest;
  /** The arguments that execve would have been given, decoded. */
  readonly files: readonly string[];
  readonly argv: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  /** Signals it was sent, in order. */
  readonly signals: number[] = [];
  /** Has it executed its program? Children do so at once, unless `holdsBirths`. */
  hasExecuted = true;
  /** The failure that `birthFailure` is to report of it, once. */
  failure: SystemError | undefined;
  readonly birth: number;
  readonly #fds: FdTable;
  #status: WaitStatus | undefined;

  constructor(pid: Pid, request: SpawnRequest, fds: FdTable) {
    this.pid = pid;
    this.birth = pid;
    this.request = request;
    this.files = splitBlock(request.files);
    this.argv = splitBlock(request.argv);
    this.environment = environmentOf(request);
    this.#fds = fds;
  }

  get status(): WaitStatus | undefined {
    return this.#status;
  }

  /** The numbers of its open descriptors. */
  get fds(): readonly number[] {
    return this.#fds.numbers;
  }

  /** Write to one of its descriptors, as the program would. */
  write(fd: number, text: string): void {
    const outgoing = this.#fds.get(fd)?.outgoing;
    if (outgoing === undefined) throw new Error(`fake child: cannot write to descriptor ${fd}`);
    outgoing.parcels.push({ bytes: Buffer.from(text), rights: [] });
  }

  /** Everything that waits to be read on one of its descriptors. */
  read(fd: number): string {
    const incoming = this.#fds.get(fd)?.incoming;
    if (incoming === undefined) throw new Error(`fake child: cannot read descriptor ${fd}`);
    return Buffer.concat(incoming.parcels.splice(0).map(({ bytes }) => bytes)).toString();
  }

  close(fd: number): void {
    this.#fds.remove(fd);
  }

  /** End it: its descriptors close, its pidfd becomes readable and `reap` tells the status. */
  end(status: WaitStatus): void {
    this.#status ??= status;
    this.#fds.clear();
  }

  /** End it as a child that could not take a step. */
  fail(failure: SystemError): void {
    this.hasExecuted = false;
    this.failure = failure;
    this.exit(127);
  }

  exit(exitCode: number): void {
    this.end({ kind: "exited", exitCode });
  }
}

function environmentOf(request: SpawnRequest): ReadonlyMap<string, string> {
  const blocks = [request.environment, request.environmentExtra ?? new Uint8Array(0)];
  const entries = blocks.flatMap(splitBlock).map((entry): [string, string] => {
    const end = entry.indexOf("=");
    return [entry.slice(0, end), entry.slice(end + 1)];
  });
  return new Map(entries);
}
