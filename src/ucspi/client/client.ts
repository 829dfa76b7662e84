/** One run of s6-tcpclient: find the server, connect, find out about both ends (networking.md, 6). */

import { EXIT } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import type { Deadline } from "../../clock/index.ts";
import {
  formatIp,
  fromSocketAddress,
  openResolver,
  readHosts,
  TCP_NAMES,
  tcpClientEdits,
} from "../../net/index.ts";
import type {
  Endpoint,
  EnvironmentEdit,
  Hosts,
  IpAddress,
  Resolver,
  Variables,
} from "../../net/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { connectInTurn, connectOverlapping } from "./connect.ts";
import type { Connected, ConnectRequest } from "./connect.ts";
import { findAddresses } from "./hosts.ts";
import type { ClientOptions } from "./options.ts";

const NAME = "s6-tcpclient";

export interface ClientRequest {
  readonly host: string;
  readonly port: number;
  readonly options: ClientOptions;
  readonly variables: Variables;
  readonly context: LinkContext;
}

/** A blocking socket and the edits for the program; or the message and exit code of a failure. */
export type ClientResult =
  | { readonly kind: "connected"; readonly fd: Fd; readonly edits: readonly EnvironmentEdit[] }
  | ClientFailure;

interface ClientFailure {
  readonly kind: "failed";
  readonly exitCode: number;
  readonly message: string;
}

/** The state that the steps of one run share. */
interface Run extends ClientRequest {
  readonly deadline: Deadline | undefined;
  readonly hosts: Hosts | undefined;
  readonly resolver: Resolver;
}

export async function runTcpClient(request: ClientRequest): Promise<ClientResult> {
  const { options, context, variables } = request;
  const deadline = deadlineAfter(context.clock, options.timeoutMs);
  const hosts = options.hostsFile && !options.noNames ? openHosts(context.posix) : undefined;
  if (typeof hosts === "string") return failure(EXIT.system, hosts);
  const run: Run = {
    ...request,
    deadline,
    hosts,
    resolver: openResolver({ posix: context.posix, variables }),
  };
  const addresses = await addressesOf(run);
  if ("kind" in addresses) return addresses;
  const connected = await connectTo(addresses, run);
  return connected.kind === "failed" ? connected : introduce(connected.fd, run);
}

async function addressesOf(run: Run): Promise<readonly IpAddress[] | ClientFailure> {
  const { host, options, deadline, hosts, resolver } = run;
  const { localIp } = options;
  const family = options.family ?? localIp?.family;
  if (localIp !== undefined && localIp.family !== family) {
    return failure(EXIT.usage, `${formatIp(localIp)} is not an IPv${family} address`);
  }
  const query = { host, family, qualify: options.qualifies, deadline };
  const found = await findAddresses(query, hosts, resolver);
  if (found.kind === "unresolved") {
    return failure(EXIT.system, `unable to resolve ${host}: ${found.text}`);
  }
  if (found.addresses.length === 0) return failure(EXIT.usage, `no IP address for ${host}`);
  return found.addresses;
}

type Socket = { readonly kind: "connected"; readonly fd: Fd };

async function connectTo(
  addresses: readonly IpAddress[],
  { port, options, deadline, context }: Run,
): Promise<Socket | ClientFailure> {
  const { localIp, localPort, connectTimes: times } = options;
  const request: ConnectRequest = { addresses, port, localIp, localPort, times, deadline };
  const connectAny = options.happyEyeballs ? connectOverlapping : connectInTurn;
  try {
    return judge(await connectAny(context.posix, context.clock, request), port, options, context);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const where = error.syscall === "bind" ? localEnd(options) : "";
    return failure(EXIT.system, `unable to ${error.syscall}${where}: ${error.message}`);
  }
}

function localEnd({ localIp, localPort }: ClientOptions): string {
  const ip = localIp === undefined ? "" : `${formatIp(localIp)} `;
  return ` to ${ip}port ${localPort}`;
}

function judge(
  result: Connected,
  port: number,
  { verbosity }: ClientOptions,
  { posix, report }: LinkContext,
): Socket | ClientFailure {
  if (result.kind === "connected") {
    const { fd, address } = result;
    if (verbosity >= 2) report(NAME, "info", `connected to ${formatIp(address)} port ${port}`);
    return { kind: "connected", fd };
  }
  for (const { address, code } of verbosity >= 1 ? result.failures : []) {
    const where = `${formatIp(address)} port ${port}`;
    report(NAME, "warning", `unable to connect to ${where}: ${posix.strerror(code)}`);
  }
  return failure(EXIT.system, "unable to connect to a suitable IP address");
}

/** The variables of the connection, for the program. Names that are not known are removed. */
async function introduce(fd: Fd, run: Run): Promise<ClientResult> {
  const { options, context } = run;
  const { posix } = context;
  try {
    posix.setNonblocking(fd, false);
    if (options.noDelay) posix.setNoDelay(fd, true);
    const local = fromSocketAddress(posix.getsockname(fd));
    const remote = fromSocketAddress(posix.getpeername(fd));
    if (local === undefined || remote === undefined) throw new TypeError("not an IP socket");
    const names = await findNames(local, remote, run);
    const edits = [...tcpClientEdits({ local, remote }), ...names];
    return { kind: "connected", fd, edits };
  } catch (error) {
    posix.close(fd);
    if (!(error instanceof SystemError)) throw error;
    return failure(EXIT.system, `unable to ${error.syscall}: ${error.message}`);
  }
}

async function findNames(
  local: Endpoint,
  remote: Endpoint,
  run: Run,
): Promise<readonly EnvironmentEdit[]> {
  const { noNames, localHost, asksIdent } = run.options;
  const [localName, remoteName] = await Promise.all([
    localHost ?? (noNames ? undefined : findName(local.address, run)),
    noNames ? undefined : findName(remote.address, run),
  ]);
  return [
    { name: TCP_NAMES.localHost, value: localName },
    { name: TCP_NAMES.remoteHost, value: remoteName },
    {
      name: TCP_NAMES.remoteInfo,
      value: asksIdent ? await askUser(local, remote, run) : undefined,
    },
  ];
}

async function findName(ip: IpAddress, run: Run): Promise<string | undefined> {
  const listed = run.hosts?.names(ip)[0];
  if (listed !== undefined) return listed;
  const answer = await run.resolver.names(ip, run.deadline);
  return answer.kind === "found" ? answer.values[0] : undefined;
}

/** The user at the server's end, "" when it is not available. */
async function askUser(local: Endpoint, remote: Endpoint, run: Run): Promise<string> {
  const { posix, report } = run.context;
  const { askIdent } = await import("../../ident/index.ts");
  const answer = await askIdent(posix, { remote, local, deadline: run.deadline });
  if (answer.kind === "user") return answer.user;
  if (run.options.verbosity < 1) return "";
  const text = answer.kind === "timedOut" ? posix.strerror("ETIMEDOUT") : answer.text;
  const isReply = answer.kind === "error";
  const what = isReply ? "ident server replied" : "unable to s6net_ident_client";
  report(NAME, "warning", `${what}: ${text}`);
  return "";
}

/** The hosts file, undefined if there is none, or the reason why it cannot be read. */
function openHosts(posix: Posix): Hosts | string | undefined {
  try {
    return readHosts(posix);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    return `unable to read /etc/hosts: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function failure(exitCode: number, message: string): ClientFailure {
  return { kind: "failed", exitCode, message };
}
