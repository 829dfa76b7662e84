/**
 * Every command of the package by name. Only the one that is asked for is loaded, so a short command
 * pays for nothing but itself.
 */

import type { Definition } from "./command.ts";

type Loader = () => Promise<Definition>;

const LOADERS: Readonly<Record<string, Loader>> = {
  "s6-getservbyname": async () =>
    (await import("../ucspi/commands/getservbyname.ts")).getservbyname,
  "s6-tcpclient": async () => (await import("../ucspi/links/tcpclient.ts")).tcpclient,
  "s6-tcpserver": async () => (await import("../ucspi/links/tcpserver.ts")).tcpserver,
  "s6-tcpserver-socketbinder": async () =>
    (await import("../ucspi/links/tcpserver-socketbinder.ts")).tcpserverSocketbinder,
  "s6-tcpserver-access": async () =>
    (await import("../ucspi/links/tcpserver-access.ts")).tcpserverAccess,
  "s6-tcpserverd": async () => (await import("../ucspi/links/tcpserverd.ts")).tcpserverd,
  "s6-connlimit": async () => (await import("../chain/links/connlimit.ts")).connlimit,
};

/** The names of all commands, in alphabetical order. */
export const COMMAND_NAMES: readonly string[] = Object.keys(LOADERS).sort();

export function isCommandName(name: string): boolean {
  return Object.hasOwn(LOADERS, name);
}

/** The definition of a command; undefined for a name that is none of ours. */
export async function loadDefinition(name: string): Promise<Definition | undefined> {
  return Object.hasOwn(LOADERS, name) ? LOADERS[name]?.() : undefined;
}
