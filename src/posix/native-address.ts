/**
 * Socket addresses on their way to and from C: four arguments in one direction, records of fixed
 * size in one buffer (write_address_record in native/sockets.c) in the other.
 */
import { decodeBytes, encodeBytes } from "./bytes.ts";
import type { SocketAddress } from "./socket-address.ts";

/** Family (0 none, 1 Unix, 4, 6), bytes, port and scope of an address. */
export type AddressParts = readonly [
  family: number,
  bytes: Uint8Array,
  port: number,
  scope: number,
];

const RECORD_BYTES = 128;
const RECORD_INTS = RECORD_BYTES / 4;
const HEADER_BYTES = 20;

const FAMILY = { unix: 1, inet: 4, inet6: 6 } as const;

/** The arguments that stand for an address in calls to the addon. */
export function addressParts(address: SocketAddress): AddressParts {
  if (address.family === "unix") return [FAMILY.unix, encodeBytes(address.path), 0, 0];
  return [FAMILY[address.family], address.bytes, address.port, address.scope];
}

/** The number that stands for a family in calls to the addon. */
export function familyNumber(family: SocketAddress["family"]): number {
  return FAMILY[family];
}

/** Room for records of descriptor and address, filled by C and read here before the next call. */
export class AddressRecords {
  readonly bytes: Uint8Array;
  readonly #ints: Int32Array;

  constructor(count: number) {
    this.bytes = new Uint8Array(count * RECORD_BYTES);
    this.#ints = new Int32Array(this.bytes.buffer);
  }

  get capacity(): number {
    return this.bytes.length / RECORD_BYTES;
  }

  fd(index: number): number {
    return this.#ints[index * RECORD_INTS] ?? -1;
  }

  address(index: number): SocketAddress {
    const at = index * RECORD_INTS;
    const family = this.#ints[at + 1];
    const start = index * RECORD_BYTES + HEADER_BYTES;
    const bytes = this.bytes.slice(start, start + (this.#ints[at + 4] ?? 0));
    if (family !== FAMILY.inet && family !== FAMILY.inet6) {
      return { family: "unix", path: decodeBytes(bytes) };
    }
    return {
      family: family === FAMILY.inet ? "inet" : "inet6",
      bytes,
      port: this.#ints[at + 2] ?? 0,
      scope: (this.#ints[at + 3] ?? 0) >>> 0,
    };
  }
}
