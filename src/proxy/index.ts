export {
  announcement,
  removalEdits,
  variablesSetAside,
  setAsideEdits,
  tlsExtensions,
} from "./announce.ts";
export { crc32c } from "./crc32c.ts";
export { proxyEdits, restoreEdits } from "./environment.ts";
export type { ProxyEditsOptions } from "./environment.ts";
export { formatExtensions, parseExtensions } from "./extensions.ts";
export type { ProxyExtensions, ProxyTls } from "./extensions.ts";
export { formatProxy } from "./format.ts";
export type { ProxyFormat } from "./format.ts";
export { PROXY_V1_BYTES_MAX, PROXY_V2_BYTES_MAX } from "./header.ts";
export type {
  IpTransport,
  Progress,
  ProxiedIp,
  ProxiedUnix,
  ProxyHeader,
  ProxyVersion,
  UnixTransport,
} from "./header.ts";
export { PROXY_CLIENT_BYTES_MAX, PROXY_CLIENT_OPTIONS, PROXY_SERVER_OPTIONS } from "./options.ts";
export type { ProxyClientOptions, ProxyServerOptions } from "./options.ts";
export { parseProxy } from "./parse.ts";
export { readProxyHeader } from "./reader.ts";
export type { Arrived, ProxyReadOptions } from "./reader.ts";
export { SSL_TLV, TLV, Tlvs } from "./tlv.ts";
export type { Tlv } from "./tlv.ts";
export { isTrusted, parseNetworks } from "./trusted.ts";
