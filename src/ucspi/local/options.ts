/** The option tables of s6-ipcserver and of the commands that it is made of (local-services.md, section 6). */

import { identityOption } from "../../chain/index.ts";
import { parseUnsigned } from "../../net/index.ts";
import {
  atLeastOne,
  choice,
  flag,
  milliseconds,
  nonEmptyText,
  octalMode,
  parsedBy,
  passedOn,
  pick,
  text,
  unsigned,
  value,
} from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { ACCESS_OPTIONS } from "../admission/options.ts";
import {
  CONNECTIONS_DEFAULT,
  SERVER_VERBOSITY,
  SOMAXCONN,
  TCPSERVERD_OPTIONS,
} from "../server-options.ts";

/** The permissions of a socket; more than the last nine bits means nothing. */
const PERMISSIONS = parsedBy(
  (text) => octalMode.parse(text) & 0o777,
  "an octal file mode",
  (mode) => `0${mode.toString(8)}`,
);

/** The permissions of a socket unless others are asked for: everybody may connect. */
export const PERMISSIONS_DEFAULT = 0o777;

const ABSTRACT = flag({
  long: "abstract",
  help: "path is a name of the abstract space, that of no file",
  ours: true,
});

const BINDING = {
  replacesStale: choice(true, [
    {
      short: "d",
      value: true,
      help: "replace the socket of a server that has ended; the default",
    },
    { short: "D", value: false, help: "fail if there is anything at path" },
  ]),
  backlog: value(
    {
      short: "b",
      argument: "backlog",
      help: "let this many connections wait to be accepted; 0: do not listen at all",
    },
    unsigned,
    SOMAXCONN,
  ),
  permissions: value(
    {
      short: "a",
      argument: "perms",
      help: "the permissions of the socket in octal, 777 by default: who may write to it may connect",
    },
    PERMISSIONS,
    PERMISSIONS_DEFAULT,
  ),
};

/** s6-ipcserver-socketbinder. */
export const IPC_SOCKETBINDER_OPTIONS = {
  ...pick(BINDING, "replacesStale", "backlog"),
  type: choice("stream", [
    { short: "M", value: "stream", help: "a stream socket; the default" },
    { short: "m", value: "datagram", help: "a datagram socket; requires -b 0" },
  ]),
  ...pick(BINDING, "permissions"),
  blocks: flag({ short: "B", help: "make the socket blocking" }),
  isAbstract: ABSTRACT,
};

const KNOWS_PEERS = choice(true, [
  { short: "P", value: false, help: "do not ask for the user and group of clients" },
  { short: "p", value: true, help: "ask for the user and group of clients; the default" },
]);

/** s6-ipcserverd. Of `maxConnections` it holds CONNECTIONS_MAX at most; `drain` is in milliseconds. */
export const IPCSERVERD_OPTIONS = {
  verbosity: TCPSERVERD_OPTIONS.verbosity,
  announces: flag({ short: "1", help: "write a newline to standard output when ready" }),
  knowsPeers: KNOWS_PEERS,
  maxConnections: TCPSERVERD_OPTIONS.maxConnections,
  maxPerUser: value(
    {
      short: "C",
      argument: "localmaxconn",
      help: `serve at most this many connections of one user at a time, ${CONNECTIONS_DEFAULT} by default`,
    },
    atLeastOne,
    CONNECTIONS_DEFAULT,
  ),
  ...pick(TCPSERVERD_OPTIONS, "drain", "refusals"),
};

/** s6-ipcserver: what it does not know itself, it hands on to its parts. */
export const IPCSERVER_OPTIONS = {
  verbosity: SERVER_VERBOSITY,
  replacesStale: BINDING.replacesStale,
  knowsPeers: KNOWS_PEERS,
  announces: IPCSERVERD_OPTIONS.announces,
  maxConnections: passedOn(IPCSERVERD_OPTIONS.maxConnections),
  maxPerUser: passedOn(IPCSERVERD_OPTIONS.maxPerUser),
  backlog: value(
    {
      short: "b",
      argument: "backlog",
      help: `let this many connections wait to be accepted, ${SOMAXCONN} by default`,
    },
    atLeastOne,
  ),
  permissions: BINDING.permissions,
  identity: identityOption({
    help: {
      G: "supplementary groups of the server, once it has bound its socket",
      g: "group of the server, once it has bound its socket; 0 is ignored",
      u: "user of the server, once it has bound its socket; 0 is ignored",
      U: "take user, group and groups from the variables UID, GID and GIDLIST",
    },
  }),
  isAbstract: ABSTRACT,
  ...pick(IPCSERVERD_OPTIONS, "drain", "refusals"),
};

/** A client by its ids, as the argument of an option. */
export interface CheckedIds {
  readonly uid: number;
  readonly gid: number;
}

const IDS = parsedBy<CheckedIds>(
  (text) => {
    const [uid, gid, ...more] = text.split(":").map((part) => parseUnsigned(part));
    if (uid === undefined || gid === undefined || more.length > 0) return undefined;
    return { uid, gid };
  },
  "uid:gid",
  ({ uid, gid }) => `${uid}:${gid}`,
);

/** s6-ipcserver-access. */
export const IPC_ACCESS_OPTIONS = {
  verbosity: value(
    {
      short: "v",
      argument: "verbosity",
      glued: true,
      help: "0: errors, 1: admitted clients too, 2: refused ones too",
    },
    unsigned,
    1,
  ),
  setsVariables: choice(true, [
    { short: "e", value: true, help: "tell the program about the connection; the default" },
    { short: "E", value: false, help: "take all variables about the connection away" },
  ]),
  localName: value(
    {
      short: "l",
      argument: "localname",
      help: "the local path to tell the program, instead of asking for it",
    },
    text,
  ),
  rules: ACCESS_OPTIONS.rules,
  check: value(
    {
      long: "check",
      argument: "uid:gid",
      help: "show what the rules say about a client with these ids, and run nothing",
      ours: true,
    },
    IDS,
  ),
  ...pick(TCPSERVERD_OPTIONS, "refusals"),
};

export type IpcAccessOptions = OptionsOf<typeof IPC_ACCESS_OPTIONS>;

/** s6-ipcclient; `timeoutMs` is the time that connecting may take. */
export const IPC_CLIENT_OPTIONS = {
  verbosity: choice(1, [
    { short: "q", value: 0, help: "be quiet: fatal errors only" },
    { short: "Q", value: 1, help: "warnings too; the default" },
    { short: "v", value: 2, help: "say that the connection is made" },
  ]),
  bindPath: value(
    { short: "p", argument: "bindpath", help: "bind to this path before connecting" },
    nonEmptyText("a path"),
  ),
  localName: value(
    {
      short: "l",
      argument: "localname",
      help: "the local path to tell the program, instead of asking for it",
    },
    text,
  ),
  timeoutMs: value(
    {
      long: "timeout",
      argument: "ms",
      help: "give up when a server that has no room does not make some for this long",
      ours: true,
    },
    milliseconds,
  ),
  isAbstract: ABSTRACT,
};

export type IpcClientOptions = OptionsOf<typeof IPC_CLIENT_OPTIONS>;
