/** Who wants to come in, and what has been found out about them. */

import { readUcspiConnection } from "../../net/index.ts";
import type { UcspiConnection, Variables } from "../../net/index.ts";

/** Names of the two ends and of the user at the far one, where they are known. */
export interface Findings {
  readonly localHost: string | undefined;
  readonly remoteHost: string | undefined;
  readonly remoteInfo: string | undefined;
}

export interface Client extends UcspiConnection {
  /** How messages about this client begin: the command and the pid that speaks. */
  readonly speaker: string;
  readonly pid: number;
}

/** The client that the environment describes. Throws VariableError. */
export function readClient(variables: Variables, command: string, pid: number): Client {
  return { ...readUcspiConnection(variables), speaker: `${command}: pid ${pid}`, pid };
}
