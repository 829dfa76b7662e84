/** Which addresses a host operand stands for (networking.md, section 6, "Address selection"). */

import { IP_LIST_MAX, isOfFamily, parseIp4, parseIp6, parseIpList } from "../../net/index.ts";
import type { Family, Hosts, IpAddress, Resolver } from "../../net/index.ts";
import type { Deadline } from "../../clock/index.ts";

export interface HostQuery {
  readonly host: string;
  readonly family: Family;
  readonly qualify: boolean;
  readonly deadline: Deadline | undefined;
}

/** The addresses in the order to try them, or why there are none. */
export type HostAddresses =
  | { readonly kind: "found"; readonly addresses: readonly IpAddress[] }
  | { readonly kind: "unresolved"; readonly text: string };

/** This host, for which "" and "0" stand. */
const LOOPBACK = [parseIp6("::1"), parseIp4("127.0.0.1")].filter((ip) => ip !== undefined);

/** The addresses that the operand itself gives, without a look-up; undefined if it is a name. */
export function literalAddresses(host: string, family: Family): readonly IpAddress[] | undefined {
  if (host === "" || host === "0") return LOOPBACK.filter((ip) => isOfFamily(ip, family));
  return parseIpList(host, family === undefined ? {} : { family });
}

export async function findAddresses(
  { host, family, qualify, deadline }: HostQuery,
  hosts: Hosts | undefined,
  resolver: Resolver,
): Promise<HostAddresses> {
  const literal = literalAddresses(host, family);
  if (literal !== undefined) return { kind: "found", addresses: literal };
  // Addresses of the other family are no name that the DNS could know.
  if (parseIpList(host) !== undefined) return { kind: "found", addresses: [] };
  const listed = hosts?.addresses(host, family) ?? [];
  if (listed.length > 0) return { kind: "found", addresses: listed.slice(0, IP_LIST_MAX) };
  const query = family === undefined ? { qualify } : { family, qualify };
  const answer = await resolver.addresses(host, query, deadline);
  return answer.kind === "found"
    ? { kind: "found", addresses: answer.values.slice(0, IP_LIST_MAX) }
    : { kind: "unresolved", text: answer.text };
}
