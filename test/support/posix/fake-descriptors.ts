/** Descriptors of the fake kernel. */

import {
  WRITEV_BUFFERS_MAX,
  type DescriptorKind,
  type Fd,
  type Interest,
  type OpenMode,
  type OpenOptions,
  type Readiness,
} from "../../../src/posix/posix.ts";
import { Channel, OpenFile, type FakeFile } from "./fake-file.ts";
import { blocksForEver, FakeKernel, systemError } from "./fake-kernel.ts";
import { wanted } from "./fake-watch.ts";

export class FakeDescriptors extends FakeKernel {
  open(path: string, mode: OpenMode, options: OpenOptions = {}): Fd {
    this.mayFail("open");
    const { create, exclusive = false, noFollow = false } = options;
    const resolved = this.resolve(path, options.at, !noFollow && !exclusive, "open");
    const existing = this.tree.at(resolved);
    if (existing !== undefined && exclusive) throw systemError("EEXIST", "open");
    if (existing === undefined && create === undefined) throw systemError("ENOENT", "open");
    const file = existing ?? this.putFile(resolved, "", (create ?? 0) & ~this.mask);
    const problem = refusal(file, mode, options);
    if (problem !== undefined) throw systemError(problem, "open");
    const opened = new OpenFile(mode, options.nonblocking);
    opened.file = file;
    if (file.fifo !== undefined) return this.#openFifo(file.fifo, opened);
    opened.isPathOnly = options.pathOnly ?? false;
    opened.isAppending = options.append ?? false;
    if (options.truncate === true) file.change(new Uint8Array(0));
    return this.fds.add(opened);
  }

  close(fd: Fd): void {
    this.opened(fd, "close");
    this.watches.get(fd)?.close();
    this.fds.remove(fd);
    this.mayFail("close");
  }

  read(fd: Fd, into: Uint8Array): number | undefined {
    this.mayFail("read");
    const opened = this.opened(fd, "read");
    if (opened.incoming !== undefined) {
      return this.takeFrom(opened, into.length, "read", ({ bytes }) => {
        into.set(bytes);
        return bytes.length;
      });
    }
    if (opened.mode === "write") throw systemError("EBADF", "read");
    if (opened.file?.kind === "directory") throw systemError("EISDIR", "read");
    const content = opened.file?.content ?? new Uint8Array(0);
    const piece = content.subarray(opened.offset, opened.offset + into.length);
    into.set(piece);
    opened.offset += piece.length;
    return piece.length;
  }

  readAt(fd: Fd, into: Uint8Array, position: number): number | undefined {
    this.mayFail("readAt");
    const opened = this.opened(fd, "pread");
    if (opened.file === undefined || opened.file.fifo) throw systemError("ESPIPE", "pread");
    if (opened.mode === "write") throw systemError("EBADF", "pread");
    const piece = opened.file.content.subarray(position, position + into.length);
    into.set(piece);
    return piece.length;
  }

  writeAt(fd: Fd, bytes: Uint8Array, position: number): number | undefined {
    this.mayFail("writeAt");
    const opened = this.opened(fd, "pwrite");
    if (opened.file === undefined || opened.file.fifo) throw systemError("ESPIPE", "pwrite");
    if (opened.mode === "read") throw systemError("EBADF", "pwrite");
    const start = opened.isAppending ? opened.file.content.length : position;
    opened.file.change(overwritten(opened.file.content, bytes, start));
    return bytes.length;
  }

  seek(fd: Fd, offset: number, from: "start" | "here" | "end"): number {
    this.mayFail("seek");
    const opened = this.opened(fd, "lseek");
    if (opened.file === undefined || opened.file.fifo) throw systemError("ESPIPE", "lseek");
    const bases = { start: 0, here: opened.offset, end: opened.file.content.length };
    const place = bases[from] + offset;
    if (place < 0) throw systemError("EINVAL", "lseek");
    opened.offset = place;
    return place;
  }

  write(fd: Fd, bytes: Uint8Array): number | undefined {
    this.mayFail("write");
    return this.#writeTo(fd, bytes, "write");
  }

  writev(fd: Fd, buffers: readonly Uint8Array[]): number | undefined {
    this.mayFail("writev");
    return this.#writeTo(fd, Buffer.concat(buffers.slice(0, WRITEV_BUFFERS_MAX)), "writev");
  }

  peek(fd: Fd, into: Uint8Array): number | undefined {
    this.mayFail("peek");
    const opened = this.opened(fd, "recv");
    if (opened.socket === undefined) throw systemError("ENOTSOCK", "recv");
    const { incoming } = opened;
    if (incoming === undefined) throw systemError("ENOTCONN", "recv");
    const bytes = incoming.peek(into.length);
    into.set(bytes);
    return bytes.length > 0 || incoming.writers <= 0 ? bytes.length : undefined;
  }

  pipe(): readonly [Fd, Fd] {
    this.mayFail("pipe");
    const channel = new Channel();
    return [
      this.fds.add(new OpenFile("read").attach(channel, undefined)),
      this.fds.add(new OpenFile("write").attach(undefined, channel)),
    ];
  }

  dup2(fd: Fd, target: number, closeOnExec = false): Fd {
    this.mayFail("dup2");
    return this.fds.place(this.opened(fd, "dup3"), target, closeOnExec);
  }

