/**
 * The type-length-value vectors behind the addresses of a v2 header (section 2.2), as they are on the
 * wire. What the known ones mean is in extensions.ts.
 */

/** Types of vectors (section 2.2 and its subsections; the last three by registration). */
export const TLV = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  netns: 0x30,
  gcp: 0xe0,
  aws: 0xea,
  azure: 0xee,
} as const;

/** Types of vectors inside the one of type `ssl` (section 2.2.6). */
export const SSL_TLV = {
  version: 0x21,
  commonName: 0x22,
  cipher: 0x23,
  signatureAlgorithm: 0x24,
  keyAlgorithm: 0x25,
} as const;

/** The client and verify fields in front of the vectors of an SSL vector. */
export const SSL_HEAD_BYTES = 5;

/** The bit of the client field that says the client connected over TLS. */
export const SSL_CLIENT_TLS = 0x01;

/** The value of a checksum, in network order (section 2.2.3). */
export const CRC32C_BYTES = 4;

/** Type and length. */
const TLV_HEAD_BYTES = 3;
const TLV_VALUE_BYTES_MAX = 0xffff;

export interface Tlv {
  /** 0 to 255. */
  readonly type: number;
  readonly value: Uint8Array;
}

/** The vectors of a header in their order: bytes that are known to be well formed, read on demand. */
export class Tlvs implements Iterable<Tlv> {
  static readonly none: Tlvs = new Tlvs(new Uint8Array(0));

  readonly bytes: Uint8Array;

  /** @param bytes well-formed vectors, as `findTlvProblem` sees to; they are not copied. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Throws RangeError for a type that is no byte and a value of more than 65535 bytes. */
  static of(tlvs: Iterable<Tlv>): Tlvs {
    const parts = Array.from(tlvs, ({ type, value }) => {
      if (type < 0 || type > 0xff || value.length > TLV_VALUE_BYTES_MAX) {
        throw new RangeError(`Cannot format a TLV of type ${type} with ${value.length} bytes`);
      }
      return [Uint8Array.of(type, value.length >> 8, value.length), value];
    });
    return new Tlvs(Buffer.concat(parts.flat()));
  }

  /** The value of the last vector of a type: views of the header's bytes, as are those of iterating. */
  get(type: number): Uint8Array | undefined {
    let found = -1;
    for (let at = 0; at < this.bytes.length; at = tlvEnd(this.bytes, at)) {
      if (this.bytes[at] === type) found = at;
    }
    return found < 0 ? undefined : valueAt(this.bytes, found);
  }

  *[Symbol.iterator](): Iterator<Tlv> {
    for (let at = 0; at < this.bytes.length; at = tlvEnd(this.bytes, at)) {
      yield { type: this.bytes[at] ?? 0, value: valueAt(this.bytes, at) };
    }
  }
}

/**
 * The fault in the vectors of a header, those inside an SSL vector included: one that overruns the
 * rest, or one in a place where its type is invalid. Undefined if there is none. Allocates nothing.
 */
export function findTlvProblem(bytes: Uint8Array, from: number, to: number): string | undefined {
  for (let at = from; at < to; at = tlvEnd(bytes, at)) {
    if (at + TLV_HEAD_BYTES > to || tlvEnd(bytes, at) > to) {
      return "invalid TLV encoding in extension";
    }
    const type = bytes[at] ?? 0;
    if (type >= SSL_TLV.version && type <= SSL_TLV.cipher) return "invalid main extension type";
    if (type === TLV.crc32c && tlvEnd(bytes, at) !== at + TLV_HEAD_BYTES + CRC32C_BYTES) {
      return "invalid checksum length";
    }
    const problem = type === TLV.ssl ? findSslProblem(bytes, at) : undefined;
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The offset of the value of the first checksum among well-formed vectors; undefined without one. */
export function findChecksum(bytes: Uint8Array, from: number, to: number): number | undefined {
  for (let at = from; at < to; at = tlvEnd(bytes, at)) {
    if (bytes[at] === TLV.crc32c) return at + TLV_HEAD_BYTES;
  }
  return undefined;
}

/** The vectors of an SSL vector mean something only if the client used TLS. */
function findSslProblem(bytes: Uint8Array, head: number): string | undefined {
  const from = head + TLV_HEAD_BYTES;
  const to = tlvEnd(bytes, head);
  if (to - from < SSL_HEAD_BYTES) return "invalid sub-TLV encoding in SSL extension";
  if (((bytes[from] ?? 0) & SSL_CLIENT_TLS) === 0) return undefined;
  for (let at = from + SSL_HEAD_BYTES; at < to; at = tlvEnd(bytes, at)) {
    if (at + TLV_HEAD_BYTES > to || tlvEnd(bytes, at) > to) {
      return "invalid TLV encoding in sub-extension";
    }
    if (bytes[at] === TLV.authority) return "invalid sub-extension type";
  }
  return undefined;
}

function tlvEnd(bytes: Uint8Array, at: number): number {
  return at + TLV_HEAD_BYTES + (((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0));
}

function valueAt(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + TLV_HEAD_BYTES, tlvEnd(bytes, at));
}
