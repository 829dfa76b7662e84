/** Output that does not wait for its reader. */

import type { Fd } from "./kernel.ts";

/**
 * The kind of file that a descriptor is open on. `memory` is /dev/null and its like, which never make a
 * writer wait; `device` any other device, terminals above all; `other` what has no name (eventfd,
 * epoll).
 */
export type DescriptorKind =
  "file" | "directory" | "pipe" | "socket" | "memory" | "device" | "other";

/** Calls for output. */
export interface Output {
  /** fstat(2): what kind of thing a descriptor is open on. */
  descriptorKind(fd: Fd): DescriptorKind;
  /**
   * write(2) that never waits, however the open file is set, and leaves that setting alone (send with
   * MSG_DONTWAIT on sockets, pwritev2 with RWF_NOWAIT elsewhere); undefined when it would wait.
   * EOPNOTSUPP where the system cannot do so with what this descriptor is open on.
   */
  writeNow(fd: Fd, bytes: Uint8Array): number | undefined;
  /**
   * splice(2) with SPLICE_F_NONBLOCK, from a pipe that has the bytes to another one; undefined when
   * that one is full.
   */
  splice(from: Fd, to: Fd, count: number): number | undefined;
  /**
   * Start a thread that copies to `to`, with calls that wait, what it reads from `from`: to its end, or
   * until writing fails. The thread takes `from` over and closes it last of all, so that the other end
   * of it hangs up when everything is written. Nobody waits for the thread: it ends with the process.
   * Reads at most 32 KiB at a time, and writes what it has read in one piece where the system lets it.
   */
  copyInThread(from: Fd, to: Fd): void;
}

/** The exports of C for this family (`native/output.c`). */
export interface OutputAddon {
  descriptorKind(fd: number): number;
  writeNow(fd: number, bytes: Uint8Array): number | undefined;
  splice(from: number, to: number, count: number): number | undefined;
  copyInThread(from: number, to: number): void;
}

/** In the order of the kinds in native/output.c. */
const DESCRIPTOR_KINDS: readonly DescriptorKind[] = [
  "file",
  "directory",
  "pipe",
  "socket",
  "memory",
  "device",
];

/** The calls of this kernel for output. */
export function nativeOutput(addon: OutputAddon): Output {
  return {
    descriptorKind: (fd) => DESCRIPTOR_KINDS[addon.descriptorKind(fd)] ?? "other",
    writeNow: (fd, bytes) => addon.writeNow(fd, bytes),
    splice: (from, to, count) => addon.splice(from, to, count),
    copyInThread: (from, to) => addon.copyInThread(from, to),
  };
}
