export { formatTlsBlock, parseTlsBlock, TLS_BLOCK_BYTES_MAX } from "./handshake/block.ts";
export type { KeyPair } from "./material/credentials.ts";
export { describeTlsError } from "./handshake/describe-error.ts";
export { tlsEdits } from "./handshake/facts.ts";
export type { PeerCertificate, TlsFacts } from "./handshake/facts.ts";
export { TlsMaterialError } from "./material/material-error.ts";
export type { MaterialExitCode } from "./material/material-error.ts";
export {
  CADIR_ENTRIES_MAX,
  MATERIAL_FILE_BYTES_MAX,
  MaterialFiles,
} from "./material/material-files.ts";
export type { MaterialPosix } from "./material/material-files.ts";
export { MaterialSource } from "./material/material-source.ts";
export type { MaterialSourceOptions } from "./material/material-source.ts";
export { loadClientMaterial, loadServerMaterial, validityWarnings } from "./material/material.ts";
export type {
  ClientMaterial,
  ClientMaterialOptions,
  NamedPair,
  ServerMaterial,
  ServerMaterialOptions,
  TlsPolicy,
  TlsVariables,
  TlsVersionName,
} from "./material/material.ts";
export type { AdmitPeer, PeerAdmission } from "./handshake/peer-rules.ts";
export { ServerNames } from "./handshake/server-names.ts";
export type { ServerNamesOptions } from "./handshake/server-names.ts";
export { formatSubject, INVALID_SUBJECT } from "./material/subject.ts";
export { TlsAcceptor } from "./tunnel/acceptor.ts";
export type { Destroyable, Secured } from "./tunnel/acceptor.ts";
export { tlsdLine } from "./handshake/tls-options.ts";
export type { KeyPairFiles, TlsOptions } from "./handshake/tls-options.ts";
export { runTunnel } from "./wrap/run-tunnel.ts";
export { Engine } from "./engine/engine.ts";
export {
  clientLoader,
  clientCommand,
  operandNumbers,
  ruledServerCommand,
  serverLoader,
  serverCommand,
} from "./wrap/tls-command.ts";
export { offering, securing } from "./wrap/wrap.ts";
export { ENGINE_USER, engineUserEdits } from "./options/engine-user.ts";
export { DEFAULT_HANDSHAKE_TIMEOUT_MS, namedSni } from "./options/declarations.ts";
export {
  TLS_ENGINE_OPTIONS,
  TLSC_IO_OPTIONS,
  TLSC_OPTIONS,
  TLSCLIENT_TLS_OPTIONS,
  TLSD_IO_OPTIONS,
  TLSD_OPTIONS,
  TLSSERVER_TLS_OPTIONS,
  UCSPITLSD_OPTIONS,
} from "./options/tables.ts";
export type {
  ClientCertificateDemand,
  EngineChannel,
  SniChoice,
  SniLevel,
  TlsVersion,
  TlsVersions,
} from "./options/declarations.ts";
export type { TlscIoOptions, TlsdIoOptions } from "./options/tables.ts";
