/**
 * Names to addresses and back through the DNS, and nothing else: no hosts file, no cache, no search
 * list unless asked for. The queries are those of node:dns (c-ares), loaded with the first look-up.
 * Outcomes are values, whose texts are the ones that the C suite prints (networking 2.2).
 */

import { errnoOf, readHead, rememberedOf } from "../posix/index.ts";
import type { LookingPosix, ReadingPosix } from "../posix/index.ts";
import { isOfFamily, parseIp } from "./address.ts";
import { VariableError } from "./environment.ts";
import { isHostName } from "./host-name.ts";
import {
  formatServer,
  parseResolvConf,
  qualifiedNames,
  RESOLV_CONF_BYTES_MAX,
  resolverConfig,
} from "./resolver-config.ts";

import type { promises as dns } from "node:dns";
import type { Deadline } from "../clock/index.ts";
import type { Family, IpAddress } from "./address.ts";
import type { Variables } from "./environment.ts";
import type { ResolverConfig } from "./resolver-config.ts";

/** How a look-up can fail other than by there being no such name. EINVAL: DNSCACHEIP is malformed. */
export type LookupFailure =
  | "ETIMEDOUT"
  | "ENETUNREACH"
  | "ESERVFAIL"
  | "EREFUSED"
  | "EFORMERR"
  | "ENOTIMP"
  | "EBADRESP"
  | "EINVAL"
  | "EIO";

/** What became of a look-up. `text` is for people: `unable to resolve HOST: TEXT`. */
export type Lookup<T> =
  /** The name exists; the list is empty when it has no record of the kind that was asked for. */
  | { readonly kind: "found"; readonly values: readonly T[] }
  | { readonly kind: "absent"; readonly text: string }
  | { readonly kind: "failed"; readonly code: LookupFailure; readonly text: string }
  /** The caller's deadline passed. (Servers that never answer are a failure, ETIMEDOUT.) */
  | { readonly kind: "timedOut"; readonly text: string };

export interface AddressQuery {
  /** Both families unless given. */
  readonly family?: Family;
  /** Try the suffixes of DNSQUALIFY or resolv.conf first, the bare name last. */
  readonly qualify?: boolean;
}

/** Asks the DNS. Look-ups are independent of each other; none of them throws. */
export interface Resolver {
  /** The addresses of a name: all IPv6 ones, then all IPv4 ones. */
  addresses(
    name: string,
    query: AddressQuery,
    deadline: Deadline | undefined,
  ): Promise<Lookup<IpAddress>>;
  /** The names of an address, lower-case and with a trailing dot. */
  names(ip: IpAddress, deadline: Deadline | undefined): Promise<Lookup<string>>;
}

export interface ResolverOptions {
  readonly posix: LookingPosix & ReadingPosix;
  /** Where DNSCACHEIP and DNSQUALIFY are looked up. */
  readonly variables: Variables;
}

const RESOLV_CONF_PATH = "/etc/resolv.conf";

/**
 * One query is sent to each server in turn, at first for 1 s, and c-ares doubles that with every
 * round: 63 s in all, where the C suite waits 1, 3, 11 and 45 s.
 */
const SCHEDULE = { timeout: 1000, tries: 6 } as const;

const NO_SUCH_DOMAIN: Lookup<never> = { kind: "absent", text: "no such domain" };
const DEADLINE_PASSED: Lookup<never> = { kind: "timedOut", text: "query timed out" };

/** What the codes of c-ares are called here. */
const OUTCOMES: Readonly<Record<string, Lookup<never>>> = {
  ENODATA: { kind: "found", values: [] },
  ENOTFOUND: NO_SUCH_DOMAIN,
  EBADNAME: NO_SUCH_DOMAIN,
  ECANCELLED: DEADLINE_PASSED,
  ETIMEOUT: { kind: "failed", code: "ETIMEDOUT", text: "query timed out" },
  ECONNREFUSED: { kind: "failed", code: "ENETUNREACH", text: "no available DNS server" },
  ESERVFAIL: { kind: "failed", code: "ESERVFAIL", text: "server failure" },
  EREFUSED: { kind: "failed", code: "EREFUSED", text: "server refused" },
  EFORMERR: { kind: "failed", code: "EFORMERR", text: "server did not understand query" },
  ENOTIMP: { kind: "failed", code: "ENOTIMP", text: "not implemented in server" },
  EBADRESP: { kind: "failed", code: "EBADRESP", text: "malformed packet" },
};
const MALFORMED_PACKET: Lookup<never> = {
  kind: "failed",
  code: "EBADRESP",
  text: "malformed packet",
};
const UNKNOWN_ERROR: Lookup<never> = { kind: "failed", code: "EIO", text: "unknown network error" };

/** A resolver that reads its configuration when it is first used, and then keeps it. */
export function openResolver(options: ResolverOptions): Resolver {
  let config: ResolverConfig | undefined;
  return new DnsResolver(() => (config ??= readConfig(options)));
}

/** The name under which the DNS keeps the names of an address (RFC 1035 section 3.5, RFC 3596). */
export function reverseName(ip: IpAddress): string {
  if (ip.family === 4) return `${Array.from(ip.bytes).reverse().join(".")}.in-addr.arpa`;
  const nibbles = Buffer.from(ip.bytes).toString("hex");
  return `${Array.from(nibbles).reverse().join(".")}.ip6.arpa`;
}

class DnsResolver implements Resolver {
  readonly #config: () => ResolverConfig;

  constructor(config: () => ResolverConfig) {
    this.#config = config;
  }

