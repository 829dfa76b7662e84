/**
 * What a server of connections has to be told of the family it serves: who is at the other end of a
 * connection, and what that means to logs, limits and programs. The server itself knows no family.
 */

import { Environment, withEnvironment } from "../../chain/index.ts";
import type { Launch } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Accepted, Posix, SocketAddress } from "../../posix/index.ts";

/** One family of connections. `Local` is an address of ours, `Peer` whoever has connected to it. */
export interface Protocol<Peer, Local> {
  /** What a local address is to this family; undefined for one of another family. */
  local(address: SocketAddress): Local | undefined;
  /** Who has connected; undefined for a peer of another family. Throws SystemError when it has gone. */
  peer(accepted: Accepted, posix: Posix): Peer | undefined;
  /** By what connections of one peer are counted and limited. */
  key(peer: Peer): string;
  /** Who it is, in the lines of a log. */
  label(peer: Peer): string;
  /** The variables that all connections to one local address have in common. */
  localEdits(local: Local): EnvironmentEdit[];
  /** The variables of one connection. `number` others of the same key are alive. */
  peerEdits(peer: Peer, number: number): EnvironmentEdit[];
  /** The variables of a connection that is only imagined: for dry runs, and to look ahead. */
  placeholders(): EnvironmentEdit[];
}

/** What the process of a connection would be born with: `program` is the chain that runs for each. */
export function previewLaunch(
  protocol: Pick<Protocol<never, never>, "placeholders">,
  launch: Launch,
  program: readonly string[],
): Launch {
  const environment = Environment.of(launch.environment.strings());
  return withEnvironment({ ...launch, environment, argv: program }, protocol.placeholders());
}
