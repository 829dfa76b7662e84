/**
 * /etc/hosts, both ways: addresses of a name and names of an address (`-h` of the TCP tools).
 *
 * The file is parsed in memory, by servers once for each change: nothing is compiled to /tmp, and /etc/hosts.cdb is not
 * looked at. Lines, addresses and aliases that make no sense are passed over, as hosts(5) readers do.
 */

import { readFile, rememberedOf } from "../posix/index.ts";
import type { LookingPosix, ReadingPosix } from "../posix/index.ts";

import { formatIp, isOfFamily, parseIp } from "./address.ts";
import { isHostName } from "./host-name.ts";

import type { Family, IpAddress } from "./address.ts";

/** What a hosts file says. Names are compared without regard to case or to one trailing dot. */
export interface Hosts {
  /** The addresses of a name: IPv6 before IPv4, each in file order; none if it is not listed. */
  addresses(name: string, family?: Family): readonly IpAddress[];
  /** The names of an address in file order, lower-case and with a trailing dot, as DNS gives them. */
  names(ip: IpAddress): readonly string[];
}

export const HOSTS_PATH = "/etc/hosts";

/** The largest hosts file that is read; block lists of the public reach a tenth of it. */
export const HOSTS_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Read a hosts file. Throws SystemError, and UnfitFile for one that is not regular or has more than
 * HOSTS_BYTES_MAX bytes.
 */
export function readHosts(posix: ReadingPosix, path: string = HOSTS_PATH): Hosts {
  return parseHosts(readFile(posix, path, HOSTS_BYTES_MAX).toString("utf8"));
}

/** The largest one that stays in memory, where it takes some ten times its size. */
export const HOSTS_REMEMBERED_BYTES_MAX = 4 * 1024 * 1024;

const hostsOf = rememberedOf([HOSTS_PATH], (posix: LookingPosix & ReadingPosix) =>
  readHosts(posix),
);

/**
 * HOSTS_PATH, for a server: read once for each change of the file, unless it is longer than
 * HOSTS_REMEMBERED_BYTES_MAX. Throws what `readHosts` does.
 */
export function rememberedHosts(posix: LookingPosix & ReadingPosix): Hosts {
  const version = posix.fileVersion(HOSTS_PATH);
  const isLong = typeof version !== "string" && version.sizeBytes > HOSTS_REMEMBERED_BYTES_MAX;
  return isLong ? readHosts(posix) : hostsOf(posix);
}

/** The two indexes of the text of a hosts file. */
export function parseHosts(text: string): Hosts {
  const addressesOf = new Map<string, IpAddress[]>();
  const namesOf = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [ipText = "", ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const ip = parseIp(ipText);
    if (ip === undefined) continue;
    for (const name of aliases.map(canonicalName).filter(isHostName)) {
      append(addressesOf, name, ip);
      append(namesOf, formatIp(ip), name);
    }
  }
  return {
    addresses: (name, family) => sortedByFamily(addressesOf.get(canonicalName(name)) ?? [], family),
    names: (ip) => namesOf.get(formatIp(ip)) ?? [],
  };
}

/** Lower-case, with exactly one trailing dot more than a name without any. */
function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}

function sortedByFamily(addresses: readonly IpAddress[], family: Family): IpAddress[] {
  const wanted = addresses.filter((ip) => isOfFamily(ip, family));
  return [...wanted.filter((ip) => ip.family === 6), ...wanted.filter((ip) => ip.family === 4)];
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
