export {
  describeCertificate,
  describeCertificates,
  fingerprintOf,
  formatDescription,
} from "./describe.ts";
export type { CertificateDescription } from "./describe.ts";
export {
  AUTHORITY_DAYS,
  DAYS_MAX,
  issueClientCertificate,
  issueServerCertificate,
  LEAF_DAYS,
  makeAuthority,
  serverNamesOf,
} from "./issue.ts";
export type { AuthorityOptions, CertifiedKey, CertTools, IssueOptions } from "./issue.ts";
export { KEY_TYPES } from "./keys.ts";
export type { KeyType } from "./keys.ts";
export { fileNameOf, parseClientName, parseServerName } from "./names.ts";
export type { ServerName, ClientName } from "./names.ts";
export { parseCertificates } from "./pem.ts";
export { importPkcs12, PKCS12_BYTES_MAX, PKCS12_ITERATIONS_MAX } from "./pkcs12.ts";
export type { Pkcs12Content } from "./pkcs12.ts";
export { CertProblem, explainCertFailure } from "./problem.ts";
export {
  AUTHORITY,
  CERT_FILE_BYTES_MAX,
  certFiles,
  readBounded,
  readCertified,
  refuseExisting,
  writeCertified,
} from "./store.ts";
export type { CertFiles, WriteOptions } from "./store.ts";
