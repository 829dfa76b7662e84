export { admit, BANNER_BYTES_MAX } from "./admission/admit.ts";
export type { AdmissionRequest } from "./admission/admit.ts";
export { readClient } from "./admission/client.ts";
export { ACCESS_OPTIONS } from "./admission/options.ts";
export type { AccessOptions } from "./admission/options.ts";
export { identityWords, stage, undoneByDns, undoneByNoHosts } from "./wrapped.ts";
export { runTcpClient } from "./client/client.ts";
export type { ClientRequest, ClientResult } from "./client/client.ts";
export { literalAddresses } from "./client/hosts.ts";
export { CLIENT_OPTIONS } from "./client/options.ts";
export type { ClientOptions, ConnectTimes } from "./client/options.ts";
export { ENDPOINT, formatEndpoint, parseListenOperands } from "./endpoint.ts";
export { extraListenersEdit } from "./extra-listeners.ts";
export { serve } from "./serve.ts";
export { Serverd } from "./serverd.ts";
export type { ServerdPlan } from "./serverd.ts";
export { tcpPlan, tcpPreview } from "./tcp-serverd.ts";
export type { TcpServerdOptions } from "./tcp-serverd.ts";
export { TcpServer } from "./tcp-server.ts";
export type {
  CertificateRulesOption,
  ListenTarget,
  RulesOption,
  TcpServerOptions,
  TcpServerSystem,
} from "./tcp-server.ts";
export type { Handler, TcpConnection } from "./serving/handler-service.ts";
export {
  CONNECTIONS_MAX,
  SOCKETBINDER_OPTIONS,
  TCPSERVER_OPTIONS,
  TCPSERVERD_OPTIONS,
} from "./server-options.ts";
