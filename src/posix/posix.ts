/**
 * The seam to the kernel: the system calls that the suite needs and Node lacks, with their types.
 *
 * Each family of calls is one file here, which holds its interface, what C exports for it, and what
 * makes the one of the other; a new call is a C function and a few lines in its family's file. The
 * double that unit tests use is test/support/posix. Each function is one call: it marshals its
 * arguments, calls once (retrying only EINTR) and throws SystemError with the errno name. Policy,
 * retries and defaults live above. A call whose failure is an everyday answer (nothing to accept,
 * would block) says so in its result instead of throwing.
 */
import type { Clocks } from "./clocks.ts";
import type { Descriptors } from "./descriptors.ts";
import type { EventLoop } from "./event-loop.ts";
import type { Files } from "./files.ts";
import type { Attributes } from "./attributes.ts";
import type { Locks } from "./locks.ts";
import type { Names } from "./names.ts";
import type { Paths } from "./paths.ts";
import type { Output } from "./output.ts";
import type { Processes } from "./processes.ts";
import type { Sockets } from "./sockets.ts";
import type { Spawn } from "./spawn.ts";

export { WRITEV_BUFFERS_MAX } from "./descriptors.ts";
export type { OpenMode, OpenOptions } from "./descriptors.ts";
export type { Interest, Readiness, Watch } from "./event-loop.ts";
export type { DirectoryEntry, EntryKind, FileVersion, Owner } from "./files.ts";
export type { Identity, Limit, Resource } from "./attributes.ts";
export { errnoOf, SystemError } from "./kernel.ts";
export type { Fd, Gid, Pid, Uid } from "./kernel.ts";
export type { LockKind, LockOwner } from "./locks.ts";
export type { Account, Group } from "./names.ts";
export type { DescriptorKind } from "./output.ts";
export type { WaitStatus } from "./processes.ts";
export { UNIX_PATH_BYTES_MAX, type SocketAddress } from "./socket-address.ts";
export type { Accepted, PeerCredentials, ReceivedMessage, SocketType } from "./sockets.ts";
export type { Child, Session, SpawnRequest } from "./spawn.ts";

/** All calls. An implementation holds no state but its watches. */
export interface Posix
  extends
    Processes,
    Spawn,
    Attributes,
    Descriptors,
    Output,
    Files,
    Paths,
    Locks,
    Sockets,
    EventLoop,
    Names,
    Clocks {}
