/** Addresses to listen on, as operands and as the argument of an option. */

import { formatIp, parseIp, parsePort } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { parsedBy } from "../options/index.ts";
import type { ArgumentKind } from "../options/index.ts";

/** The operands `ip port`; undefined if they are none. */
export function parseListenOperands([ip = "", port = ""]: readonly string[]): Endpoint | undefined {
  const address = parseIp(ip);
  const number = parsePort(port);
  return address === undefined || number === undefined ? undefined : { address, port: number };
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`, as the argument of an option. */
export const ENDPOINT: ArgumentKind<Endpoint> = parsedBy(
  parseEndpoint,
  "ip:port or [ip]:port",
  ({ address, port }) => formatEndpoint(formatIp(address), port),
);

/** `192.0.2.1:80` or `[2001:db8::1]:80`; undefined if it is neither. */
function parseEndpoint(text: string): Endpoint | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text) ?? [];
  const endpoint = parseListenOperands([bracketed ?? plain ?? "", port ?? ""]);
  const isWhole = endpoint?.address.family === (bracketed === undefined ? 4 : 6);
  return isWhole ? endpoint : undefined;
}

/** The reverse of parseEndpoint, given an address as text. */
export function formatEndpoint(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
