/** A client to decide about, and what is looked up about it. */

import { readUcspiConnection } from "../../net/index.ts";
import type { UcspiConnection, Variables } from "../../net/index.ts";

/** The names of the two ends and the user at the far one, where they are known. */
export interface LookedUp {
  readonly localHost: string | undefined;
  readonly remoteHost: string | undefined;
  readonly remoteInfo: string | undefined;
}

export interface Client extends UcspiConnection {
  /** The start of messages about this client: the command and its pid. */
  readonly reporter: string;
  readonly pid: number;
}

/** The client that the environment describes. Throws VariableError. */
export function readClient(variables: Variables, command: string, pid: number): Client {
  return { ...readUcspiConnection(variables), reporter: `${command}: pid ${pid}`, pid };
}
