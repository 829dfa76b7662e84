/**
 * The family of the connections that a server serves: who is at the other end of one, and what follows
 * from that for logs, limits and programs. The server itself knows no family.
 */

import { Environment, withEnvironment } from "../../chain/index.ts";
import type { Launch } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Accepted, Posix, SocketAddress } from "../../posix/index.ts";

/** One family of connections. `Local` is an address of ours, `Peer` the client at the other end. */
export interface Protocol<Peer, Local> {
  /** A local address in the terms of this family; undefined for one of another family. */
  local(address: SocketAddress): Local | undefined;
  /** The peer; undefined for one of another family. Throws SystemError when it has closed. */
  peer(accepted: Accepted, posix: Posix): Peer | undefined;
  /** The key that the connections of this peer are counted and limited by. */
  key(peer: Peer): string;
  /** Its name in the lines of a log. */
  label(peer: Peer): string;
  /** The variables that all connections to one local address have in common. */
  localEdits(local: Local): EnvironmentEdit[];
  /** The variables of one connection. `number` others of the same key are alive. */
  peerEdits(peer: Peer, number: number): EnvironmentEdit[];
  /** The variables of a connection that does not exist: for dry runs and the preparation of chains. */
  placeholders(): EnvironmentEdit[];
}

/** The launch of the process of a connection: `program` is the chain that runs for each. */
export function previewLaunch(
  protocol: Pick<Protocol<never, never>, "placeholders">,
  launch: Launch,
  program: readonly string[],
): Launch {
  const environment = Environment.of(launch.environment.strings());
  return withEnvironment({ ...launch, environment, argv: program }, protocol.placeholders());
}
