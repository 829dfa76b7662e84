/** Writing a header of either version. */

import { formatIp } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { encodeBytes } from "../posix/index.ts";
import { crc32c } from "./crc32c.ts";
import {
  FAMILY,
  isUnix,
  PROXY_V2_BYTES_MAX,
  PROXY_V2_SIGNATURE,
  UNIX_PATH_BYTES,
  V2_COMMAND,
} from "./header.ts";
import type { ProxiedIp, ProxiedUnix, ProxyHeader, ProxyVersion } from "./header.ts";
import { CRC32C_BYTES, TLV, Tlvs } from "./tlv.ts";

export interface ProxyFormat {
  readonly version: ProxyVersion;
  /** End a v2 header that announces addresses with a TLV that holds its CRC32C. */
  readonly checksum?: boolean;
}

/**
 * The bytes of a header. What version 1 has no words for (datagrams, Unix sockets, a local connection)
 * becomes `PROXY UNKNOWN`, and it drops TLVs. Checksums among the TLVs, which were those of other bytes,
 * are left out. Throws RangeError for addresses of another family than `family` says, a Unix path of more
 * than 108 bytes, and TLVs that are too long together.
 *
 * @example
 * const header: ProxyHeader = {
 *   command: "proxy",
 *   family: "tcp4",
 *   source: { address: ip4FromNumber(0xc0000207), port: 49152 },
 *   destination: { address: ip4FromNumber(0xc0000201), port: 80 },
 *   tlvs: formatExtensions({ authority: "www.example.com" }),
 * };
 * socket.write(formatProxy(header, { version: 2, checksum: true }));
 */
export function formatProxy(header: ProxyHeader, format: ProxyFormat): Uint8Array {
  if (format.version === 1) return Buffer.from(formatLine(header));
  if (header.command === "local") return joinHeader(V2_COMMAND.local, FAMILY.unspecified, []);
  if (header.family === "unspecified") {
    return joinHeader(V2_COMMAND.proxy, FAMILY.unspecified, []);
  }
  const tlvs = Tlvs.of([...header.tlvs].filter(({ type }) => type !== TLV.crc32c));
  const body = [...addressParts(header), tlvs.bytes];
  if (format.checksum !== true) return joinHeader(V2_COMMAND.proxy, FAMILY[header.family], body);
  const unsigned = [...body, NO_CHECKSUM.bytes];
  const bytes = joinHeader(V2_COMMAND.proxy, FAMILY[header.family], unsigned);
  bytes.writeUInt32BE(crc32c(bytes), bytes.length - CRC32C_BYTES);
  return bytes;
}

const NO_CHECKSUM = Tlvs.of([{ type: TLV.crc32c, value: new Uint8Array(CRC32C_BYTES) }]);

function formatLine(header: ProxyHeader): string {
  if (header.command === "local") return "PROXY UNKNOWN\r\n";
  if (header.family !== "tcp4" && header.family !== "tcp6") return "PROXY UNKNOWN\r\n";
  checkFamily(header);
  const { family, source, destination } = header;
  const ips = `${formatIp(source.address)} ${formatIp(destination.address)}`;
  return `PROXY ${family.toUpperCase()} ${ips} ${source.port} ${destination.port}\r\n`;
}

function joinHeader(command: number, family: number, body: readonly Uint8Array[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const prefix = Uint8Array.of(command, family, length >> 8, length);
  const bytes = Buffer.concat([PROXY_V2_SIGNATURE, prefix, ...body]);
  if (bytes.length <= PROXY_V2_BYTES_MAX) return bytes;
  throw new RangeError(`Cannot format a PROXY header of ${bytes.length} bytes`);
}

function addressParts(header: ProxiedIp | ProxiedUnix): readonly Uint8Array[] {
  if (isUnix(header)) return [formatPath(header.source), formatPath(header.destination)];
  checkFamily(header);
  const { source, destination } = header;
  return [source.address.bytes, destination.address.bytes, formatPorts(source, destination)];
}

function checkFamily({ family, source, destination }: ProxiedIp): void {
  const wanted = family.endsWith("4") ? 4 : 6;
  if (source.address.family === wanted && destination.address.family === wanted) return;
  throw new RangeError(`Cannot format a PROXY header of family ${family} with other addresses`);
}

function formatPorts(source: Endpoint, destination: Endpoint): Uint8Array {
  return Uint8Array.of(source.port >> 8, source.port, destination.port >> 8, destination.port);
}

function formatPath(path: string): Uint8Array {
  const bytes = encodeBytes(path);
  if (bytes.length > UNIX_PATH_BYTES) {
    throw new RangeError(`Cannot format a PROXY header with a path of ${bytes.length} bytes`);
  }
  return Buffer.concat([bytes], UNIX_PATH_BYTES);
}
