export { decodeBytes, encodeBytes, joinBlock, splitBlock } from "./bytes.ts";
export { errnoOf, SystemError, UNIX_PATH_BYTES_MAX, WRITEV_BUFFERS_MAX } from "./posix.ts";
export type {
  Accepted,
  Account,
  Child,
  DescriptorKind,
  DirectoryEntry,
  EntryKind,
  Fd,
  FileVersion,
  Gid,
  Group,
  Identity,
  Limit,
  LockKind,
  LockOwner,
  OpenMode,
  OpenOptions,
  Owner,
  PeerCredentials,
  Pid,
  Posix,
  Interest,
  Readiness,
  ReceivedMessage,
  Resource,
  Session,
  SocketAddress,
  SocketType,
  SpawnRequest,
  Uid,
  WaitStatus,
  Watch,
} from "./posix.ts";
export { loadPosix } from "./native.ts";
export { isSameVersion, lookAt, MadeOfFiles, rememberedOf, stillHolds } from "./file-version.ts";
export type { Look, LookingPosix } from "./file-version.ts";
export { listNames, namesIn, readFile, readHead, UnfitFile } from "./read-file.ts";
export type { ListingPosix, ReadingPosix, ReadOptions, Unfitness } from "./read-file.ts";
export { replaceFile, TemporaryFileError } from "./replace-file.ts";
export type { ReplaceOptions, ReplacementSink, ReplacingPosix } from "./replace-file.ts";
export { LockTable } from "./lock-table.ts";
export type { HeldLock, LockingPosix, LockOutcome } from "./lock-table.ts";
export { NAMES_REMEMBERED_MAX, rememberedNames } from "./remembered-names.ts";
export type { AccountNames, AccountPosix } from "./remembered-names.ts";
export { removeTree } from "./remove-tree.ts";
export type { RemovingPosix } from "./remove-tree.ts";
export { afterBytes, writeFully } from "./write.ts";
export { packageRoot } from "./package-root.ts";
