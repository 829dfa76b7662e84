/** The texts for errors of a handshake or a connection: a few words, never OpenSSL's own line. */

/** The alerts of RFC 8446, section 6, RFC 5246, section 7.2, and their extensions. */
const ALERTS: ReadonlyMap<number, string> = new Map([
  [0, "close_notify"],
  [10, "unexpected_message"],
  [20, "bad_record_mac"],
  [21, "decryption_failed"],
  [22, "record_overflow"],
  [30, "decompression_failure"],
  [40, "handshake_failure"],
  [42, "bad_certificate"],
  [43, "unsupported_certificate"],
  [44, "certificate_revoked"],
  [45, "certificate_expired"],
  [46, "certificate_unknown"],
  [47, "illegal_parameter"],
  [48, "unknown_ca"],
  [49, "access_denied"],
  [50, "decode_error"],
  [51, "decrypt_error"],
  [70, "protocol_version"],
  [71, "insufficient_security"],
  [80, "internal_error"],
  [86, "inappropriate_fallback"],
  [90, "user_canceled"],
  [100, "no_renegotiation"],
  [109, "missing_extension"],
  [110, "unsupported_extension"],
  [111, "certificate_unobtainable"],
  [112, "unrecognized_name"],
  [113, "bad_certificate_status_response"],
  [115, "unknown_psk_identity"],
  [116, "certificate_required"],
  [120, "no_application_protocol"],
]);

/** The reasons why a chain of certificates is not trusted, by OpenSSL's X509_V_ERR_ names. */
const UNTRUSTED: ReadonlyMap<string, string> = new Map([
  ["CERT_HAS_EXPIRED", "it has expired"],
  ["CERT_NOT_YET_VALID", "it is not valid yet"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "it is signed by itself and not an anchor"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "its root is not an anchor"],
  ["UNABLE_TO_GET_ISSUER_CERT", "its issuer is not known"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "its issuer is not known"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "its issuer is not known"],
  ["INVALID_PURPOSE", "it is for another purpose"],
  ["INVALID_CA", "an issuer in its chain is no authority"],
  ["CERT_SIGNATURE_FAILURE", "a signature in its chain is wrong"],
]);

/** `SSL alert number 48` in the text of an error that an alert of the peer's caused. */
const ALERT_NUMBER = /SSL alert number (\d+)/;
/** OpenSSL's own line: error:CODE:LIBRARY:FUNCTION:REASON and what Node puts behind. */
const OPENSSL_LINE = /error:[0-9A-F]+:[^:]*:[^:]*:([^:\n]*)/i;
const DETAIL_LENGTH_MAX = 200;

/**
 * @example
 * describeTlsError(error); // "the peer sent the alert unknown_ca", "wrong version number"
 */
export function describeTlsError(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  const alert = ALERT_NUMBER.exec(error.message)?.[1];
  if (alert !== undefined) {
    return `the peer sent the alert ${ALERTS.get(Number(alert)) ?? alert}`;
  }
  const { reason, code } = error as { reason?: unknown; code?: unknown };
  if (typeof reason === "string" && reason !== "") return oneLine(reason);
  if (code === "ECONNRESET") return "the peer closed the connection";
  return oneLine(OPENSSL_LINE.exec(error.message)?.[1] ?? error.message);
}

/** The reason why a certificate is not trusted, from OpenSSL's name or text for it. */
export function describeUntrusted(code: string): string {
  return UNTRUSTED.get(code) ?? oneLine(code.toLowerCase().replaceAll("_", " "));
}

function oneLine(text: string): string {
  return text
    .replaceAll(/\p{Cc}+/gu, " ")
    .slice(0, DETAIL_LENGTH_MAX)
    .trim();
}
