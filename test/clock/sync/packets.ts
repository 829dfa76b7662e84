/** Answers of time servers, valid unless a test says otherwise. */

/** The fields of an SNTP answer. */
export interface SntpFields {
  readonly leap: number;
  readonly version: number;
  readonly mode: number;
  readonly stratum: number;
  readonly referenceId: string;
  readonly origin: Uint8Array;
  readonly receive: bigint;
  readonly transmit: bigint;
  readonly length: number;
}

export const NONCE = Buffer.from("0123456789abcdef", "hex");

/** 2023-11-14 22:13:20.5 */
export const SOME_STAMP = 0xe8fe6f8080000000n;

export function sntpAnswer(fields: Partial<SntpFields> = {}): Buffer {
  const { leap = 0, version = 4, mode = 4, stratum = 2, referenceId = "" } = fields;
  const { origin = NONCE, receive = SOME_STAMP, transmit = SOME_STAMP, length = 48 } = fields;
  const packet = Buffer.alloc(Math.max(length, 48));
  packet.writeUInt8((leap << 6) | (version << 3) | mode, 0);
  packet.writeUInt8(stratum, 1);
  packet.write(referenceId, 12, "latin1");
  packet.set(origin, 24);
  packet.writeBigUInt64BE(receive, 32);
  packet.writeBigUInt64BE(transmit, 40);
  return packet.subarray(0, length);
}

/** The transmit timestamp of a request, which an answer has as its origin. */
export function nonceOf(request: Uint8Array): Uint8Array {
  return request.subarray(40, 48);
}
