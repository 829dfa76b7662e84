export { decodeBytes, encodeBytes, joinBlock, splitBlock } from "./bytes.ts";
export { errnoOf, SystemError, WRITEV_BUFFERS_MAX } from "./posix.ts";
export type {
  Accepted,
  Account,
  Child,
  DescriptorKind,
  Fd,
  FileVersion,
  Gid,
  Group,
  Identity,
  Limit,
  OpenMode,
  Pid,
  Posix,
  Interest,
  Readiness,
  ReceivedMessage,
  Resource,
  Session,
  SocketAddress,
  SpawnRequest,
  Uid,
  WaitStatus,
  Watch,
} from "./posix.ts";
export { loadPosix } from "./native.ts";
export { afterBytes, writeFully } from "./write.ts";
export { readHead } from "./read-head.ts";
export { packageRoot } from "./package-root.ts";
