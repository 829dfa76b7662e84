/** Addresses to listen on, as operands and as the argument of an option. */

import { parseIp, parsePort } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import { InvalidArgument } from "../options/index.ts";

/** The operands `ip port`; undefined if they are none. */
export function parseListenOperands([ip = "", port = ""]: readonly string[]): Endpoint | undefined {
  const address = parseIp(ip);
  const number = parsePort(port);
  return address === undefined || number === undefined ? undefined : { address, port: number };
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. Throws InvalidArgument. */
export function parseEndpoint(text: string): Endpoint {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(text) ?? [];
  const endpoint = parseListenOperands([bracketed ?? plain ?? "", port ?? ""]);
  const isWhole = endpoint?.address.family === (bracketed === undefined ? 4 : 6);
  if (endpoint === undefined || !isWhole) throw new InvalidArgument("ip:port or [ip]:port");
  return endpoint;
}

/** The reverse of parseEndpoint, given an address as text. */
export function formatEndpoint(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}
