/** The option table of s6-tcpserver-access (networking.md, section 7). */

import {
  choice,
  flag,
  list,
  milliseconds,
  pathOfKind,
  pick,
  text,
  unsigned,
  value,
} from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { TCPSERVERD_OPTIONS } from "../server-options.ts";

export const ACCESS_OPTIONS = {
  verbosity: value(
    {
      short: "v",
      argument: "verbosity",
      glued: true,
      help: "0: errors, 1: admitted clients too, 2: refused ones too, 3: failed look-ups too",
    },
    unsigned,
    1,
  ),
  isStrict: choice(false, [
    { short: "W", value: false, help: "go on when a look-up fails; the default" },
    { short: "w", value: true, help: "refuse the client when a look-up fails" },
  ]),
  noDelay: choice(false, [
    { short: "d", value: false, help: "leave TCP_NODELAY alone; the default" },
    { short: "D", value: true, help: "set TCP_NODELAY on the connection" },
  ]),
  noNames: flag({ short: "H", help: "look up no names" }),
  hostsFile: flag({ short: "h", help: "look names up in /etc/hosts before asking the DNS" }),
  asksIdent: choice(false, [
    { short: "R", value: false, help: "do not ask for the user; the default" },
    { short: "r", value: true, help: "ask the client's IDENT server for the user" },
  ]),
  isParanoid: choice(false, [
    { short: "P", value: false, help: "believe what the DNS calls the client; the default" },
    {
      short: "p",
      value: true,
      help: "believe a name only if it maps back to the client's address; overrides -H",
    },
  ]),
  localHost: value(
    { short: "l", argument: "localname", help: "the local name, instead of looking it up" },
    text,
  ),
  banners: list(
    { short: "B", argument: "banner", help: "write this to the client first; may be repeated" },
    text,
  ),
  timeoutMs: value(
    { short: "t", argument: "ms", help: "the time that banner and look-ups may take together" },
    milliseconds,
  ),
  rules: pathOfKind([
    {
      short: "i",
      argument: "rulesdir",
      help: "admit clients by the rules in this directory",
      kind: "directory",
    },
    {
      short: "x",
      argument: "rulesfile",
      help: "admit clients by the rules in this CDB file; the last of -i and -x counts",
      kind: "cdb",
    },
  ]),
  hardTimeout: flag({
    long: "hard-timeout",
    help: "refuse the client, with exit code 99, once the time of -t is over",
    ours: true,
  }),
  requiresName: flag({
    long: "require-name",
    help: "refuse a client without a host name (with -p: one that maps back)",
    ours: true,
  }),
  mapsIp4: flag({
    long: "unmap",
    help: "check an IPv4-mapped IPv6 address by the rules of its IPv4 address",
    ours: true,
  }),
  ...pick(TCPSERVERD_OPTIONS, "refusals"),
};

export type AccessOptions = OptionsOf<typeof ACCESS_OPTIONS>;
