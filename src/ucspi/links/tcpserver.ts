/** s6-tcpserver: the command line of a super-server, rewritten into its parts (networking.md, section 3). */

import { defineLink, goOn } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { formatIp, parseGidList } from "../../net/index.ts";
import {
  choice,
  flag,
  fold,
  InvalidArgument,
  optionWords,
  unsigned,
  value,
} from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { ALSO, DRAIN, LOCAL_ADDRESS, REFUSALS, formatEndpoint } from "../index.ts";

/** Which identity the server takes on, as the words of s6-applyuidgid. */
interface IdentityWords {
  readonly fromEnvironment: boolean;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly groups: readonly number[] | undefined;
}

const NO_CHANGE: IdentityWords = {
  fromEnvironment: false,
  uid: undefined,
  gid: undefined,
  groups: undefined,
};

const OPTIONS = {
  verbosity: choice(undefined, [
    { short: "q", value: 0, help: "be quiet: fatal errors only" },
    { short: "Q", value: undefined, help: "warnings and rejections too; the default" },
    { short: "v", value: 2, help: "log every connection" },
  ]),
  reusesAddress: choice(true, [
    { short: "d", value: true, help: "set SO_REUSEADDR; the default" },
    { short: "D", value: false, help: "do not set SO_REUSEADDR" },
  ]),
  announces: flag({ short: "1", help: "write the port to standard output when ready" }),
  maxConnections: value(
    { short: "c", argument: "maxconn", help: "serve at most this many connections at a time" },
    atLeastOne,
  ),
  maxPerAddress: value(
    {
      short: "C",
      argument: "localmaxconn",
      help: "serve at most this many connections from one address at a time",
    },
    atLeastOne,
  ),
  backlog: value(
    { short: "b", argument: "backlog", help: "let this many connections wait to be accepted" },
    unsigned,
  ),
  identity: fold<IdentityWords>(NO_CHANGE, [
    {
      short: "G",
      argument: "gid,gid,...",
      help: "supplementary groups of the server, once it has bound its socket",
      next: (previous, text) => ({ ...previous, groups: gidList(text) }),
    },
    {
      short: "g",
      argument: "gid",
      help: "group of the server, once it has bound its socket; 0 is ignored",
      next: (previous, text) => ({ ...previous, gid: unsigned(text) || undefined }),
    },
    {
      short: "u",
      argument: "uid",
      help: "user of the server, once it has bound its socket; 0 is ignored",
      next: (previous, text) => ({ ...previous, uid: unsigned(text) || undefined }),
    },
    {
      short: "U",
      help: "take user, group and groups from the variables UID, GID and GIDLIST",
      next: () => ({ ...NO_CHANGE, fromEnvironment: true }),
    },
  ]),
  also: ALSO,
  drain: DRAIN,
  localAddress: LOCAL_ADDRESS,
  refusals: REFUSALS,
};

type Options = OptionsOf<typeof OPTIONS>;

export const tcpserver = defineLink({
  name: "s6-tcpserver",
  summary: "super-server: listen on a TCP port and run a program for each connection",
  family: "short",
  options: OPTIONS,
  operands: ["ip", "port"],
  program: "required",
  reach: "anywhere",
  run(launch, { options, operands, program }, { chains }: LinkContext) {
    const argv = [
      chains.finder.file("s6-tcpserver-socketbinder"),
      ...binderWords(options),
      "--",
      ...operands,
      ...identityWords(options.identity, chains.finder.file("s6-applyuidgid")),
      chains.finder.file("s6-tcpserverd"),
      ...serverWords(options),
      "--",
      ...program,
    ];
    return goOn({ ...launch, argv });
  },
});

function binderWords({ reusesAddress, backlog, also }: Options): string[] {
  return [
    ...(reusesAddress ? [] : ["-D"]),
    ...optionWords("-b", backlog),
    ...also.map(({ address, port }) => `--also=${formatEndpoint(formatIp(address), port)}`),
  ];
}

function identityWords(identity: IdentityWords, applyuidgid: string): string[] {
  const { fromEnvironment, uid, gid, groups } = identity;
  const words = [
    ...(fromEnvironment ? ["-Uz"] : []),
    ...optionWords("-u", uid),
    ...optionWords("-g", gid),
    ...optionWords("-G", groups?.join(",")),
  ];
  return words.length === 0 ? [] : [applyuidgid, ...words, "--"];
}

function serverWords(options: Options): string[] {
  const { verbosity, announces, maxConnections, maxPerAddress } = options;
  return [
    ...(verbosity === undefined ? [] : [`-v${verbosity}`]),
    ...(announces ? ["-1"] : []),
    ...optionWords("-c", maxConnections),
    ...optionWords("-C", maxPerAddress),
    ...(options.drain === undefined ? [] : [`--drain=${options.drain}`]),
    ...(options.localAddress ? ["--local-address"] : []),
    ...(options.refusals === undefined ? [] : [`--refusals=${options.refusals}`]),
  ];
}

function atLeastOne(text: string): number {
  return Math.max(1, unsigned(text));
}

function gidList(text: string): readonly number[] {
  const gids = parseGidList(text);
  if (gids === undefined) throw new InvalidArgument("a list of numeric group ids");
  return gids;
}
