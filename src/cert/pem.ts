/** Files of certificates: PEM (RFC 7468) with any text around it, or one certificate in DER. */

import { X509Certificate } from "node:crypto";
import { CertProblem } from "./problem.ts";

/** The longest chain that is read. */
const CERTIFICATES_MAX = 100;

const BLOCK =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** The certificates in a file, in their order, at least one. Throws CertProblem naming `source`. */
export function parseCertificates(
  bytes: Uint8Array,
  source: string,
): readonly [X509Certificate, ...X509Certificate[]] {
  const text = Buffer.from(bytes).toString("latin1");
  const blocks: readonly (string | Uint8Array)[] = text.match(BLOCK) ?? derIn(bytes);
  if (blocks.length > CERTIFICATES_MAX) {
    throw new CertProblem("input", `${source}: more than ${CERTIFICATES_MAX} certificates`);
  }
  const [first, ...others] = blocks.map((block) => parseCertificate(block, source));
  if (first === undefined) throw new CertProblem("input", `${source}: no certificate in it`);
  return [first, ...others];
}

/** PEM of certificates one after the other. */
export function formatCertificates(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => certificate.toString()).join("");
}

/** DER of a certificate begins with a SEQUENCE. */
function derIn(bytes: Uint8Array): readonly Uint8Array[] {
  return bytes[0] === 0x30 ? [bytes] : [];
}

function parseCertificate(block: string | Uint8Array, source: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (error) {
    throw new CertProblem("input", `${source}: not a certificate`, { cause: error });
  }
}
