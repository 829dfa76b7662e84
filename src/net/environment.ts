/**
 * Edits of an environment: what rules, links and servers do to the variables of a program; the bytes
 * in which rules store them; and the variables of the UCSPI protocol, which a super-server writes and
 * the programs after it read (networking 5 to 8, local-services 2).
 */

import { decodeBytes, joinBlock, splitBlock } from "../posix/index.ts";
import { formatIp, parseIp } from "./address.ts";
import { parsePort } from "./numbers.ts";

import type { Endpoint, IpAddress } from "./address.ts";

/** Set a variable, or remove it where `value` is undefined. Later edits win over earlier ones. */
export interface EnvironmentEdit {
  readonly name: string;
  readonly value: string | undefined;
}

/** A look-up of variables: an environment of any kind, as a function. */
export type Variables = (name: string) => string | undefined;

/** A variable that a program needs is not set, or is invalid. The message is what users see. */
export class VariableError extends Error {
  override readonly name = "VariableError";
  /** The variable at fault, `TCPREMOTEIP`. */
  readonly variable: string;
  readonly reason: "missing" | "invalid";

  constructor(variable: string, reason: "missing" | "invalid") {
    super(reason === "missing" ? `${variable} not set` : `invalid $${variable}`);
    this.variable = variable;
    this.reason = reason;
  }
}

/** The names of the UCSPI variables of one protocol, which is any prefix: `TCP`, `UDP`, `IPC`. */
export interface UcspiNames {
  readonly localIp: string;
  readonly localPort: string;
  readonly localHost: string;
  readonly remoteIp: string;
  readonly remotePort: string;
  readonly remoteHost: string;
  readonly remoteInfo: string;
  readonly connectionNumber: string;
}

/** A connection as its UCSPI variables describe it. */
export interface UcspiConnection {
  /** The value of PROTO, and what the names of the other variables begin with. */
  readonly protocol: string;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** The variable that says which protocol, hence which names, the other variables are of. */
export const PROTO = "PROTO";

export function ucspiNames(protocol: string): UcspiNames {
  return {
    localIp: `${protocol}LOCALIP`,
    localPort: `${protocol}LOCALPORT`,
    localHost: `${protocol}LOCALHOST`,
    remoteIp: `${protocol}REMOTEIP`,
    remotePort: `${protocol}REMOTEPORT`,
    remoteHost: `${protocol}REMOTEHOST`,
    remoteInfo: `${protocol}REMOTEINFO`,
    connectionNumber: `${protocol}CONNNUM`,
  };
}

/** The names of TCP. */
export const TCP_NAMES = ucspiNames("TCP");

/**
 * The variables that a TCP super-server sets for each program. `connectionNumber` counts the
 * connections from the same address that were alive before this one: 0 for the first client.
 */
export function tcpServerEdits(connection: {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly connectionNumber: number;
}): EnvironmentEdit[] {
  const { local, remote, connectionNumber } = connection;
  return [...tcpLocalEdits(local), ...tcpPeerEdits(remote, connectionNumber)];
}

/** The part of `tcpServerEdits` that all connections of one server share. */
export function tcpLocalEdits(local: Endpoint): EnvironmentEdit[] {
  return [
    { name: PROTO, value: "TCP" },
    { name: TCP_NAMES.localIp, value: formatIp(local.address) },
    { name: TCP_NAMES.localPort, value: String(local.port) },
  ];
}

/** The part of `tcpServerEdits` that each connection has of its own. */
export function tcpPeerEdits(remote: Endpoint, connectionNumber: number): EnvironmentEdit[] {
  return [
    ...tcpRemoteEdits(remote),
    { name: TCP_NAMES.connectionNumber, value: String(connectionNumber) },
  ];
}

/** The variables that a TCP client sets for its program. */
export function tcpClientEdits(connection: {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}): EnvironmentEdit[] {
  return [...tcpLocalEdits(connection.local), ...tcpRemoteEdits(connection.remote)];
}

/**
 * The connection that PROTO and the variables it names describe. Throws VariableError for the first
 * of them, in the order PROTO, local address, local port, remote address, remote port, that is
 * missing or malformed.
 */
export function readUcspiConnection(variables: Variables): UcspiConnection {
  const protocol = requireVariable(variables, PROTO);
  const names = ucspiNames(protocol);
  return {
    protocol,
    local: readEndpoint(variables, names.localIp, names.localPort),
    remote: readEndpoint(variables, names.remoteIp, names.remotePort),
  };
}

/** The value of a variable; throws VariableError (`NAME not set`) when there is none. */
export function requireVariable(variables: Variables, name: string): string {
  const value = variables(name);
  if (value === undefined) throw new VariableError(name, "missing");
  return value;
}

/** The IP address in a variable; throws VariableError when it is missing or is not one. */
export function readIpVariable(variables: Variables, name: string): IpAddress {
  return readVariable(variables, name, parseIp);
}

/** The port in a variable; throws VariableError when it is missing or is not one. */
export function readPortVariable(variables: Variables, name: string): number {
  return readVariable(variables, name, parsePort);
}

/**
 * The edits as bytes, `NAME=VALUE\0` and `NAME\0`, the form that compiled rules hold. Throws
 * RangeError for an edit with no such form: a name that is empty or holds `=`, a NUL anywhere.
 */
export function encodeEdits(edits: Iterable<EnvironmentEdit>): Buffer {
  return joinBlock(Array.from(edits, formatEdit));
}

/**
 * The edits that these bytes stand for; undefined when the last is not terminated or one has no
 * name. The number of edits is bounded by the length of the bytes, which the caller has bounded.
 */
export function decodeEdits(bytes: Uint8Array): EnvironmentEdit[] | undefined {
  if (bytes.length > 0 && bytes[bytes.length - 1] !== 0) return undefined;
  const edits = splitBlock(bytes).map(parseEdit);
  return edits.every((edit) => edit.name !== "") ? edits : undefined;
}

/** `NAME=VALUE` sets, `NAME` removes. The name of the edit is empty when the text has none. */
export function parseEdit(text: string): EnvironmentEdit {
  const equals = text.indexOf("=");
  if (equals < 0) return { name: text, value: undefined };
  return { name: text.slice(0, equals), value: text.slice(equals + 1) };
}

/** The bytes of a file in an environment directory that are read by default. */
export const ENVIRONMENT_FILE_BYTES_MAX = 4095;

/** The options with which s6-envdir reads a file; each default is what access rules use too. */
export interface EnvironmentFileOptions {
  /** `-n`: keep blanks, tabs and carriage returns at the end of the line. */
  readonly keepTrailingBlanks?: boolean;
  /** `-f`: the whole file, less one newline at its end, or not even that with `-n`. */
  readonly wholeFile?: boolean;
  /** `-c`: the byte that a NUL becomes; newline unless given. */
  readonly nulReplacement?: number;
  /** Bytes after this many are ignored: ENVIRONMENT_FILE_BYTES_MAX unless given; Infinity: none. */
  readonly bytesMax?: number;
}

const NEWLINE = 0x0a;
const BLANKS: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0d]);

