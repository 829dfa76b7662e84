/**
 * Unix-domain sockets as a family of connections (local-services.md, section 6.3): peers are who connected,
 * as the kernel vouches for it, and are counted by user.
 */

import { IPC, ipcNames, ipcPeerEdits, PROTO } from "../../net/index.ts";
import type { PeerCredentials } from "../../posix/index.ts";
import type { Connection } from "./connection.ts";
import type { Protocol } from "./protocol.ts";

export interface UnixPeer {
  /** Of the time when it connected; undefined where the server does not ask for them. */
  readonly credentials: PeerCredentials | undefined;
  /** The path that its socket is bound to; "" for most. */
  readonly path: string;
}

/** The local address is the path of the listening socket. */
export type UnixProtocol = Protocol<UnixPeer, string>;

/** An accepted connection to a Unix-domain socket. */
export type AcceptedUnix = Connection<UnixPeer, string>;

/** Clients that the server knows, and counts by user. */
export const UNIX: UnixProtocol = unixProtocol(true);

/** Clients that the server does not ask the kernel about: all of them count as one. */
export const UNIX_UNKNOWN: UnixProtocol = unixProtocol(false);

/** The path of an address. Names of the abstract space are none, and no variable can hold them. */
export function pathOf(path: string): string {
  return path.startsWith("\0") ? "" : path;
}

function unixProtocol(asks: boolean): UnixProtocol {
  return {
    local: (address) => (address.family === "unix" ? pathOf(address.path) : undefined),
    peer({ fd, peer }, posix) {
      if (peer.family !== "unix") return undefined;
      const credentials = asks ? posix.peerCredentials(fd) : undefined;
      return { credentials, path: pathOf(peer.path) };
    },
    key: ({ credentials }) => String(credentials?.uid ?? ""),
    label: ({ credentials }) => `${credentials?.uid ?? "?"}:${credentials?.gid ?? "?"}`,
    localEdits: () => [{ name: PROTO, value: IPC }],
    peerEdits: ({ credentials, path }, number) => ipcPeerEdits(credentials, path, number),
    placeholders: () => [{ name: PROTO, value: IPC }, ...placeholders(asks)],
  };
}

function placeholders(asks: boolean): { name: string; value: string | undefined }[] {
  const { remoteUid, remoteGid, remotePath, connectionNumber } = ipcNames(IPC);
  const known = [remoteUid, remoteGid].map((name) => ({
    name,
    value: asks ? `<${name}>` : undefined,
  }));
  return [
    ...known,
    { name: remotePath, value: `<${remotePath}>` },
    { name: connectionNumber, value: asks ? "0" : "" },
  ];
}