  async addresses(
    name: string,
    query: AddressQuery,
    deadline: Deadline | undefined,
  ): Promise<Lookup<IpAddress>> {
    return await this.#within(deadline, async (ask, { suffixes }) => {
      const names = qualifiedNames(name, query.qualify === true ? suffixes : []);
      return await firstFound(names, (candidate) => addressesOf(ask, candidate, query.family));
    });
  }

  async names(ip: IpAddress, deadline: Deadline | undefined): Promise<Lookup<string>> {
    return await this.#within(deadline, async (ask) => {
      const lookup = await ask((channel) => channel.resolvePtr(reverseName(ip)));
      return lookup.kind === "found" ? hostNames(lookup.values) : lookup;
    });
  }

  /** Run one look-up in a channel of its own, which the deadline cancels without harm to others. */
  async #within<T>(
    deadline: Deadline | undefined,
    work: (ask: Ask, config: ResolverConfig) => Promise<Lookup<T>>,
  ): Promise<Lookup<T>> {
    const config = configOrFailure(this.#config);
    if ("kind" in config) return config;
    const { promises } = await import("node:dns");
    const channel = new promises.Resolver(SCHEDULE);
    channel.setServers(config.servers.map(formatServer));
    const timer = deadline?.setTimer(() => channel.cancel());
    try {
      return await work((send) => settle(channel, deadline, send), config);
    } finally {
      timer?.cancel();
    }
  }
}

/** Sends one query, unless the deadline has passed. */
type Ask = <T>(send: (channel: dns.Resolver) => Promise<readonly T[]>) => Promise<Lookup<T>>;

async function settle<T>(
  channel: dns.Resolver,
  deadline: Deadline | undefined,
  send: (channel: dns.Resolver) => Promise<readonly T[]>,
): Promise<Lookup<T>> {
  if (deadline?.hasPassed() === true) return DEADLINE_PASSED;
  try {
    return { kind: "found", values: await send(channel) };
  } catch (error) {
    return OUTCOMES[errnoOf(error) ?? ""] ?? UNKNOWN_ERROR;
  }
}

/** The outcome for the first name that has records; else the first failure; else the last outcome. */
async function firstFound(
  names: readonly string[],
  lookUp: (name: string) => Promise<Lookup<IpAddress>>,
): Promise<Lookup<IpAddress>> {
  let failure: Lookup<IpAddress> | undefined;
  let outcome: Lookup<IpAddress> = NO_SUCH_DOMAIN;
  for (const name of names) {
    outcome = await lookUp(name);
    if (outcome.kind === "timedOut" || hasValues(outcome)) return outcome;
    if (outcome.kind !== "failed") continue;
    failure ??= outcome;
    if (outcome.code === "ETIMEDOUT") break; // the other names would wait for the same servers
  }
  return failure ?? outcome;
}

/** AAAA and A side by side. */
async function addressesOf(ask: Ask, name: string, family: Family): Promise<Lookup<IpAddress>> {
  if (name === "" || name.includes("\0")) return NO_SUCH_DOMAIN;
  const queries: Promise<Lookup<string>>[] = [];
  if (family !== 4) queries.push(ask((channel) => channel.resolve6(name)));
  if (family !== 6) queries.push(ask((channel) => channel.resolve4(name)));
  const lookup = combine(await Promise.all(queries));
  return lookup.kind === "found" ? ipAddresses(lookup.values, family) : lookup;
}

/** Whatever was found; if nothing was, what stood in the way, the deadline before all else. */
function combine(lookups: readonly Lookup<string>[]): Lookup<string> {
  const values = lookups.flatMap((lookup) => (lookup.kind === "found" ? lookup.values : []));
  if (values.length > 0) return { kind: "found", values };
  for (const kind of ["timedOut", "failed", "absent"] as const) {
    const obstacle = lookups.find((lookup) => lookup.kind === kind);
    if (obstacle !== undefined) return obstacle;
  }
  return { kind: "found", values };
}

function ipAddresses(texts: readonly string[], family: Family): Lookup<IpAddress> {
  const values = texts.map(parseIp).filter((ip) => ip !== undefined);
  return { kind: "found", values: values.filter((ip) => isOfFamily(ip, family)) };
}

/** Names of a PTR answer that are fit for use; an answer that has only others is malformed. */
function hostNames(texts: readonly string[]): Lookup<string> {
  const values = texts.map(absoluteName).filter(isHostName);
  return values.length === 0 && texts.length > 0 ? MALFORMED_PACKET : { kind: "found", values };
}

function absoluteName(text: string): string {
  const lower = text.toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}

function hasValues(lookup: Lookup<unknown>): boolean {
  return lookup.kind === "found" && lookup.values.length > 0;
}

function configOrFailure(config: () => ResolverConfig): ResolverConfig | Lookup<never> {
  try {
    return config();
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    return { kind: "failed", code: "EINVAL", text: error.message };
  }
}

function readConfig(options: ResolverOptions): ResolverConfig {
  const { posix, variables } = options;
  return resolverConfig(variables, fileConfig(posix));
}

/** What the file says. Without it, says resolv.conf(5), the server is the local one. */
function fileConfig(posix: ResolverOptions["posix"]): ResolverConfig {
  try {
    return resolvConf(posix);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return parseResolvConf("");
  }
}

/** The file, parsed up to its last whole line within the bytes that count; read for each change once. */
const resolvConf = rememberedOf([RESOLV_CONF_PATH], (posix: ResolverOptions["posix"]) => {
  const bytes = readHead(posix, RESOLV_CONF_PATH, RESOLV_CONF_BYTES_MAX);
  const text = bytes.toString("utf8");
  const isWhole = bytes.length < RESOLV_CONF_BYTES_MAX;
  return parseResolvConf(isWhole ? text : text.slice(0, text.lastIndexOf("\n") + 1));
});
