/** The option tables of s6-tcpserver and of the commands that it is made of (networking.md, 3 to 5). */

import { identityOption } from "../chain/index.ts";
import {
  atLeastOne,
  choice,
  flag,
  list,
  millisecondsOrForever,
  oneOf,
  passedOn,
  pick,
  unsigned,
  value,
  withLongNames,
} from "../options/index.ts";
import { ENDPOINT } from "./endpoint.ts";

/** The longest queue the kernel keeps; it cuts to its own limit. */
export const SOMAXCONN = 4096;

export const CONNECTIONS_DEFAULT = 40;

/** The most connections a server will hold, whatever it is told. */
export const CONNECTIONS_MAX = 16_384;

const BINDING = {
  reusesAddress: choice(true, [
    {
      short: "d",
      value: true,
      help: "bind although closed connections linger on the port; the default",
    },
    { short: "D", value: false, help: "do not set SO_REUSEADDR" },
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
};

/** s6-tcpserver-socketbinder. */
export const SOCKETBINDER_OPTIONS = {
  ...withLongNames(BINDING, { d: "reuse-address", D: "no-reuse-address", b: "backlog" }),
  type: choice("stream", [
    { short: "M", long: "tcp", value: "stream", help: "a TCP socket; the default" },
    { short: "m", long: "udp", value: "datagram", help: "a UDP socket; requires -b 0" },
  ]),
  blocks: flag({ short: "B", long: "block", help: "make the socket blocking" }),
  also: list(
    {
      long: "also",
      argument: "ip:port",
      help: "listen on this address too, for the same server; may be repeated",
      ours: true,
    },
    ENDPOINT,
  ),
};

/** The form in which refused connections are recorded; undefined: not at all. */
const REFUSALS = value(
  {
    long: "refusals",
    argument: "text|json",
    help: "record each refused connection on standard error, as text or as a line of JSON",
    ours: true,
  },
  oneOf("text", "json"),
);

/** s6-tcpserverd. Of `maxConnections` it holds CONNECTIONS_MAX at most; `drain` is in milliseconds. */
export const TCPSERVERD_OPTIONS = {
  verbosity: value(
    {
      short: "v",
      argument: "verbosity",
      glued: true,
      help: "0: fatal errors only, 1: warnings and rejections too, 2: every connection",
    },
    unsigned,
    1,
  ),
  announces: flag({
    short: "1",
    help: "write the local port and a newline to standard output when ready",
  }),
  maxConnections: value(
    {
      short: "c",
      argument: "maxconn",
      help: `serve at most this many connections at a time, ${CONNECTIONS_DEFAULT} by default and ${CONNECTIONS_MAX} at most`,
    },
    atLeastOne,
    CONNECTIONS_DEFAULT,
  ),
  maxPerAddress: value(
    {
      short: "C",
      argument: "localmaxconn",
      help: `serve at most this many connections from one address at a time, ${CONNECTIONS_DEFAULT} by default`,
    },
    atLeastOne,
    CONNECTIONS_DEFAULT,
  ),
  drain: value(
    {
      long: "drain",
      argument: "ms",
      help: "on SIGTERM stop accepting and wait this long for the connections (0: without end)",
      ours: true,
    },
    millisecondsOrForever,
  ),
  localAddress: flag({
    long: "local-address",
    help: "give each program its connection's own local address, not that of the listening socket",
    ours: true,
  }),
  refusals: REFUSALS,
};

/** The verbosity of a server of several parts: the level that all of its parts have. */
export const SERVER_VERBOSITY = choice(1, [
  { short: "q", value: 0, help: "be quiet: fatal errors only" },
  { short: "Q", value: 1, help: "warnings and rejections too; the default" },
  { short: "v", value: 2, help: "log every connection" },
]);

/** s6-tcpserver: what it does not know itself, it hands on to its parts. */
export const TCPSERVER_OPTIONS = {
  verbosity: SERVER_VERBOSITY,
  reusesAddress: BINDING.reusesAddress,
  announces: TCPSERVERD_OPTIONS.announces,
  maxConnections: passedOn(TCPSERVERD_OPTIONS.maxConnections),
  maxPerAddress: passedOn(TCPSERVERD_OPTIONS.maxPerAddress),
  backlog: passedOn(BINDING.backlog),
  identity: identityOption({
    help: {
      G: "supplementary groups of the server, once it has bound its socket",
      g: "group of the server, once it has bound its socket; 0 is ignored",
      u: "user of the server, once it has bound its socket; 0 is ignored",
      U: "take user, group and groups from the variables UID, GID and GIDLIST",
    },
  }),
  also: SOCKETBINDER_OPTIONS.also,
  ...pick(TCPSERVERD_OPTIONS, "drain", "localAddress", "refusals"),
};