/**
 * The value that a file of an environment directory gives its variable; undefined for an empty file,
 * which removes the variable (networking 8.2, supervision 11.3).
 */
export function parseEnvironmentFile(
  bytes: Uint8Array,
  options: EnvironmentFileOptions = {},
): string | undefined {
  if (bytes.length === 0) return undefined;
  const { nulReplacement = NEWLINE, bytesMax = ENVIRONMENT_FILE_BYTES_MAX } = options;
  const read = bytes.subarray(0, Math.min(bytesMax, bytes.length));
  const value = read.subarray(0, valueEnd(read, options));
  return decodeBytes(value.includes(0) ? value.map((byte) => byte || nulReplacement) : value);
}

/** Is a directory entry of this name one that holds a variable? */
export function isVariableFile(name: string): boolean {
  return !name.startsWith(".") && !name.includes("=");
}

function tcpRemoteEdits(remote: Endpoint): EnvironmentEdit[] {
  return [
    { name: TCP_NAMES.remoteIp, value: formatIp(remote.address) },
    { name: TCP_NAMES.remotePort, value: String(remote.port) },
  ];
}

function readEndpoint(variables: Variables, ipName: string, portName: string): Endpoint {
  const address = readIpVariable(variables, ipName);
  return { address, port: readPortVariable(variables, portName) };
}

/** The parsed value of a variable. Throws VariableError if it is not set or `parse` returns undefined. */
export function readVariable<T>(
  variables: Variables,
  name: string,
  parse: (text: string) => T | undefined,
): T {
  const value = parse(requireVariable(variables, name));
  if (value === undefined) throw new VariableError(name, "invalid");
  return value;
}

function formatEdit({ name, value }: EnvironmentEdit): string {
  const text = value === undefined ? name : `${name}=${value}`;
  if (name === "" || name.includes("=") || text.includes("\0")) {
    throw new RangeError(`Cannot encode the environment edit ${JSON.stringify(text)}`);
  }
  return text;
}

/** The position in a file of an environment directory at which the value ends. */
function valueEnd(bytes: Uint8Array, options: EnvironmentFileOptions): number {
  const { keepTrailingBlanks = false, wholeFile = false } = options;
  if (wholeFile) {
    return !keepTrailingBlanks && bytes.at(-1) === NEWLINE ? bytes.length - 1 : bytes.length;
  }
  const newline = bytes.indexOf(NEWLINE);
  let end = newline < 0 ? bytes.length : newline;
  if (!keepTrailingBlanks) while (end > 0 && BLANKS.has(bytes[end - 1])) end -= 1;
  return end;
}
