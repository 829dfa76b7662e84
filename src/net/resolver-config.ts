/**
 * Which DNS servers to ask and how to complete a short name: the variables DNSCACHEIP and DNSQUALIFY,
 * else /etc/resolv.conf (networking.md, section 2.2). Pure: the content of the file is an argument.
 */

import { formatIp, IP_LIST_MAX, parseIp } from "./address.ts";
import { VariableError } from "./environment.ts";
import { parsePort } from "./numbers.ts";

import type { Endpoint } from "./address.ts";
import type { Variables } from "./environment.ts";

export interface ResolverConfig {
  /** 1 to 16 servers, in order of preference. */
  readonly servers: readonly Endpoint[];
  /** At most 16 suffixes, without leading dots, tried in this order when a name is qualified. */
  readonly suffixes: readonly string[];
}

const DNS_PORT = 53;

/** The bytes of resolv.conf that are read. */
export const RESOLV_CONF_BYTES_MAX = 4096;

/** The most suffixes that are tried for one name. */
const SUFFIXES_MAX = 16;

const LOCAL_SERVER: Endpoint = {
  address: { family: 6, bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1) },
  port: DNS_PORT,
};

const SEPARATORS = /[,; \t\r\n]+/;

/** `[ADDRESS]` or `[ADDRESS]:PORT`, else anything but colons before `:PORT`. */
const BRACKETED = /^\[([^\]]*)\](?::(.*))?$/;
const WITH_PORT = /^([^:]*):([^:]*)$/;

/**
 * The configuration that these variables and what resolv.conf says amount to. Throws
 * VariableError when DNSCACHEIP holds something that is not a server.
 */
export function resolverConfig(variables: Variables, file: ResolverConfig): ResolverConfig {
  const own = parseServers(variables("DNSCACHEIP") ?? "");
  if (own === undefined) throw new VariableError("DNSCACHEIP", "invalid");
  const servers = [own, file.servers, [LOCAL_SERVER]].find((list) => list.length > 0) ?? [];
  const qualify = variables("DNSQUALIFY");
  const suffixes = qualify === undefined ? file.suffixes : parseSuffixes(qualify);
  return { servers, suffixes };
}

/**
 * A list of DNS servers: addresses separated by commas, semicolons and white space, each with a port
 * if need be, `127.0.0.1:5353` or `[::1]:5353`. Undefined when an entry is neither; of a list of more
 * than 16 the first 16 count.
 */
export function parseServers(text: string): Endpoint[] | undefined {
  const servers: Endpoint[] = [];
  for (const word of text.split(SEPARATORS)) {
    if (word === "") continue;
    const server = parseServer(word);
    if (server === undefined) return undefined;
    if (servers.length < IP_LIST_MAX) servers.push(server);
  }
  return servers;
}

/**
 * The servers and the suffixes of resolv.conf(5), whose last `domain` or `search` line counts; a domain is
 * one word. What it cannot use, such as a server with a zone (`fe80::1%eth0`), it passes over.
 */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: Endpoint[] = [];
  let suffixes: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword = "", ...words] = line.split(/\s+/);
    const address = keyword === "nameserver" ? parseIp(words[0] ?? "") : undefined;
    if (address !== undefined) servers.push({ address, port: DNS_PORT });
    if (keyword === "search") suffixes = parseSuffixes(words.join(" "));
    if (keyword === "domain") suffixes = parseSuffixes(words.join(" ")).slice(0, 1);
  }
  return { servers: servers.slice(0, IP_LIST_MAX), suffixes };
}

/** The names to look up for `name`, in order: each suffix, then none. A trailing dot ends a name. */
export function qualifiedNames(name: string, suffixes: readonly string[]): string[] {
  if (name.endsWith(".")) return [name];
  return [...suffixes.map((suffix) => `${name}.${suffix}`), name];
}

/** A server as node:dns takes it. */
export function formatServer({ address, port }: Endpoint): string {
  return address.family === 4 ? `${formatIp(address)}:${port}` : `[${formatIp(address)}]:${port}`;
}

function parseServer(text: string): Endpoint | undefined {
  const [, host = text, portText] = BRACKETED.exec(text) ?? WITH_PORT.exec(text) ?? [];
  const address = parseIp(host);
  const port = portText === undefined ? DNS_PORT : parsePort(portText);
  if (address === undefined || port === undefined || port === 0) return undefined;
  return { address, port };
}

function parseSuffixes(text: string): string[] {
  const words = text.split(/\s+/).map((word) => word.replace(/^\.+/, ""));
  return words.filter((word) => word !== "").slice(0, SUFFIXES_MAX);
}
