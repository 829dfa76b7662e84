/** PEM (RFC 7468, and the headers of RFC 1421 in encrypted keys): the blocks of a file, and back. */

/** One block. Text between blocks is no part of any. */
export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`. */
  readonly label: string;
  readonly der: Buffer;
  /** By a `Proc-Type: 4,ENCRYPTED` header, the way of OpenSSL's traditional keys. */
  readonly isEncrypted: boolean;
  /** Does it lack its last line, or is it not base64? Then `der` is not what was meant. */
  readonly isDamaged: boolean;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*(?:-[A-Za-z0-9][^-]*)*)(-----END \1-----)?/g;
const HEADERS = /^\s*(?:[A-Za-z0-9-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+\s*/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The blocks of a text in their order. */
export function parsePem(text: string): PemBlock[] {
  return Array.from(text.matchAll(BLOCK), ([, label = "", body = "", end]) => {
    const headers = HEADERS.exec(body)?.[0] ?? "";
    const base64 = body.slice(headers.length).replaceAll(/\s+/g, "");
    const der = Buffer.from(base64, "base64");
    return {
      label,
      der,
      isEncrypted: /^Proc-Type:[ \t]*4,ENCRYPTED/m.test(headers),
      isDamaged:
        end === undefined || der.length === 0 || base64.length % 4 !== 0 || !BASE64.test(base64),
    };
  });
}

/** Is this PEM at all, or is it DER? */
export function isPem(bytes: Buffer): boolean {
  return bytes.includes("-----BEGIN ");
}

/** One block as text. */
export function formatPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}