  dup(fd: Fd, minimum = 0): Fd {
    this.mayFail("dup");
    return this.fds.add(this.opened(fd, "fcntl"), minimum);
  }

  isOpen(fd: number): fd is Fd {
    return this.fds.get(fd) !== undefined;
  }

  unshareDescriptors(): void {
    this.mayFail("unshareDescriptors");
  }

  setCloseOnExec(fd: Fd, on: boolean): void {
    this.mayFail("setCloseOnExec");
    this.opened(fd, "fcntl");
    this.fds.setCloseOnExec(fd, on);
  }

  isCloseOnExec(fd: Fd): boolean {
    this.mayFail("isCloseOnExec");
    this.opened(fd, "fcntl");
    return this.fds.isCloseOnExec(fd);
  }

  setNonblocking(fd: Fd, on: boolean): boolean {
    this.mayFail("setNonblocking");
    const opened = this.opened(fd, "fcntl");
    const before = opened.isNonblocking;
    opened.isNonblocking = on;
    return before;
  }

  isNonblocking(fd: Fd): boolean {
    return this.opened(fd, "fcntl").isNonblocking;
  }

  accessMode(fd: Fd): OpenMode {
    return this.opened(fd, "fcntl").mode;
  }

  isSocket(fd: Fd): boolean {
    return this.opened(fd, "fstat").socket !== undefined;
  }

  isSameOpenFile(a: Fd, b: Fd): boolean | undefined {
    return this.opened(a, "kcmp") === this.opened(b, "kcmp");
  }

  descriptorKind(fd: Fd): DescriptorKind {
    this.mayFail("descriptorKind");
    const opened = this.opened(fd, "fstat");
    if (opened.socket !== undefined) return "socket";
    if (opened.incoming !== undefined || opened.outgoing !== undefined) return "pipe";
    return opened.file === undefined ? "other" : "file";
  }

  writeNow(fd: Fd, bytes: Uint8Array): number | undefined {
    this.mayFail("writeNow");
    const opened = this.opened(fd, "write");
    if (opened.outgoing === undefined) throw systemError("EOPNOTSUPP", "write");
    const before = opened.isNonblocking;
    opened.isNonblocking = true;
    try {
      return this.#writeTo(fd, bytes, "write");
    } finally {
      opened.isNonblocking = before;
    }
  }

  splice(from: Fd, to: Fd, count: number): number | undefined {
    this.mayFail("splice");
    const source = this.opened(from, "splice").incoming;
    if (source === undefined) throw systemError("EINVAL", "splice");
    const moved = this.writeNow(to, source.peek(count));
    if (moved !== undefined) this.read(from, new Uint8Array(moved));
    return moved;
  }

  /** There are no threads here: what is sent to them stays where it is. */
  copyInThread(from: Fd, to: Fd): void {
    this.mayFail("copyInThread");
    this.opened(to, "fcntl");
    this.opened(from, "fcntl");
  }

  waitReady(fd: Fd, interest: Interest, timeoutMs: number): Readiness | undefined {
    this.mayFail("waitReady");
    const readiness = wanted(this.opened(fd, "poll").readiness, interest);
    if (readiness === undefined && timeoutMs < 0) throw blocksForEver("waitReady", fd);
    return readiness;
  }

  /** Nonblocking, a reader opens at once and a writer needs a reader; blocking, both need the other. */
  #openFifo(fifo: Channel, opened: OpenFile): Fd {
    const lacks =
      (opened.mode === "write" && fifo.readers === 0) ||
      (opened.mode === "read" && fifo.writers === 0 && !opened.isNonblocking);
    if (lacks && !opened.isNonblocking) throw blocksForEver("open", -1);
    if (lacks) throw systemError("ENXIO", "open");
    opened.attach(
      opened.mode === "write" ? undefined : fifo,
      opened.mode === "read" ? undefined : fifo,
    );
    return this.fds.add(opened);
  }

  #writeTo(fd: Fd, bytes: Uint8Array, syscall: string): number | undefined {
    const opened = this.opened(fd, syscall);
    if (opened.outgoing !== undefined)
      return this.putInto(opened, opened.outgoing, bytes, [], syscall);
    if (opened.mode === "read" || opened.file === undefined) throw systemError("EBADF", syscall);
    const { content } = opened.file;
    const start = opened.isAppending ? content.length : opened.offset;
    opened.file.change(overwritten(content, bytes, start));
    opened.offset = start + bytes.length;
    return bytes.length;
  }
}

/** The reason why a file cannot be opened like this. */
function refusal(file: FakeFile, mode: OpenMode, options: OpenOptions): string | undefined {
  if (file.kind === "link") return "ELOOP";
  if (file.kind === "socket") return "ENXIO";
  if (file.kind === "directory") return mode === "read" ? undefined : "EISDIR";
  return options.directory === true ? "ENOTDIR" : undefined;
}

/** The content of a file after something was written over a part of it, or beyond its end. */
function overwritten(content: Uint8Array, bytes: Uint8Array, start: number): Uint8Array {
  const grown = new Uint8Array(Math.max(content.length, start + bytes.length));
  grown.set(content);
  grown.set(bytes, start);
  return grown;
}
