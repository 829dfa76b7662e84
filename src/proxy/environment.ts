/**
 * Edits of a program's environment for a header (networking.md, 12.1 to 12.3): the variables of the
 * super-server become those of the announced connection, and what the proxy knows of TLS goes into SSL_*,
 * or is set aside until the TLS stage behind has written its own.
 */

import {
  RECEIVED_WORD_BYTES_MAX,
  receivedText,
  receivedServerName,
  receivedWord,
  TCP_NAMES,
  tcpClientEdits,
} from "../net/index.ts";
import type { EnvironmentEdit, Variables } from "../net/index.ts";
import { parseExtensions } from "./extensions.ts";
import { isUnix, UNIX_PATH_BYTES } from "./header.ts";
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
  /** Told of each variable that is removed, as its value in the header is unfit for one. */
  readonly onUnfit?: (variable: string) => void;
}

/**
 * The edits for a header; none when the real addresses count. Datagrams are as streams. A value that no
 * variable is to have (`receivedText`, `receivedWord`) removes its variable: neither a part of it nor the value of
 * the proxy's own connection is to pass for it.
 */
export function proxyEdits(header: ProxyHeader, options: ProxyEditsOptions): EnvironmentEdit[] {
  if (header.command === "local" || header.family === "unspecified") return [];
  return [...addressEdits(header, options), ...tlsEdits(header.tlvs, options)];
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

function addressEdits(
  header: ProxiedIp | ProxiedUnix,
  options: ProxyEditsOptions,
): EnvironmentEdit[] {
  if (isUnix(header)) {
    return [
      { name: "PROTO", value: "IPC" },
      edit("IPCREMOTEPATH", receivedText(header.source, UNIX_PATH_BYTES), options),
      edit("IPCLOCALPATH", receivedText(header.destination, UNIX_PATH_BYTES), options),
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
  const commonName = isDoubtful ? undefined : tls?.commonName;
  return [
    ...tlsEdit(VARIABLE.alpn, alpn, receivedWord, options),
    ...tlsEdit(VARIABLE.authority, authority, receivedServerName, options),
    ...tlsEdit(VARIABLE.version, tls?.version, receivedWord, options),
    ...tlsEdit(VARIABLE.commonName, commonName, receivedName, options),
    ...tlsEdit(VARIABLE.cipher, tls?.cipher, receivedWord, options),
  ];
}

/** A common name may have blanks in it and letters of any script. */
function receivedName(value: string): string | undefined {
  return receivedText(value, RECEIVED_WORD_BYTES_MAX);
}

/** None where the header does not say. */
function tlsEdit(
  name: string,
  value: string | undefined,
  received: (value: string) => string | undefined,
  options: ProxyEditsOptions,
): EnvironmentEdit[] {
  if (value === undefined) return [];
  return [edit(options.backsUp ? BACKUP + name : name, received(value), options)];
}

function edit(
  name: string,
  value: string | undefined,
  { onUnfit }: ProxyEditsOptions,
): EnvironmentEdit {
  if (value === undefined) onUnfit?.(name);
  return { name, value };
}
