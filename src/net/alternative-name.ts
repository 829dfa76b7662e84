/** One subject alternative name of a certificate (RFC 5280, section 4.2.1.6), of a kind that we know. */
export interface AlternativeName {
  readonly kind: "dns" | "email" | "uri" | "ip";
  /** An address as we always write it; everything else as it stands in the certificate. */
  readonly value: string;
}
