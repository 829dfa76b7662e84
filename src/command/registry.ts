/**
 * Every command of the package by name. Only the one that is asked for is loaded, so a short command
 * pays for nothing but itself.
 */

import type { Definition } from "./command.ts";

type LoadDefinition = () => Promise<Definition>;

const LOADERS: Readonly<Record<string, LoadDefinition>> = {
  "proxy-client": async () => (await import("../proxy/links/proxy-client.ts")).proxyClient,
  "proxy-server": async () => (await import("../proxy/links/proxy-server.ts")).proxyServer,
  "s6-accessrules-cdb-from-fs": async () =>
    (await import("../access/commands/accessrules-cdb-from-fs.ts")).accessrulesCdbFromFs,
  "s6-accessrules-fs-from-cdb": async () =>
    (await import("../access/commands/accessrules-fs-from-cdb.ts")).accessrulesFsFromCdb,
  "s6-accessrules-lint": async () =>
    (await import("../access/commands/accessrules-lint.ts")).accessrulesLint,
  "s6-applyuidgid": async () => (await import("../chain/links/applyuidgid.ts")).applyuidgid,
  "s6-cleanfifodir": async () =>
    (await import("../supervise/commands/cleanfifodir.ts")).cleanfifodir,
  "s6-clockadd": async () => (await import("../clock/commands/clockadd.ts")).clockadd,
  "s6-clockview": async () => (await import("../clock/commands/clockview.ts")).clockview,
  "s6-connlimit": async () => (await import("../chain/links/connlimit.ts")).connlimit,
  "s6-envdir": async () => (await import("../chain/links/envdir.ts")).envdir,
  "s6-envuidgid": async () => (await import("../chain/links/envuidgid.ts")).envuidgid,
  "s6-fdholder-daemon": async () =>
    (await import("../supervise/fdholder/links/fdholder-daemon.ts")).fdholderDaemon,
  "s6-fdholder-delete": async () =>
    (await import("../supervise/fdholder/links/fdholder-delete.ts")).fdholderDelete,
  "s6-fdholder-getdump": async () =>
    (await import("../supervise/fdholder/links/fdholder-getdump.ts")).fdholderGetdump,
  "s6-fdholder-list": async () =>
    (await import("../supervise/fdholder/links/fdholder-list.ts")).fdholderList,
  "s6-fdholder-retrieve": async () =>
    (await import("../supervise/fdholder/links/fdholder-retrieve.ts")).fdholderRetrieve,
  "s6-fdholder-setdump": async () =>
    (await import("../supervise/fdholder/links/fdholder-setdump.ts")).fdholderSetdump,
  "s6-fdholder-store": async () =>
    (await import("../supervise/fdholder/links/fdholder-store.ts")).fdholderStore,
  "s6-fdholder-transferdump": async () =>
    (await import("../supervise/fdholder/links/fdholder-transferdump.ts")).fdholderTransferdump,
  "s6-fdholderd": async () => (await import("../supervise/fdholder/links/fdholderd.ts")).fdholderd,
  "s6-fghack": async () => (await import("../chain/links/fghack.ts")).fghack,
  "s6-ftrig-listen": async () => (await import("../supervise/links/ftrig-listen.ts")).ftrigListen,
  "s6-ftrig-listen1": async () =>
    (await import("../supervise/links/ftrig-listen1.ts")).ftrigListen1,
  "s6-ftrig-notify": async () =>
    (await import("../supervise/commands/ftrig-notify.ts")).ftrigNotify,
  "s6-ftrig-wait": async () => (await import("../supervise/links/ftrig-wait.ts")).ftrigWait,
  "s6-ftrigrd": async () => (await import("../supervise/commands/ftrigrd.ts")).ftrigrd,
  "s6-getservbyname": async () =>
    (await import("../ucspi/commands/getservbyname.ts")).getservbyname,
  "s6-ident-client": async () => (await import("../ident/commands/ident-client.ts")).identClient,
  "s6-ident-server": async () => (await import("../ident/links/ident-server.ts")).identServer,
  "s6-ioconnect": async () => (await import("../chain/links/ioconnect.ts")).ioconnect,
  "s6-ipcclient": async () => (await import("../ucspi/links/ipcclient.ts")).ipcclient,
  "s6-ipcserver": async () => (await import("../ucspi/links/ipcserver.ts")).ipcserver,
  "s6-ipcserver-access": async () =>
    (await import("../ucspi/links/ipcserver-access.ts")).ipcserverAccess,
  "s6-ipcserver-socketbinder": async () =>
    (await import("../ucspi/links/ipcserver-socketbinder.ts")).ipcserverSocketbinder,
  "s6-ipcserverd": async () => (await import("../ucspi/links/ipcserverd.ts")).ipcserverd,
  "s6-mkfifodir": async () => (await import("../supervise/commands/mkfifodir.ts")).mkfifodir,
  "s6-setlock": async () => (await import("../chain/links/setlock.ts")).setlock,
  "s6-setsid": async () => (await import("../chain/links/setsid.ts")).setsid,
  "s6-setuidgid": async () => (await import("../chain/links/setuidgid.ts")).setuidgid,
  "s6-sntpclock": async () => (await import("../clock/commands/sntpclock.ts")).sntpclock,
  "s6-softlimit": async () => (await import("../chain/links/softlimit.ts")).softlimit,
  "s6-sudo": async () => (await import("../sudo/links/sudo.ts")).sudo,
  "s6-sudoc": async () => (await import("../sudo/links/sudoc.ts")).sudoc,
  "s6-sudod": async () => (await import("../sudo/links/sudod.ts")).sudod,
  "s6-tai64n": async () => (await import("../clock/commands/tai64n.ts")).tai64n,
  "s6-tai64nlocal": async () => (await import("../clock/commands/tai64nlocal.ts")).tai64nlocal,
  "s6-taiclock": async () => (await import("../clock/commands/taiclock.ts")).taiclock,
  "s6-taiclockd": async () => (await import("../clock/commands/taiclockd.ts")).taiclockd,
  "s6-tcpclient": async () => (await import("../ucspi/links/tcpclient.ts")).tcpclient,
  "s6-tcprules": async () => (await import("../access/commands/tcprules.ts")).tcprules,
  "s6-tcprulescheck": async () =>
    (await import("../access/commands/tcprulescheck.ts")).tcprulescheck,
  "s6-tcpserver": async () => (await import("../ucspi/links/tcpserver.ts")).tcpserver,
  "s6-tcpserver-access": async () =>
    (await import("../ucspi/links/tcpserver-access.ts")).tcpserverAccess,
  "s6-tcpserver-socketbinder": async () =>
    (await import("../ucspi/links/tcpserver-socketbinder.ts")).tcpserverSocketbinder,
  "s6-tcpserverd": async () => (await import("../ucspi/links/tcpserverd.ts")).tcpserverd,
  "s6-tlsc": async () => (await import("../tls/links/tlsc.ts")).tlsc,
  "s6-tlsc-io": async () => (await import("../tls/links/tlsc-io.ts")).tlscIo,
  "s6-tlsclient": async () => (await import("../ucspi/links/tlsclient.ts")).tlsclient,
  "s6-tlsd": async () => (await import("../tls/links/tlsd.ts")).tlsd,
  "s6-tlsd-io": async () => (await import("../tls/links/tlsd-io.ts")).tlsdIo,
  "s6-tlsserver": async () => (await import("../ucspi/links/tlsserver.ts")).tlsserver,
  "s6-ucspitlsc": async () => (await import("../tls/links/ucspitlsc.ts")).ucspitlsc,
  "s6-ucspitlsd": async () => (await import("../tls/links/ucspitlsd.ts")).ucspitlsd,
  "ucspi-cert": async () => (await import("../cert/commands/ucspi-cert.ts")).ucspiCert,
  "ucspi-link": async () => (await import("./commands/ucspi-link.ts")).ucspiLink,
  "ucspi-listenfds": async () => (await import("../ucspi/links/ucspi-listenfds.ts")).ucspiListenfds,
  "ucspi-tls-engine": async () => (await import("../tls/commands/tls-engine.ts")).tlsEngine,
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
