export { admit, BANNER_BYTES_MAX } from "./admission/admit.ts";
export type { AdmissionRequest } from "./admission/admit.ts";
export { readClient } from "./admission/client.ts";
export { ACCESS_OPTIONS } from "./admission/options.ts";
export type { AccessOptions } from "./admission/options.ts";
export { identityWords, stage, undoneByDns, undoneByNoHosts } from "./wrapped.ts";
export { runTcpClient } from "./client/client.ts";
export type { ClientRequest, ClientResult } from "./client/client.ts";
export { addressOf, tellName } from "./local/address.ts";
export type { LocalName } from "./local/address.ts";
export { admitLocally } from "./local/admit.ts";
export type { LocalAdmissionRequest } from "./local/admit.ts";
export { BindError, bindLocal } from "./local/bind.ts";
export type { BindRequest, Binding, BoundSocket } from "./local/bind.ts";
export { checkLocally } from "./local/check.ts";
export type { RulesCheck } from "./local/check.ts";
export { ConnectError, connectLocal } from "./local/connect.ts";
export type { LocalConnectRequest } from "./local/connect.ts";
export {
  IPC_ACCESS_OPTIONS,
  IPC_CLIENT_OPTIONS,
  IPC_SOCKETBINDER_OPTIONS,
  IPCSERVER_OPTIONS,
  IPCSERVERD_OPTIONS,
  PERMISSIONS_DEFAULT,
} from "./local/options.ts";
export type { IpcAccessOptions, IpcClientOptions } from "./local/options.ts";
export { ipcPlan, ipcPreview } from "./local/serverd.ts";
export type { IpcServerdOptions } from "./local/serverd.ts";
export { pathOf } from "./serving/unix.ts";
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
export type { Handler, TcpConnection } from "./serving/tcp-connection.ts";
export type { LocalClient, LocalConnection, LocalHandler } from "./serving/local-connection.ts";
export { LocalServer } from "./local/server.ts";
export type { LocalListenTarget, LocalServerOptions } from "./local/server.ts";
export type { LibrarySystem } from "./library-server.ts";
export {
  CONNECTIONS_MAX,
  SOCKETBINDER_OPTIONS,
  TCPSERVER_OPTIONS,
  TCPSERVERD_OPTIONS,
} from "./server-options.ts";
