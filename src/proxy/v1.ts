/**
 * Version 1, the text form (section 2.1): `PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n`. Stricter than
 * the C suite in one point: the words are separated by single blanks, the first two as well.
 */

import { parseIp4, parseIp6, parsePort } from "../net/index.ts";
import type { IpAddress } from "../net/index.ts";
import {
  done,
  invalid,
  isPrefixOf,
  PROXY_V1_BYTES_MAX,
  PROXY_V1_BYTES_MIN,
  PROXY_V1_PREFIX,
  UNSPECIFIED_HEADER,
} from "./header.ts";
import type { Progress, ProxyHeader } from "./header.ts";
import { Tlvs } from "./tlv.ts";

const LF = 0x0a;
const CR = 0x0d;

/** The result of the bytes received so far. */
export function readProxyV1(buffered: Uint8Array): Progress {
  if (!isPrefixOf(PROXY_V1_PREFIX, buffered)) return invalid("invalid magic");
  const newline = indexOfNewline(buffered);
  if (newline >= 0) {
    if (buffered[newline - 1] !== CR) return invalid("invalid PROXY line");
    const header = parseLine(latin1(buffered, newline - 1));
    return typeof header === "string" ? invalid(header) : done(header, newline + 1);
  }
  if (buffered.length >= PROXY_V1_BYTES_MAX) return invalid("PROXY line too long");
  return { kind: "more", bytesWanted: Math.max(PROXY_V1_BYTES_MIN - buffered.length, 1) };
}

/** The end of the first line, as far as a header may be long; -1 if there is none. */
function indexOfNewline(buffered: Uint8Array): number {
  const length = Math.min(buffered.length, PROXY_V1_BYTES_MAX);
  for (let at = PROXY_V1_PREFIX.length; at < length; at += 1) if (buffered[at] === LF) return at;
  return -1;
}

function latin1(bytes: Uint8Array, end: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, end);
  return buffer.toString("latin1", 0, end);
}

/** The offset of the second word of a line. */
const PROTOCOL_AT = PROXY_V1_PREFIX.length;

/** The header that a line without its CRLF is, or what is wrong with it. */
function parseLine(line: string): ProxyHeader | string {
  if (line.startsWith("TCP4 ", PROTOCOL_AT)) return parseEnds("tcp4", line, parseIp4);
  if (line.startsWith("TCP6 ", PROTOCOL_AT)) return parseEnds("tcp6", line, parseIp6);
  // The rest of a line behind UNKNOWN is to be ignored, whatever it is.
  if (`${line} `.startsWith("UNKNOWN ", PROTOCOL_AT)) return UNSPECIFIED_HEADER;
  return "invalid protocol in PROXY line";
}

/** The offsets of both addresses and both ports. */
const ENDS_AT = PROTOCOL_AT + "TCP4 ".length;

/** Both addresses and both ports. This is called for each connection: it walks, and makes no list. */
function parseEnds(
  family: "tcp4" | "tcp6",
  line: string,
  parse: (text: string) => IpAddress | undefined,
): ProxyHeader | string {
  const sourceEnd = line.indexOf(" ", ENDS_AT);
  const destinationEnd = sourceEnd < 0 ? -1 : line.indexOf(" ", sourceEnd + 1);
  const portEnd = destinationEnd < 0 ? -1 : line.indexOf(" ", destinationEnd + 1);
  if (portEnd < 0) return "invalid PROXY line";
  const sourceIp = parse(line.slice(ENDS_AT, sourceEnd));
  if (sourceIp === undefined) return "invalid remote ip in PROXY line";
  const destinationIp = parse(line.slice(sourceEnd + 1, destinationEnd));
  if (destinationIp === undefined) return "invalid local ip in PROXY line";
  const sourcePort = parsePort(line.slice(destinationEnd + 1, portEnd));
  if (sourcePort === undefined) return "invalid remote port in PROXY line";
  const destinationPort = parsePort(line.slice(portEnd + 1));
  if (destinationPort === undefined) return "invalid local port in PROXY line";
  const source = { address: sourceIp, port: sourcePort };
  const destination = { address: destinationIp, port: destinationPort };
  return { command: "proxy", family, source, destination, tlvs: Tlvs.none };
}
