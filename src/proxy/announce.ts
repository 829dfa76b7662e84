/**
 * The header that proxy-client sends, from the variables of UCSPI and SSL_*: about the connection it sends
 * it over, or about the one that is being served. Of that one the variables have to be set aside before
 * s6-tcpclient replaces them with its own.
 */

import { PROTO, readUcspiConnection, requireVariable } from "../net/index.ts";
import type { Endpoint, EnvironmentEdit, IpAddress, Variables } from "../net/index.ts";
import type { ProxyExtensions, ProxyTls } from "./extensions.ts";
import type { ProxyHeader } from "./header.ts";
import type { Tlvs } from "./tlv.ts";

/** The prefix of a variable that has been set aside. */
const BACKUP = "proxybak_";

/** A connection between Unix sockets has paths, any other addresses and ports. */
const UNIX_PROTOCOL = "IPC";
const PATHS = ["REMOTEPATH", "LOCALPATH"];
const ADDRESSES = ["REMOTEIP", "REMOTEPORT", "LOCALIP", "LOCALPORT"];

/** Set the variables of the connection aside. Throws VariableError if PROTO is not set. */
export function setAsideEdits(variables: Variables): EnvironmentEdit[] {
  return namesOf(requireVariable(variables, PROTO)).map((name) => {
    return { name: BACKUP + name, value: variables(name) };
  });
}

/** The variables as they were set aside. */
export function variablesSetAside(variables: Variables): Variables {
  return (name) => variables(BACKUP + name);
}

/** Remove the variables that were set aside. Throws VariableError if none were. */
export function removalEdits(variables: Variables): EnvironmentEdit[] {
  return namesOf(requireVariable(variables, BACKUP + PROTO)).map((name) => {
    return { name: BACKUP + name, value: undefined };
  });
}

function namesOf(protocol: string): string[] {
  const own = protocol === UNIX_PROTOCOL ? PATHS : ADDRESSES;
  return [PROTO, ...own.map((name) => protocol + name)];
}

/**
 * The header for the connection that UCSPI variables describe. Its source is the far end if it is being
 * `served`, and the near end if it is the program's own. Throws VariableError.
 */
export function announcement(variables: Variables, isServed: boolean, tlvs: Tlvs): ProxyHeader {
  if (requireVariable(variables, PROTO) === UNIX_PROTOCOL) {
    const remote = variables(`${UNIX_PROTOCOL}REMOTEPATH`) ?? "";
    const local = variables(`${UNIX_PROTOCOL}LOCALPATH`) ?? "";
    const [source, destination] = isServed ? [remote, local] : [local, remote];
    return { command: "proxy", family: "unixStream", source, destination, tlvs };
  }
  const { remote, local } = readUcspiConnection(variables);
  const [source, destination] = isServed ? [remote, local] : [local, remote];
  if (source.address.family === 4 && destination.address.family === 4) {
    return { command: "proxy", family: "tcp4", source, destination, tlvs };
  }
  const ends = { source: mapped(source), destination: mapped(destination) };
  return { command: "proxy", family: "tcp6", ...ends, tlvs };
}

/** A server of both families may tell its own address in the other one: a header has only one. */
function mapped({ address, port }: Endpoint): Endpoint {
  if (address.family === 6) return { address, port };
  const bytes = new Uint8Array(16).fill(0xff, 10, 12);
  bytes.set(address.bytes, 12);
  const ip: IpAddress = { family: 6, bytes };
  return { address: ip, port };
}

/** The extensions that SSL_* variables stand for. */
export function tlsExtensions(variables: Variables): ProxyExtensions {
  const alpn = variables("SSL_TLS_ALPN_PROTOCOL");
  const authority = variables("SSL_TLS_SNI_SERVERNAME");
  const tls = variables("SSL_PROTOCOL") === undefined ? undefined : tlsOf(variables);
  return {
    ...(alpn === undefined ? {} : { alpn }),
    ...(authority === undefined ? {} : { authority }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function tlsOf(variables: Variables): ProxyTls {
  const version = variables("SSL_PROTOCOL");
  const cipher = variables("SSL_CIPHER");
  return {
    ...(version === undefined ? {} : { version }),
    ...(cipher === undefined ? {} : { cipher }),
    ...certificateOf(variables),
  };
}

/**
 * A name that a proxy has told (SSL_PEER_CERT_CN) cannot be verified here, even where the proxy has
 * shown a certificate of its own. A subject is set by s6-tlsd, for certificates it has verified.
 */
function certificateOf(variables: Variables): ProxyTls {
  const commonName = variables("SSL_PEER_CERT_CN");
  if (commonName !== undefined) return { certificate: "connection", isVerified: false, commonName };
  const subject = variables("SSL_PEER_CERT_SUBJECT");
  if (subject === undefined) return { certificate: "none", isVerified: false };
  const name = commonNameOf(subject);
  const known = name === undefined ? {} : { commonName: name };
  return { certificate: "connection", isVerified: true, ...known };
}

/** The last element of `C=US, O=Example\, Inc, CN=joe`, with its escapes undone (networking.md, 13.2). */
function commonNameOf(subject: string): string | undefined {
  const [, name] = /(?:^|, )CN=((?:\\[^]|[^\\,])*)$/.exec(subject) ?? [];
  return name?.replaceAll(/\\([^])/g, "$1");
}
