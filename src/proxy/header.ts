/**
 * The content of a PROXY header, whichever version carried it, and the constants of both versions. Clauses
 * are those of "The PROXY protocol, versions 1 & 2" (doc/proxy-protocol.txt of HAProxy).
 */

import type { Endpoint } from "../net/index.ts";
import type { Tlvs } from "./tlv.ts";

/** Address family (high nibble) and transport (low nibble): byte 14 of a v2 header (section 2.2). */
export const FAMILY = {
  unspecified: 0x00,
  tcp4: 0x11,
  udp4: 0x12,
  tcp6: 0x21,
  udp6: 0x22,
  unixStream: 0x31,
  unixDatagram: 0x32,
} as const;

export type IpTransport = "tcp4" | "udp4" | "tcp6" | "udp6";
export type UnixTransport = "unixStream" | "unixDatagram";

/** A connection between two addresses. */
export interface ProxiedIp {
  readonly command: "proxy";
  readonly family: IpTransport;
  /** The client's end, and the end that it connected to. Both of the family that `family` names. */
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly tlvs: Tlvs;
}

/** A connection between two Unix sockets: their paths as `decodeBytes` gives them, "" if unnamed. */
export interface ProxiedUnix {
  readonly command: "proxy";
  readonly family: UnixTransport;
  readonly source: string;
  readonly destination: string;
  readonly tlvs: Tlvs;
}

/** The content of a PROXY header. Only v2 can carry all of it. */
export type ProxyHeader =
  | ProxiedIp
  | ProxiedUnix
  /** A connection that the sender cannot describe (v1 UNKNOWN): the real addresses count. */
  | { readonly command: "proxy"; readonly family: "unspecified" }
  /** The sender's own connection, a health check for instance: the real addresses count. */
  | { readonly command: "local" };

/** The form of a header: 1 is text, 2 is binary. */
export type ProxyVersion = 1 | 2;

/** The state of reading a header. */
export type Progress =
  /**
   * All bytes so far belong to a header, and so will the next `bytesWanted`: who reads no more than
   * that takes nothing of what follows.
   */
  | { readonly kind: "more"; readonly bytesWanted: number }
  | { readonly kind: "done"; readonly header: ProxyHeader; readonly bytesUsed: number }
  /** This is no header, whatever follows. */
  | { readonly kind: "invalid"; readonly why: string };

/** The start of a v1 header (section 2.1). */
export const PROXY_V1_PREFIX: Uint8Array = Buffer.from("PROXY ");

/** The longest v1 header, CRLF included (section 2.1). */
export const PROXY_V1_BYTES_MAX = 107;

/** The shortest v1 header: `PROXY UNKNOWN\r\n`. */
export const PROXY_V1_BYTES_MIN = 15;

/** The start of a v2 header (section 2.2). */
export const PROXY_V2_SIGNATURE: Uint8Array = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** Signature, version and command, family, length: what every v2 header begins with. */
export const PROXY_V2_PREFIX_BYTES = 16;

/** The longest v2 header. */
export const PROXY_V2_BYTES_MAX = PROXY_V2_PREFIX_BYTES + 0xffff;

/** Version (high nibble) and command (low nibble): byte 12 of a v2 header. */
export const V2_COMMAND = { local: 0x20, proxy: 0x21 } as const;

/** A path in the address block of a Unix family, NUL-padded. */
export const UNIX_PATH_BYTES = 108;

/** The length of the address block by family: unspecified, IPv4, IPv6, Unix. */
export const ADDRESS_BYTES = [0, 12, 36, 2 * UNIX_PATH_BYTES] as const;

export const LOCAL_HEADER: ProxyHeader = { command: "local" };
export const UNSPECIFIED_HEADER: ProxyHeader = { command: "proxy", family: "unspecified" };

export function isUnix(header: ProxiedIp | ProxiedUnix): header is ProxiedUnix {
  return header.family === "unixStream" || header.family === "unixDatagram";
}

export function done(header: ProxyHeader, bytesUsed: number): Progress {
  return { kind: "done", header, bytesUsed };
}

export function invalid(why: string): Progress {
  return { kind: "invalid", why };
}

/** Do the bytes that have come agree with this start? */
export function isPrefixOf(start: Uint8Array, buffered: Uint8Array): boolean {
  const length = Math.min(start.length, buffered.length);
  for (let at = 0; at < length; at += 1) if (buffered[at] !== start[at]) return false;
  return true;
}
