export { ALTERNATIVE_NAMES_MAX } from "./certificate-fields.ts";
export type { AlternativeName } from "./certificate-fields.ts";
export { formatTlsBlock, parseTlsBlock, TLS_BLOCK_BYTES_MAX } from "./block.ts";
export type { KeyPair } from "./credentials.ts";
export { describeTlsError } from "./describe-error.ts";
export { tlsEdits } from "./facts.ts";
export type { PeerCertificate, TlsFacts } from "./facts.ts";
export { TlsMaterialError } from "./material-error.ts";
export type { MaterialExitCode } from "./material-error.ts";
export { CADIR_ENTRIES_MAX, MATERIAL_FILE_BYTES_MAX, MaterialFiles } from "./material-files.ts";
export type { MaterialPosix } from "./material-files.ts";
export { MaterialSource } from "./material-source.ts";
export type { MaterialSourceOptions } from "./material-source.ts";
export { loadClientMaterial, loadServerMaterial, validityWarnings } from "./material.ts";
export type {
  ClientMaterial,
  ClientMaterialOptions,
  NamedPair,
  ServerMaterial,
  ServerMaterialOptions,
  TlsPolicy,
  TlsVariables,
  TlsVersionName,
} from "./material.ts";
export { ServerNames } from "./server-names.ts";
export type { ServerNamesOptions } from "./server-names.ts";
export { formatSubject, INVALID_SUBJECT } from "./subject.ts";
export { TlsAcceptor } from "./acceptor.ts";
export type { Secured } from "./acceptor.ts";
export { tlsdLine } from "./server-options.ts";
export type { KeyPairFiles, TlsOptions } from "./server-options.ts";
export { conduct } from "./conduct.ts";
export { Engine } from "./engine/engine.ts";
export { clientLoader, clientPlan, operandNumbers, serverLoader, serverPlan } from "./plan.ts";
export { offering, securing } from "./wrap.ts";
export { ENGINE_USER, engineUserEdits } from "./engine-user.ts";
export {
  DEFAULT_HANDSHAKE_TIMEOUT_MS,
  namedSni,
  TLSC_IO_OPTIONS,
  TLSC_OPTIONS,
  TLSCLIENT_TLS_OPTIONS,
  TLSD_IO_OPTIONS,
  TLSD_OPTIONS,
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
