/** Connections to Unix-domain sockets as the functions that serve them see them. */

import type { Socket } from "node:net";
import { IPC, ipcNames, ipcPeerEdits, PROTO } from "../../net/index.ts";
import type { Gid, Pid, Uid } from "../../posix/index.ts";
import type { HandlerOf } from "./handler-service.ts";
import type { AcceptedUnix, UnixPeer } from "./unix.ts";

/** The client of a connection to a Unix-domain socket, as the kernel vouches for it. */
export interface LocalClient {
  /** The effective ids of the process at the time when it connected. */
  readonly uid: Uid;
  readonly gid: Gid;
  /** The process that connected: it may have ended since, and the number may be another's. */
  readonly pid: Pid;
  /** The path that its own socket is bound to; "" for most. */
  readonly path: string;
}

/** A connection to a Unix-domain socket as a handler sees it. */
export interface LocalConnection {
  /**
   * Closing or destroying it ends the connection; so does throwing. Input is discarded
   * once the stream was ended and the handler has returned without having begun to read.
   */
  readonly stream: Socket;
  readonly client: LocalClient;
  /** The path of the listening socket; "" for a name of the abstract space. */
  readonly path: string;
  /** The number of connections of the same user that were alive before this one. */
  readonly number: number;
  /** The rule that admitted the client, `uid/1000`; undefined where there are no rules. */
  readonly rule: string | undefined;
  /**
   * The UCSPI variables of the connection, with the edits of the rule (undefined: removed). Made anew each
   * time it is asked for.
   */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type LocalHandler = HandlerOf<LocalConnection>;

/** The view of an accepted connection. */
export function localView(stream: Socket, connection: AcceptedUnix): LocalConnection {
  return new HandledConnection(stream, connection);
}

/** The client of a peer whose credentials were asked for. */
export function clientOf({ credentials, path }: UnixPeer): LocalClient {
  if (credentials === undefined) throw new TypeError("The credentials were not asked for");
  return { ...credentials, path };
}

class HandledConnection implements LocalConnection {
  readonly stream: Socket;
  readonly client: LocalClient;
  readonly #connection: AcceptedUnix;

  constructor(stream: Socket, connection: AcceptedUnix) {
    this.stream = stream;
    this.client = clientOf(connection.peer);
    this.#connection = connection;
  }

  get path(): string {
    return this.#connection.local;
  }

  get number(): number {
    return this.#connection.number;
  }

  get rule(): string | undefined {
    return this.#connection.admission?.rule;
  }

  get environment(): Record<string, string | undefined> {
    const { local, peer, number, admission } = this.#connection;
    const edits = [
      { name: PROTO, value: IPC },
      ...ipcPeerEdits(peer.credentials, peer.path, number),
      ...(admission?.edits ?? []),
      { name: ipcNames(IPC).localPath, value: local },
    ];
    return Object.fromEntries(edits.map(({ name, value }) => [name, value]));
  }
}
