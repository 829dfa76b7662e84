/**
 * Finding out about a client: its user by IDENT, the names of both ends by the hosts file and the DNS,
 * and whether the remote name maps back (networking.md, section 7, steps 5 to 7).
 */

import type { Deadline } from "../../clock/index.ts";
import { EXIT } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { isSameIp, openResolver, readHosts } from "../../net/index.ts";
import type { Hosts, IpAddress, Lookup, Resolver, Variables } from "../../net/index.ts";
import { errnoOf } from "../../posix/index.ts";
import type { Client, Findings } from "./client.ts";
import type { AccessOptions } from "./options.ts";

/** A look-up that keeps the client out: what to say, and the exit code. */
export class LookupRefusal extends Error {
  override readonly name = "LookupRefusal";
  readonly exitCode: number;
  readonly by: "ident" | "name";

  constructor(by: "ident" | "name", exitCode: number, message: string) {
    super(message);
    this.by = by;
    this.exitCode = exitCode;
  }
}

/** A negative IDENT reply under -w. */
const EXIT_IDENT_DENIED = 2;

/** What the look-ups of one client need. */
export interface Inquiry {
  readonly client: Client;
  readonly options: AccessOptions;
  readonly deadline: Deadline | undefined;
  readonly variables: Variables;
  readonly context: LinkContext;
}

/** Everything that the options ask for. Throws LookupRefusal. */
export async function investigate(inquiry: Inquiry, looksUpNames: boolean): Promise<Findings> {
  const { options } = inquiry;
  const remoteInfo = options.asksIdent ? await askUser(inquiry) : undefined;
  if (!looksUpNames) return { remoteInfo, remoteHost: undefined, localHost: options.localHost };
  return { remoteInfo, ...(await findNames(inquiry)) };
}

async function askUser(inquiry: Inquiry): Promise<string | undefined> {
  const { client, context, deadline, options } = inquiry;
  const { askIdent } = await import("../../ident/index.ts");
  const { remote, local } = client;
  const answer = await askIdent(context.posix, { remote, local, deadline });
  if (answer.kind === "user") return answer.user;
  const isNegative = answer.kind === "error";
  const exitCode = isNegative
    ? EXIT_IDENT_DENIED
    : answer.kind === "timedOut"
      ? EXIT.timedOut
      : EXIT.system;
  const text = answer.kind === "timedOut" ? "Connection timed out" : answer.text;
  const message = isNegative
    ? `ident server replied: ${text}`
    : `unable to s6net_ident_client: ${text}`;
  if (options.isStrict) throw new LookupRefusal("ident", exitCode, message);
  if (options.verbosity >= 3) context.report(client.speaker, "warning", message);
  return undefined;
}

type Names = Pick<Findings, "localHost" | "remoteHost">;

async function findNames(inquiry: Inquiry): Promise<Names> {
  const { client, options } = inquiry;
  const hosts = options.hostsFile ? openHosts(inquiry) : undefined;
  const resolver = openResolver({ variables: inquiry.variables });
  const [localHost, remoteHost] = await Promise.all([
    options.localHost ?? findName(client.local.address, inquiry, hosts, resolver, false),
    findName(client.remote.address, inquiry, hosts, resolver, true),
  ]);
  return { localHost, remoteHost };
}

function openHosts(inquiry: Inquiry): Hosts | undefined {
  try {
    return readHosts();
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    const why = error instanceof Error ? error.message : String(error);
    fail(inquiry, EXIT.system, `unable to read /etc/hosts: ${why}`, 2);
    return undefined;
  }
}

async function findName(
  ip: IpAddress,
  inquiry: Inquiry,
  hosts: Hosts | undefined,
  resolver: Resolver,
  isRemote: boolean,
): Promise<string | undefined> {
  const listed = hosts?.names(ip)[0];
  if (listed !== undefined) return listed;
  const { isParanoid } = inquiry.options;
  const reverse = await resolver.names(ip, inquiry.deadline);
  const name = reverse.kind === "found" ? reverse.values[0] : undefined;
  if (!isRemote || !isParanoid) {
    if (reverse.kind !== "found") warn(inquiry, `unable to find the name: ${reverse.text}`);
    return name;
  }
  if (reverse.kind !== "found") return failLookup(inquiry, reverse);
  return name === undefined ? undefined : verify(name, ip, inquiry, resolver);
}

/** The name if one of its addresses is `ip`. */
async function verify(
  name: string,
  ip: IpAddress,
  inquiry: Inquiry,
  resolver: Resolver,
): Promise<string | undefined> {
  const query = { family: ip.family, qualify: false };
  const forward = await resolver.addresses(name, query, inquiry.deadline);
  if (forward.kind !== "found") return failLookup(inquiry, forward);
  if (forward.values.some((address) => isSameIp(address, ip))) return name;
  warn(inquiry, `the name ${name} does not map back to the client`);
  return undefined;
}

function failLookup(
  inquiry: Inquiry,
  lookup: Exclude<Lookup<unknown>, { kind: "found" }>,
): undefined {
  const isTimeout =
    lookup.kind === "timedOut" || (lookup.kind === "failed" && lookup.code === "ETIMEDOUT");
  const exitCode =
    lookup.kind === "absent" ? EXIT.refused : isTimeout ? EXIT.timedOut : EXIT.system;
  fail(inquiry, exitCode, `unable to verify the client's name: ${lookup.text}`, 3);
  return undefined;
}

/** Keep the client out if the options say so, else mention it at the given verbosity. */
function fail(inquiry: Inquiry, exitCode: number, message: string, level: number): void {
  if (inquiry.options.isStrict) throw new LookupRefusal("name", exitCode, message);
  if (inquiry.options.verbosity >= level) {
    inquiry.context.report(inquiry.client.speaker, "warning", message);
  }
}

function warn({ options, client, context }: Inquiry, message: string): void {
  if (options.verbosity >= 3) context.report(client.speaker, "warning", message);
}
