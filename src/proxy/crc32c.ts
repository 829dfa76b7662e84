/** CRC-32C, the checksum of iSCSI (RFC 3720 appendix B.4), which a v2 header may carry. */

/** The Castagnoli polynomial, bits reversed. */
const POLYNOMIAL = 0x82f6_3b78;

/**
 * Changes that a byte makes to the register, on its own and with one, two or three bytes behind it: with four
 * tables the register advances by four bytes at a time.
 */
const [ALONE, BEFORE_1, BEFORE_2, BEFORE_3] = makeTables();

function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const alone = Int32Array.from({ length: 256 }, (_, byte) => {
    let register = byte;
    for (let bit = 0; bit < 8; bit += 1) {
      register = (register & 1) === 0 ? register >>> 1 : (register >>> 1) ^ POLYNOMIAL;
    }
    return register;
  });
  const shifted = (table: Int32Array): Int32Array =>
    table.map((register) => (register >>> 8) ^ (alone[register & 0xff] ?? 0));
  const before1 = shifted(alone);
  const before2 = shifted(before1);
  return [alone, before1, before2, shifted(before2)];
}

const ZEROS = new Uint8Array(4);

/**
 * The checksum of bytes, 0 to 2^32 - 1, as if the four from `zeroedAt` on were zero: a header's own
 * checksum is computed that way.
 */
export function crc32c(bytes: Uint8Array, zeroedAt = bytes.length): number {
  if (zeroedAt === bytes.length) return ~advance(-1, bytes, 0, bytes.length) >>> 0;
  const before = advance(-1, bytes, 0, zeroedAt);
  const zeroed = advance(before, ZEROS, 0, ZEROS.length);
  return ~advance(zeroed, bytes, zeroedAt + ZEROS.length, bytes.length) >>> 0;
}

/** The register after some bytes. */
function advance(register: number, bytes: Uint8Array, from: number, to: number): number {
  let after = register;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    after ^= valueAt(bytes, at) | (valueAt(bytes, at + 1) << 8);
    after ^= (valueAt(bytes, at + 2) << 16) | (valueAt(bytes, at + 3) << 24);
    after =
      valueAt(BEFORE_3, after & 0xff) ^
      valueAt(BEFORE_2, (after >>> 8) & 0xff) ^
      valueAt(BEFORE_1, (after >>> 16) & 0xff) ^
      valueAt(ALONE, after >>> 24);
  }
  for (; at < to; at += 1) {
    after = valueAt(ALONE, (after ^ valueAt(bytes, at)) & 0xff) ^ (after >>> 8);
  }
  return after;
}

function valueAt(values: Uint8Array | Int32Array, at: number): number {
  return values[at] ?? 0;
}
