export { ENGINE_USER, engineUserEdits } from "./engine-user.ts";
export {
  DEFAULT_HANDSHAKE_TIMEOUT_MS,
  TLSC_IO_OPTIONS,
  TLSC_OPTIONS,
  TLSCLIENT_TLS_OPTIONS,
  tlscIoWords,
  tlscWords,
  TLSD_IO_OPTIONS,
  TLSD_OPTIONS,
  tlsdIoWords,
  tlsdWords,
  TLSSERVER_TLS_OPTIONS,
  UCSPITLSD_OPTIONS,
} from "./options.ts";
export type {
  CertificateRules,
  ClientCertificate,
  EngineChannel,
  SniChoice,
  SniLevel,
  TlscIoOptions,
  TlsdIoOptions,
  TlsVersion,
  TlsVersions,
} from "./options.ts";
