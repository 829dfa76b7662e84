/**
 * The log of a super-server: the lines of the C suite by verbosity (networking.md, section 5), and, when
 * asked for, a record of each refused connection as a line of text or of JSON.
 */

import { formatIp } from "../net/index.ts";
import type { Endpoint } from "../net/index.ts";
import type { Gid, Uid, WaitStatus } from "../posix/index.ts";

/** The form in which refusals are recorded, if they are. */
export type RefusalFormat = "text" | "json" | undefined;

interface Decision {
  /** The kind of decision: `rule`, `limit`, `error` (rules that cannot be read), `name` or `ident`. */
  readonly by: "rule" | "limit" | "error" | "name" | "ident";
  /** The rule's key, the limit's option with its value, or the error. */
  readonly reason: string;
}

/** The reason why a connection was refused: the rule or the limit. */
export interface Refusal extends Decision {
  readonly remote: Endpoint;
  readonly local: Endpoint;
}

/** The same of a connection to a Unix-domain socket. Ids may be unknown; paths are "" where there are none. */
export interface LocalRefusal extends Decision {
  readonly uid: Uid | undefined;
  readonly gid: Gid | undefined;
  readonly remotePath: string;
  readonly localPath: string;
}

/** `127.0.0.1_4000`, `::1_4000`: how the C suite joins the two. */
export function joinEndpoint({ address, port }: Endpoint): string {
  return `${formatIp(address)}_${port}`;
}

/** The record of a refusal. Text goes behind a program's name; JSON is a line of its own. */
export function formatRefusal(refusal: Refusal | LocalRefusal, format: "text" | "json"): string {
  const { by, reason } = refusal;
  if (format === "text") return `refused ${whoIn(refusal)} by ${by}: ${reason}`;
  return JSON.stringify({ event: "refused", ...factsOf(refusal), by, reason });
}

function whoIn(refusal: Refusal | LocalRefusal): string {
  if ("uid" in refusal) return `uid ${refusal.uid ?? "?"} gid ${refusal.gid ?? "?"}`;
  const { address, port } = refusal.remote;
  return `ip ${formatIp(address)} port ${port}`;
}

function factsOf(refusal: Refusal | LocalRefusal): Record<string, string | number | undefined> {
  if ("uid" in refusal) {
    const { uid, gid, remotePath, localPath } = refusal;
    return { remoteUid: uid, remoteGid: gid, remotePath, localPath };
  }
  const { remote, local } = refusal;
  return {
    remoteIp: formatIp(remote.address),
    remotePort: remote.port,
    localIp: formatIp(local.address),
    localPort: local.port,
  };
}

/** `exitcode 3` or `signal 9`, as the C suite tells how a connection's program ended. */
export function formatStatus(status: WaitStatus): string {
  return status.kind === "exited" ? `exitcode ${status.exitCode}` : `signal ${status.signal}`;
}
