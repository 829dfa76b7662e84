export { Cdb, CdbError, cdbHash } from "./cdb/cdb.ts";
export type { CdbRecord } from "./cdb/cdb.ts";
export { CdbWriter } from "./cdb/writer.ts";
export type { CdbSink } from "./cdb/writer.ts";
export { readCdbFile } from "./cdb/read-file.ts";
export { replaceCdbFile } from "./cdb/replace-file.ts";
export { CdbRules } from "./cdb/rules.ts";
export { CdbRuleSet } from "./cdb/rule-set.ts";
export { DirectoryRules } from "./directory/rules.ts";
export { readEnvironmentDirectory } from "./directory/environment.ts";
export {
  explainClientCertificate,
  explainIp,
  explainReverseDns,
  explainUidGid,
} from "./lookup/explain.ts";
export type { Probe } from "./lookup/explain.ts";
export { certificateKey, parseCertificateFact } from "./lookup/client-certificate.ts";
export type { CertificateFact, ClientCertificate } from "./lookup/client-certificate.ts";
export type { LocalPeer } from "./lookup/keys.ts";
export type {
  Allowed,
  CertificateRules,
  Failed,
  RuleResult,
  Rules,
  Verdict,
} from "./lookup/rules.ts";
export { ADMITTED_WITHOUT_RULES, decide } from "./admission/admission.ts";
export type { Admission, Admitted, Refused } from "./admission/admission.ts";
export { openRules, rulesPath } from "./admission/open.ts";
export type { RulesSource } from "./admission/open.ts";
export { compileDirectory } from "./directory/to-cdb.ts";
export type { CompileOptions } from "./directory/to-cdb.ts";
export { unpackCdb } from "./directory/from-cdb.ts";
export { explainFailure } from "./failure.ts";
export type { RulesFailure } from "./failure.ts";
export { RulesProblem } from "./lookup/problem.ts";
export { TcpRulesCompiler } from "./tcprules/compile.ts";
export type { RulesFormat } from "./tcprules/compile.ts";
export { RuleLineError } from "./tcprules/line.ts";
export { certificateOf, checkDjbRules, checkS6Rules, detectRulesFormat } from "./tcprules/check.ts";
export type { DjbVerdict, RemoteClient } from "./tcprules/check.ts";
export { lintCdb } from "./lint/cdb.ts";
export { lintDirectory } from "./lint/directory.ts";
export type { Finding, FindingCode } from "./lint/finding.ts";
