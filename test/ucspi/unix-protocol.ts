/**
 * Unix-domain sockets as a family of connections (local-services.md, section 6.3): peers are who connected,
 * as the kernel vouches for it, and are counted by user.
 */

import type { Gid, Pid, Uid } from "../../src/posix/index.ts";
import type { Protocol } from "../../src/ucspi/serving/protocol.ts";

export interface UnixPeer {
  readonly uid: Uid;
  readonly gid: Gid;
  readonly pid: Pid;
  /** The path that its socket is bound to; "" for most. */
  readonly path: string;
}

/** Abstract names begin with NUL, which no variable can hold: they count as unbound. */
function pathOf(path: string): string {
  return path.startsWith("\0") ? "" : path;
}

export const UNIX: Protocol<UnixPeer, string> = {
  local: (address) => (address.family === "unix" ? pathOf(address.path) : undefined),
  peer({ fd, peer }, posix) {
    if (peer.family !== "unix") return undefined;
    return { ...posix.peerCredentials(fd), path: pathOf(peer.path) };
  },
  key: ({ uid }) => String(uid),
  label: ({ uid, gid }) => `${uid}:${gid}`,
  localEdits: (path) => [
    { name: "PROTO", value: "IPC" },
    { name: "IPCLOCALPATH", value: path },
  ],
  peerEdits: ({ uid, gid, path }, number) => [
    { name: "IPCREMOTEEUID", value: String(uid) },
    { name: "IPCREMOTEEGID", value: String(gid) },
    { name: "IPCREMOTEPATH", value: path },
    { name: "IPCCONNNUM", value: String(number) },
  ],
  placeholders: () => [
    { name: "PROTO", value: "IPC" },
    { name: "IPCLOCALPATH", value: "<IPCLOCALPATH>" },
  ],
};
