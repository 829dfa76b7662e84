/** The option table of s6-tcpclient (networking.md, section 6). */

import { formatIp, parseIp, parsePort } from "../../net/index.ts";
import {
  choice,
  flag,
  fold,
  parsedBy,
  seconds,
  text,
  unsigned,
  value,
} from "../../options/index.ts";
import type { ArgumentKind, OptionsOf, OptionUse } from "../../options/index.ts";

/** The time limits of one attempt to connect to one address, in the first and the second pass. */
export interface ConnectTimes {
  readonly firstMs: number;
  readonly secondMs: number;
}

const CONNECT_TIMES: ArgumentKind<ConnectTimes> = parsedBy(
  (argument) => {
    const [first = "", second = "0", ...more] = argument.split("+");
    if (more.length > 0) return undefined;
    return { firstMs: unsigned.parse(first) * 1000, secondMs: unsigned.parse(second) * 1000 };
  },
  "x or x+y, in seconds",
  ({ firstMs, secondMs }) => `${firstMs / 1000}+${secondMs / 1000}`,
);

const LOCAL_IP = parsedBy(parseIp, "an IP address", formatIp);

const LOCAL_PORT = parsedBy(parsePort, "a port number");

export const CLIENT_OPTIONS = {
  verbosity: fold(
    1,
    [
      { short: "q", help: "say less", next: (level) => Math.max(0, level - 1) },
      { short: "Q", help: "say what is wrong; the default", next: () => 1 },
      { short: "v", help: "say more", next: (level) => level + 1 },
    ],
    sayVerbosity,
  ),
  family: choice(undefined, [
    { short: "4", value: 4, help: "use IPv4 addresses only" },
    { short: "6", value: 6, help: "use IPv6 addresses only" },
  ]),
  noDelay: choice(false, [
    { short: "d", value: false, help: "leave TCP_NODELAY alone; the default" },
    { short: "D", value: true, help: "set TCP_NODELAY on the connection" },
  ]),
  asksIdent: choice(false, [
    { short: "r", value: true, help: "ask the server's IDENT service for the user" },
    { short: "R", value: false, help: "do not ask for the user; the default" },
  ]),
  hostsFile: flag({ short: "h", help: "look names up in /etc/hosts before asking the DNS" }),
  noNames: flag({ short: "H", help: "ask the DNS nothing; host is a list of addresses" }),
  qualifies: choice(false, [
    { short: "n", value: true, help: "try the host name with the local domains appended first" },
    { short: "N", value: false, help: "take the host name as it is; the default" },
  ]),
  timeoutMs: value(
    { short: "t", argument: "seconds", help: "the time that look-ups and connecting may take" },
    seconds,
  ),
  localHost: value(
    { short: "l", argument: "localname", help: "the local name, instead of looking it up" },
    text,
  ),
  connectTimes: value(
    {
      short: "T",
      argument: "x[+y]",
      help: "give each address x seconds, and in a second round y more; 2+58 by default",
    },
    CONNECT_TIMES,
    { firstMs: 2000, secondMs: 58_000 },
  ),
  localIp: value({ short: "i", argument: "localip", help: "connect from this address" }, LOCAL_IP),
  localPort: value(
    { short: "p", argument: "localport", help: "connect from this port" },
    LOCAL_PORT,
    0,
  ),
  happyEyeballs: flag({
    long: "happy-eyeballs",
    help: "do not wait for one address to fail before trying the next (RFC 8305)",
    ours: true,
  }),
};

export type ClientOptions = OptionsOf<typeof CLIENT_OPTIONS>;

/** `-q` and `-v` count from 1 on. */
function sayVerbosity(level: number): readonly OptionUse[] {
  if (level === 0) return [["q"]];
  if (level === 1) return [["Q"]];
  return Array.from({ length: level - 1 }, () => ["v"]);
}
