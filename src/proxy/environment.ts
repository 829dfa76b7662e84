/**
 * Edits of a program's environment for a header (networking.md, 12.1 to 12.3): the variables of the
 * super-server become those of the announced connection, and what the proxy knows of TLS goes into SSL_*,
 * or is set aside until the TLS stage behind has written its own.
 */

import { TCP_NAMES, tcpClientEdits } from "../net/index.ts";
import type { EnvironmentEdit, Variables } from "../net/index.ts";
import { parseExtensions } from "./extensions.ts";
import { isUnix } from "./header.ts";
import type { ProxiedIp, ProxiedUnix, ProxyHeader } from "./header.ts";
import { Tlvs } from "./tlv.ts";

/** The variables of TLS that a header can set. That of ALPN is ours alone. */
const VARIABLE = {
  alpn: "SSL_TLS_ALPN_PROTOCOL",
  authority: "SSL_TLS_SNI_SERVERNAME",
  version: "SSL_PROTOCOL",
  commonName: "SSL_PEER_CERT_CN",
  cipher: "SSL_CIPHER",
} as const;

/** The prefix of a variable that has been set aside. */
const BACKUP = "tlsbak_";

export interface ProxyEditsOptions {
  /** Set the variables of TLS aside, for `restoreEdits` behind the TLS stage. */
  readonly backsUp: boolean;
  /** Tell a common name only if the proxy has verified the certificate that says so. */
  readonly verifiedNamesOnly: boolean;
}

/** The edits for a header; none when the real addresses count. Datagrams are as streams. */
export function proxyEdits(header: ProxyHeader, options: ProxyEditsOptions): EnvironmentEdit[] {
  if (header.command === "local" || header.family === "unspecified") return [];
  return [...addressEdits(header), ...tlsEdits(header.tlvs, options)];
}

/**
 * Behind the TLS stage: each variable that was set aside gets its own name back. The others are removed, so
 * that the TLS between proxy and server does not pass for the client's; with `keeps` they stay.
 */
export function restoreEdits(variables: Variables, keeps: boolean): EnvironmentEdit[] {
  return Object.values(VARIABLE).flatMap((name) => {
    const value = variables(BACKUP + name);
    if (value === undefined) return keeps ? [] : [{ name, value }];
    return [
      { name, value },
      { name: BACKUP + name, value: undefined },
    ];
  });
}

function addressEdits(header: ProxiedIp | ProxiedUnix): EnvironmentEdit[] {
  if (isUnix(header)) {
    return [
      { name: "PROTO", value: "IPC" },
      { name: "IPCREMOTEPATH", value: header.source },
      { name: "IPCLOCALPATH", value: header.destination },
    ];
  }
  return [
    ...tcpClientEdits({ remote: header.source, local: header.destination }),
    // These are the proxy's, if they are set: a client must not pass under its name.
    { name: TCP_NAMES.remoteHost, value: undefined },
    { name: TCP_NAMES.remoteInfo, value: undefined },
  ];
}

/** Only with addresses to go with it: these variables are about the announced client. */
function tlsEdits(tlvs: Tlvs, options: ProxyEditsOptions): EnvironmentEdit[] {
  if (tlvs === Tlvs.none) return [];
  const { alpn, authority, tls } = parseExtensions(tlvs);
  const isDoubtful = options.verifiedNamesOnly && tls?.isVerified === false;
  const values: readonly (readonly [string, string | undefined])[] = [
    [VARIABLE.alpn, alpn],
    [VARIABLE.authority, authority],
    [VARIABLE.version, tls?.version],
    [VARIABLE.commonName, isDoubtful ? undefined : tls?.commonName],
    [VARIABLE.cipher, tls?.cipher],
  ];
  return values.flatMap(([name, value]) => {
    return value === undefined
      ? []
      : [{ name: options.backsUp ? BACKUP + name : name, value: cut(value) }];
  });
}

/** No variable can hold a NUL: a value ends there. */
function cut(value: string): string {
  const nul = value.indexOf("\0");
  return nul < 0 ? value : value.slice(0, nul);
}
