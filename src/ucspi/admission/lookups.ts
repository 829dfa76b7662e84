/**
 * Looking up a client: its user by IDENT, the names of both ends in the hosts file and the DNS, and
 * whether the remote name maps back (networking.md, section 7, steps 5 to 7).
 */

import type { Deadline } from "../../clock/index.ts";
import { EXIT } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { isSameIp, openResolver, rememberedHosts } from "../../net/index.ts";
import type { Hosts, IpAddress, Lookup, Resolver, Variables } from "../../net/index.ts";
import { errnoOf } from "../../posix/index.ts";
import type { Client, LookedUp } from "./client.ts";
import type { AccessOptions } from "./options.ts";

/** A look-up for which the client is refused: what to log, and the exit code. */
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

/** The look-ups of one client. */
export interface LookupRequest {
  readonly client: Client;
  readonly options: AccessOptions;
  readonly deadline: Deadline | undefined;
  readonly variables: Variables;
  readonly context: LinkContext;
}

/** Look up everything that the options ask for. Throws LookupRefusal. */
export async function lookUp(request: LookupRequest, looksUpNames: boolean): Promise<LookedUp> {
  const { options } = request;
  const remoteInfo = options.asksIdent ? await askUser(request) : undefined;
  if (!looksUpNames) return { remoteInfo, remoteHost: undefined, localHost: options.localHost };
  return { remoteInfo, ...(await findNames(request)) };
}

async function askUser(request: LookupRequest): Promise<string | undefined> {
  const { client, context, deadline, options } = request;
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
  if (options.verbosity >= 3) context.report(client.reporter, "warning", message);
  return undefined;
}

type Names = Pick<LookedUp, "localHost" | "remoteHost">;

async function findNames(request: LookupRequest): Promise<Names> {
  const { client, context, options } = request;
  const hosts = options.hostsFile ? openHosts(request) : undefined;
  const resolver = openResolver({ posix: context.posix, variables: request.variables });
  const [localHost, remoteHost] = await Promise.all([
    options.localHost ?? findName(client.local.address, request, hosts, resolver, false),
    findName(client.remote.address, request, hosts, resolver, true),
  ]);
  return { localHost, remoteHost };
}

function openHosts(request: LookupRequest): Hosts | undefined {
  try {
    return rememberedHosts(request.context.posix);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    const why = error instanceof Error ? error.message : String(error);
    fail(request, EXIT.system, `unable to read /etc/hosts: ${why}`, 2);
    return undefined;
  }
}

async function findName(
  ip: IpAddress,
  request: LookupRequest,
  hosts: Hosts | undefined,
  resolver: Resolver,
  isRemote: boolean,
): Promise<string | undefined> {
  const listed = hosts?.names(ip)[0];
  if (listed !== undefined) return listed;
  const { isParanoid } = request.options;
  const reverse = await resolver.names(ip, request.deadline);
  const name = reverse.kind === "found" ? reverse.values[0] : undefined;
  if (!isRemote || !isParanoid) {
    if (reverse.kind !== "found") warn(request, `unable to find the name: ${reverse.text}`);
    return name;
  }
  if (reverse.kind !== "found") return failLookup(request, reverse);
  return name === undefined ? undefined : verify(name, ip, request, resolver);
}

/** The name if one of its addresses is `ip`. */
async function verify(
  name: string,
  ip: IpAddress,
  request: LookupRequest,
  resolver: Resolver,
): Promise<string | undefined> {
  const query = { family: ip.family, qualify: false };
  const forward = await resolver.addresses(name, query, request.deadline);
  if (forward.kind !== "found") return failLookup(request, forward);
  if (forward.values.some((address) => isSameIp(address, ip))) return name;
  warn(request, `the name ${name} does not map back to the client`);
  return undefined;
}

function failLookup(
  request: LookupRequest,
  lookup: Exclude<Lookup<unknown>, { kind: "found" }>,
): undefined {
  const isTimeout =
    lookup.kind === "timedOut" || (lookup.kind === "failed" && lookup.code === "ETIMEDOUT");
  const exitCode =
    lookup.kind === "absent" ? EXIT.refused : isTimeout ? EXIT.timedOut : EXIT.system;
  fail(request, exitCode, `unable to verify the client's name: ${lookup.text}`, 3);
  return undefined;
}

/** Refuse the client if the options say so, else log it from the given verbosity on. */
function fail(request: LookupRequest, exitCode: number, message: string, level: number): void {
  if (request.options.isStrict) throw new LookupRefusal("name", exitCode, message);
  if (request.options.verbosity >= level) {
    request.context.report(request.client.reporter, "warning", message);
  }
}

function warn({ options, client, context }: LookupRequest, message: string): void {
  if (options.verbosity >= 3) context.report(client.reporter, "warning", message);
}
