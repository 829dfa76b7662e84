export {
  ALTERNATIVE_NAMES_BYTES_MAX,
  areFewAlternativeNames,
  formatAlternativeNames,
  isAlternativeNameKind,
  parseAlternativeNames,
} from "./alternative-name.ts";
export type { AlternativeName } from "./alternative-name.ts";
export {
  formatIp,
  formatMaskedIp,
  fromSocketAddress,
  IP4_ANY,
  IP6_ANY,
  IP_LIST_MAX,
  ip4FromNumber,
  ip4ToNumber,
  ipFromBytes,
  isIp4Mapped,
  isOfFamily,
  isSameIp,
  maskIp,
  parseIp,
  parseIp4,
  parseIp6,
  parseIpList,
  toSocketAddress,
  unmapIp,
} from "./address.ts";
export type { Endpoint, Family, IpAddress } from "./address.ts";
export {
  decodeEdits,
  encodeEdits,
  ENVIRONMENT_FILE_BYTES_MAX,
  isVariableFile,
  parseEdit,
  parseEnvironmentFile,
  PROTO,
  readIpVariable,
  readPortVariable,
  readUcspiConnection,
  readVariable,
  requireVariable,
  TCP_NAMES,
  tcpClientEdits,
  tcpLocalEdits,
  tcpPeerEdits,
  tcpServerEdits,
  ucspiNames,
  VariableError,
} from "./environment.ts";
export type {
  EnvironmentEdit,
  EnvironmentFileOptions,
  UcspiConnection,
  UcspiNames,
  Variables,
} from "./environment.ts";
export { IPC, ipcClientEdits, ipcNames, ipcPeerEdits, readIpcClient } from "./ipc-environment.ts";
export type { IpcClient, IpcNames } from "./ipc-environment.ts";
export { parsePort, parseUnsigned, PORT_MAX, UNSIGNED_MAX } from "./numbers.ts";
export { addressBits, formatPrefix, isExactPrefix, isInPrefix, parsePrefix } from "./prefix.ts";
export type { IpPrefix } from "./prefix.ts";
export {
  HOSTS_BYTES_MAX,
  HOSTS_PATH,
  HOSTS_REMEMBERED_BYTES_MAX,
  parseHosts,
  readHosts,
  rememberedHosts,
} from "./hosts.ts";
export type { Hosts } from "./hosts.ts";
export { comparableHostName, isHostName, withoutFinalDot } from "./host-name.ts";
export { openResolver } from "./resolver.ts";
export type { AddressQuery, Lookup, LookupFailure, Resolver, ResolverOptions } from "./resolver.ts";
export {
  formatUnixMessage,
  UNIX_MESSAGE_BYTES_MAX,
  UNIX_MESSAGE_FDS_MAX,
  UNIX_MESSAGE_HEADER_BYTES,
  UnixMessageReader,
} from "./unix-message.ts";
export type { UnixMessage, UnixMessageLimits, UnixMessageProgress } from "./unix-message.ts";
export {
  RECEIVED_WORD_BYTES_MAX,
  receivedServerName,
  receivedText,
  receivedWord,
} from "./received-value.ts";
export { LISTEN_FDS_REMOVED, readListenFds } from "./listen-fds.ts";
export type { PassedFd } from "./listen-fds.ts";
