export { Cdb, CdbError, cdbHash } from "./cdb.ts";
export type { CdbRecord } from "./cdb.ts";
export { CdbWriter } from "./cdb-writer.ts";
export type { CdbSink } from "./cdb-writer.ts";
export { readCdbFile } from "./read-file.ts";
export { replaceFile } from "./replace-file.ts";
export type { ReplaceOptions } from "./replace-file.ts";
export { CdbRules } from "./cdb-rules.ts";
export { CdbRuleSet } from "./cdb-rule-set.ts";
export { DirectoryRules } from "./directory-rules.ts";
export { readEnvironmentDirectory } from "./environment-directory.ts";
export {
  explainClientCertificate,
  explainIp,
  explainReverseDns,
  explainUidGid,
} from "./explain.ts";
export type { Probe } from "./explain.ts";
export { certificateKey, parseCertificateFact } from "./client-certificate.ts";
export type { AlternativeName, CertificateFact, ClientCertificate } from "./client-certificate.ts";
export type { LocalPeer } from "./keys.ts";
export type { Allowed, CertificateRules, Failed, RuleResult, Rules, Verdict } from "./rules.ts";
export { admitCertificate, openCertificateRules } from "./certificate-admission.ts";
export type { CertificateAdmission } from "./certificate-admission.ts";
export { compileDirectory } from "./cdb-from-directory.ts";
export type { CompileOptions } from "./cdb-from-directory.ts";
export { unpackCdb } from "./directory-from-cdb.ts";
export { explainFailure } from "./failure.ts";
export type { RulesFailure } from "./failure.ts";
export { RulesProblem } from "./problem.ts";
export { TcpRulesCompiler } from "./compile-tcprules.ts";
export type { RulesFormat } from "./compile-tcprules.ts";
export { RuleLineError } from "./tcprules-line.ts";
export { certificateOf, checkDjbRules, checkS6Rules, detectRulesFormat } from "./tcprules-check.ts";
export type { DjbVerdict, RemoteClient } from "./tcprules-check.ts";
export { lintCdb } from "./lint-cdb.ts";
export { lintDirectory } from "./lint-directory.ts";
export type { Finding, FindingCode } from "./finding.ts";
