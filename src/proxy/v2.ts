/**
 * Version 2, the binary form (section 2.2): a signature, commands, a length, addresses, vectors. Reading
 * is incremental and stops at the first byte that cannot be; it allocates the same for every header,
 * however long. A header's bytes decide its meaning alone: the following bytes are not read.
 */

import { ipFromBytes } from "../net/index.ts";
import type { IpAddress } from "../net/index.ts";
import { decodeBytes } from "../posix/index.ts";
import { crc32c } from "./crc32c.ts";
import {
  ADDRESS_BYTES,
  done,
  FAMILY,
  invalid,
  isPrefixOf,
  LOCAL_HEADER,
  PROXY_V2_PREFIX_BYTES,
  PROXY_V2_SIGNATURE,
  UNIX_PATH_BYTES,
  UNSPECIFIED_HEADER,
  V2_COMMAND,
} from "./header.ts";
import type { IpTransport, Progress, ProxyHeader, UnixTransport } from "./header.ts";
import { findChecksum, findTlvProblem, Tlvs } from "./tlv.ts";

/** The offsets of the fields of the prefix. */
const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;

/** The result of the bytes received so far. */
export function readProxyV2(buffered: Uint8Array): Progress {
  const problem = findPrefixProblem(buffered);
  if (problem !== undefined) return invalid(problem);
  const missing = PROXY_V2_PREFIX_BYTES - buffered.length;
  if (missing > 0) return { kind: "more", bytesWanted: missing };
  const bytesUsed = PROXY_V2_PREFIX_BYTES + bodyLength(buffered);
  if (buffered.length < bytesUsed) {
    return { kind: "more", bytesWanted: bytesUsed - buffered.length };
  }
  return readWhole(buffered, bytesUsed);
}

/** The first thing wrong with as much of the prefix as has come. */
function findPrefixProblem(buffered: Uint8Array): string | undefined {
  if (!isPrefixOf(PROXY_V2_SIGNATURE, buffered)) return "invalid magic";
  if (buffered.length <= COMMAND_AT) return undefined;
  const command = buffered[COMMAND_AT] ?? 0;
  if (command >> 4 !== 2) return "invalid version";
  if (command > V2_COMMAND.proxy) return "invalid command";
  // Of a local connection the whole block is to be skipped, its family included.
  if (command === V2_COMMAND.local || buffered.length <= FAMILY_AT) return undefined;
  const family = buffered[FAMILY_AT] ?? 0;
  if (family >> 4 > FAMILY.unixStream >> 4) return "invalid family";
  if (isUnspecified(family)) return undefined;
  if ((family & 0xf) > (FAMILY.udp4 & 0xf)) return "invalid transport protocol";
  if (buffered.length < PROXY_V2_PREFIX_BYTES) return undefined;
  return bodyLength(buffered) < addressBytes(family) ? "invalid address length" : undefined;
}

function readWhole(bytes: Uint8Array, end: number): Progress {
  const family = bytes[FAMILY_AT] ?? 0;
  if (bytes[COMMAND_AT] === V2_COMMAND.local) return done(LOCAL_HEADER, end);
  if (isUnspecified(family)) return done(UNSPECIFIED_HEADER, end);
  const tlvsAt = PROXY_V2_PREFIX_BYTES + addressBytes(family);
  const problem = findTlvProblem(bytes, tlvsAt, end);
  if (problem !== undefined) return invalid(problem);
  if (!hasSoundChecksum(bytes, tlvsAt, end)) return invalid("invalid checksum");
  const tlvs = tlvsAt === end ? Tlvs.none : new Tlvs(bytes.subarray(tlvsAt, end));
  return done(readAddresses(bytes, family, tlvs), end);
}

function readAddresses(bytes: Uint8Array, family: number, tlvs: Tlvs): ProxyHeader {
  switch (family) {
    case FAMILY.tcp4:
      return readIps(bytes, "tcp4", 4, tlvs);
    case FAMILY.udp4:
      return readIps(bytes, "udp4", 4, tlvs);
    case FAMILY.tcp6:
      return readIps(bytes, "tcp6", 16, tlvs);
    case FAMILY.udp6:
      return readIps(bytes, "udp6", 16, tlvs);
    default:
      return readPaths(bytes, family === FAMILY.unixStream ? "unixStream" : "unixDatagram", tlvs);
  }
}

function readIps(
  bytes: Uint8Array,
  family: IpTransport,
  addressLength: 4 | 16,
  tlvs: Tlvs,
): ProxyHeader {
  const sourceAt = PROXY_V2_PREFIX_BYTES;
  const destinationAt = sourceAt + addressLength;
  const portsAt = destinationAt + addressLength;
  return {
    command: "proxy",
    family,
    source: {
      address: copyIp(bytes, sourceAt, addressLength),
      port: uint16At(bytes, portsAt),
    },
    destination: {
      address: copyIp(bytes, destinationAt, addressLength),
      port: uint16At(bytes, portsAt + 2),
    },
    tlvs,
  };
}

function readPaths(bytes: Uint8Array, family: UnixTransport, tlvs: Tlvs): ProxyHeader {
  const destinationAt = PROXY_V2_PREFIX_BYTES + UNIX_PATH_BYTES;
  return {
    command: "proxy",
    family,
    source: pathAt(bytes, PROXY_V2_PREFIX_BYTES),
    destination: pathAt(bytes, destinationAt),
    tlvs,
  };
}

/** A path, which ends at its first NUL if it has one. */
function pathAt(bytes: Uint8Array, at: number): string {
  const field = bytes.subarray(at, at + UNIX_PATH_BYTES);
  const nul = field.indexOf(0);
  return decodeBytes(nul < 0 ? field : field.subarray(0, nul));
}

/** An address with bytes of its own: it may be kept when the header's are gone. */
function copyIp(bytes: Uint8Array, at: number, length: 4 | 16): IpAddress {
  const copy = new Uint8Array(length);
  for (let index = 0; index < length; index += 1) copy[index] = bytes[at + index] ?? 0;
  return ipFromBytes(copy);
}

function hasSoundChecksum(bytes: Uint8Array, tlvsAt: number, end: number): boolean {
  const at = findChecksum(bytes, tlvsAt, end);
  if (at === undefined) return true;
  const stated = uint16At(bytes, at) * 0x10000 + uint16At(bytes, at + 2);
  return stated === crc32c(bytes.subarray(0, end), at);
}

/** No family, or no transport: nothing that could be announced. */
function isUnspecified(family: number): boolean {
  return family >> 4 === 0 || (family & 0xf) === 0;
}

function addressBytes(family: number): number {
  return ADDRESS_BYTES[family >> 4] ?? 0;
}

function bodyLength(bytes: Uint8Array): number {
  return uint16At(bytes, LENGTH_AT);
}

function uint16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
