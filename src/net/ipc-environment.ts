/**
 * The variables of local UCSPI (local-services.md, sections 6.3 to 6.5): what a super-server on a
 * Unix-domain socket tells its programs about their clients, and what clients tell theirs.
 */

import { PROTO, readVariable, requireVariable } from "./environment.ts";
import { parseUnsigned } from "./numbers.ts";

import type { EnvironmentEdit, Variables } from "./environment.ts";

/** The names of the variables of one protocol, which is any prefix; `IPC` for our own servers. */
export interface IpcNames {
  readonly localPath: string;
  readonly remoteUid: string;
  readonly remoteGid: string;
  readonly remotePath: string;
  readonly connectionNumber: string;
}

/** The value of PROTO that local servers and clients of the suite set. */
export const IPC = "IPC";

/** A client by its variables: its effective ids when it connected. */
export interface IpcClient {
  /** The value of PROTO, and what the names of the other variables begin with. */
  readonly protocol: string;
  readonly uid: number;
  readonly gid: number;
}

export function ipcNames(protocol: string): IpcNames {
  return {
    localPath: `${protocol}LOCALPATH`,
    remoteUid: `${protocol}REMOTEEUID`,
    remoteGid: `${protocol}REMOTEEGID`,
    remotePath: `${protocol}REMOTEPATH`,
    connectionNumber: `${protocol}CONNNUM`,
  };
}

const NAMES = ipcNames(IPC);

/**
 * The variables of one connection, beside PROTO. `ids` is undefined where they are not known; then neither
 * is `number`, how many connections of the same user were alive before. A path of "" is that of a client
 * that is not bound.
 */
export function ipcPeerEdits(
  ids: { readonly uid: number; readonly gid: number } | undefined,
  path: string,
  number: number,
): EnvironmentEdit[] {
  return [
    { name: NAMES.remoteUid, value: ids && String(ids.uid) },
    { name: NAMES.remoteGid, value: ids && String(ids.gid) },
    { name: NAMES.remotePath, value: path },
    { name: NAMES.connectionNumber, value: ids === undefined ? "" : String(number) },
  ];
}

/** The variables that a client sets for its program; the path is undefined where it is not known. */
export function ipcClientEdits(localPath: string | undefined): EnvironmentEdit[] {
  return [
    { name: PROTO, value: IPC },
    { name: NAMES.localPath, value: localPath },
  ];
}

/**
 * The client that PROTO and the variables it names describe. Throws VariableError for the first of them, in the
 * order PROTO, user, group, that is missing or malformed.
 */
export function readIpcClient(variables: Variables): IpcClient {
  const protocol = requireVariable(variables, PROTO);
  const names = ipcNames(protocol);
  return {
    protocol,
    uid: readVariable(variables, names.remoteUid, parseId),
    gid: readVariable(variables, names.remoteGid, parseId),
  };
}

function parseId(text: string): number | undefined {
  return parseUnsigned(text);
}
