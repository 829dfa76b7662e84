/** s6-tlsserver: the command line of a TLS server, rewritten into its parts (networking.md, section 17). */

import { defineLink, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { LinkContext, LinkFinder, LinkWords } from "../../chain/index.ts";
import { formatIp, formatPrefix, parseGidList } from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import {
  choice,
  flag,
  fold,
  InvalidArgument,
  optionWords,
  text,
  unsigned,
  UsageError,
  value,
  withLongNames,
} from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { PROXY_SERVER_OPTIONS } from "../../proxy/index.ts";
import {
  ENGINE_USER,
  engineUserEdits,
  HOSTS_FILE,
  tlsdWords,
  TLSSERVER_TLS_OPTIONS,
} from "../../tls/index.ts";
import { ACCESS_OPTIONS, ALSO, DRAIN, formatEndpoint, LOCAL_ADDRESS, REFUSALS } from "../index.ts";

const NAME = "s6-tlsserver";

/** Whom the program runs as, in the words of s6-applyuidgid. 0 is no change. */
interface ProgramIdentity {
  readonly fromVariables: boolean;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly groups: readonly number[] | undefined;
}

const NO_CHANGE: ProgramIdentity = {
  fromVariables: false,
  uid: undefined,
  gid: undefined,
  groups: undefined,
};

/** What goes to s6-tcpserver; the verbosity goes to the others too. */
const SERVER_OPTIONS = {
  verbosity: choice(undefined, [
    { short: "q", long: "quiet", value: 0, help: "be quiet: fatal errors only" },
    {
      short: "Q",
      long: "normally-verbose",
      value: undefined,
      help: "warnings and rejections too; the default",
    },
    { short: "v", long: "verbose", value: 2, help: "log every connection" },
  ]),
  announces: flag({
    short: "1",
    long: "notify",
    help: "write the port to standard output when ready",
  }),
  maxConnections: value(
    {
      short: "c",
      long: "global-max-connections",
      argument: "maxconn",
      help: "serve at most this many connections at a time",
    },
    atLeastOne,
  ),
  maxPerAddress: value(
    {
      short: "C",
      long: "local-max-connections",
      argument: "localmaxconn",
      help: "serve at most this many connections from one address at a time",
    },
    atLeastOne,
  ),
  backlog: value(
    {
      short: "b",
      long: "backlog",
      argument: "backlog",
      help: "let this many connections wait to be accepted",
    },
    unsigned,
  ),
  also: ALSO,
  drain: DRAIN,
  localAddress: LOCAL_ADDRESS,
  refusals: REFUSALS,
};

/** What goes to s6-tcpserver-access. */
const GATE_OPTIONS = {
  isStrict: withLongNames(ACCESS_OPTIONS.isStrict, {
    W: "no-strict-resolution",
    w: "strict-resolution",
  }),
  noDelay: withLongNames(ACCESS_OPTIONS.noDelay, { d: "nagle", D: "no-nagle" }),
  noNames: choice(false, [
    { short: "H", long: "no-dns", value: true, help: "look up no names" },
    { long: "dns", value: false, help: "look up names; the default" },
  ]),
  hostsFile: HOSTS_FILE,
  asksIdent: withLongNames(ACCESS_OPTIONS.asksIdent, { R: "no-ident", r: "ident" }),
  isParanoid: withLongNames(ACCESS_OPTIONS.isParanoid, { P: "no-paranoid", p: "paranoid" }),
  localHost: withLongNames(ACCESS_OPTIONS.localHost, { l: "local-name" }),
  timeoutMs: withLongNames(ACCESS_OPTIONS.timeoutMs, { t: "timeout" }),
  rulesDirectory: value(
    {
      short: "i",
      long: "rules-directory",
      argument: "rulesdir",
      help: "admit clients by the rules in this directory",
    },
    text,
  ),
  rulesFile: value(
    {
      short: "x",
      long: "rules-file",
      argument: "rulesfile",
      help: "admit clients by the rules in this CDB file, if there is no -i",
    },
    text,
  ),
  hardTimeout: ACCESS_OPTIONS.hardTimeout,
  requiresName: ACCESS_OPTIONS.requiresName,
  mapsIp4: ACCESS_OPTIONS.mapsIp4,
};

const OPTIONS = {
  ...SERVER_OPTIONS,
  ...GATE_OPTIONS,
  banner: value(
    {
      short: "B",
      long: "banner",
      argument: "banner",
      help: "refused: the text would be sent in clear, ahead of TLS",
    },
    text,
  ),
  isProxied: flag({
    short: "L",
    long: "proxy",
    help: "connections come from a proxy that tells the client's address by the PROXY protocol",
  }),
  trusted: PROXY_SERVER_OPTIONS.trusted,
  untrusted: PROXY_SERVER_OPTIONS.untrusted,
  ...TLSSERVER_TLS_OPTIONS,
  checksCertificates: flag({
    long: "cert-rules",
    help: "admit client certificates too by the rules of -i or -x",
    ours: true,
  }),
  identity: fold<ProgramIdentity | undefined>(undefined, [
    {
      short: "G",
      long: "gidlist",
      argument: "gid,gid,...",
      help: "supplementary groups of the program",
      next: (previous = NO_CHANGE, words) => ({ ...previous, groups: gidList(words) }),
    },
    {
      short: "g",
      long: "gid",
      argument: "gid",
      help: "group of the program",
      next: (previous = NO_CHANGE, words) => ({ ...previous, gid: unsigned(words) }),
    },
    {
      short: "u",
      long: "uid",
      argument: "uid",
      help: "user of the program",
      next: (previous = NO_CHANGE, words) => ({ ...previous, uid: unsigned(words) }),
    },
    {
      short: "U",
      long: "envuidgid",
      help: "take user, group and groups from UID, GID and GIDLIST, whatever -u, -g and -G say",
      next: (previous = NO_CHANGE) => ({ ...previous, fromVariables: true }),
    },
  ]),
  engineUser: ENGINE_USER,
};

type Options = OptionsOf<typeof OPTIONS>;

export const tlsserver = defineLink({
  name: NAME,
  summary: "super-server: listen on a TCP port and run a program behind TLS for each connection",
  family: "long",
  options: OPTIONS,
  operands: ["ip", "port"],
  program: "required",
  reach: "anywhere",
  // An account is looked up.
  reachFor: ({ options }) => (options.engineUser === undefined ? "anywhere" : "identity"),
  run(launch, words, { chains, posix, report }: LinkContext) {
    const { options } = words;
    if (options.banner !== undefined) {
      report(NAME, "fatal", "banner would be sent in clear, ahead of TLS: let the program send it");
      return end(EXIT.usage);
    }
    if (options.checksCertificates) checkCertificateRules(options);
    if (options.trusted === undefined && options.untrusted === "pass") {
      throw new UsageError("untrusted needs trust", false);
    }
    const { engineUser } = options;
    const edits = [
      ...(engineUser === undefined ? [] : engineUserEdits(posix, engineUser)),
      ...limitEdits(options),
    ];
    return goOn({ ...withEnvironment(launch, edits), argv: rewrite(words, chains.finder) });
  },
});

function rewrite({ options, operands, program }: LinkWords<typeof OPTIONS>, finder: LinkFinder) {
  const stage = (name: string, words: readonly string[]): string[] => [
    finder.file(name),
    ...words,
    "--",
  ];
  const { identity, trusted } = options;
  const isProxied = options.isProxied || trusted !== undefined;
  const proxy = isProxied ? stage("proxy-server", ["--before-tlsd", ...trustWords(options)]) : [];
  const gate = needsGate(options) ? stage("s6-tcpserver-access", gateWords(options)) : [];
  return [
    ...stage("s6-tcpserver", serverWords(options)),
    ...operands,
    ...(trusted === undefined ? [...gate, ...proxy] : [...proxy, ...gate]),
    ...(limitsClients(options) ? stage("s6-connlimit", ["-s"]) : []),
    ...stage("s6-tlsd", engineWords(options)),
    ...(identity === undefined ? [] : stage("s6-applyuidgid", identityWords(identity))),
    ...(isProxied ? stage("proxy-server", ["--after-tlsd"]) : []),
    ...program,
  ];
}

/** Behind trusted proxies -C is about their clients: the server sees the proxies alone. */
function limitsClients({ trusted, maxPerAddress }: Options): boolean {
  return trusted !== undefined && maxPerAddress !== undefined;
}

/** The limit of s6-connlimit, which the rule of a client may replace. */
function limitEdits(options: Options): EnvironmentEdit[] {
  if (!limitsClients(options)) return [];
  return [{ name: "TCPCONNMAX", value: String(options.maxPerAddress) }];
}

function trustWords({ trusted, untrusted, verbosity }: Options): string[] {
  if (trusted === undefined) return [];
  return [
    ...(verbosity === 0 ? ["-v0"] : []),
    `--trust=${trusted.map((network) => formatPrefix(network)).join(",")}`,
    ...(untrusted === "pass" ? ["--untrusted=pass"] : []),
  ];
}

function serverWords(options: Options): string[] {
  const { verbosity, announces, maxConnections, backlog } = options;
  const maxPerAddress = limitsClients(options) ? undefined : options.maxPerAddress;
  const { also, drain, localAddress, refusals } = options;
  return [
    ...(verbosity === undefined ? [] : [verbosity === 0 ? "-q" : "-v"]),
    ...(announces ? ["-1"] : []),
    ...optionWords("-c", maxConnections),
    ...optionWords("-C", maxPerAddress),
    ...optionWords("-b", backlog),
    ...also.map(({ address, port }) => `--also=${formatEndpoint(formatIp(address), port)}`),
    ...(drain === undefined ? [] : [`--drain=${drain}`]),
    ...(localAddress ? ["--local-address"] : []),
    ...refusalsWords(refusals),
  ];
}

/** Is there anything for s6-tcpserver-access to do? */
function needsGate(options: Options): boolean {
  const { noNames, isStrict, noDelay, asksIdent, isParanoid } = options;
  const { hardTimeout, requiresName, mapsIp4 } = options;
  const { localHost, timeoutMs, rulesDirectory, rulesFile } = options;
  const flags = [isStrict, noDelay, asksIdent, isParanoid, hardTimeout, requiresName, mapsIp4];
  const values = [localHost, timeoutMs, rulesDirectory, rulesFile];
  return !noNames || flags.includes(true) || values.some((argument) => argument !== undefined);
}

function gateWords(options: Options): string[] {
  const { rulesDirectory, rulesFile } = options;
  return [
    ...verbosityWords(options),
    ...(options.isStrict ? ["-w"] : []),
    ...(options.noDelay ? ["-D"] : []),
    ...(options.noNames ? ["-H"] : []),
    ...(options.hostsFile ? ["-h"] : []),
    ...(options.asksIdent ? ["-r"] : []),
    ...(options.isParanoid ? ["-p"] : []),
    ...optionWords("-l", options.localHost),
    ...optionWords("-t", options.timeoutMs),
    ...(rulesDirectory === undefined ? optionWords("-x", rulesFile) : ["-i", rulesDirectory]),
    ...(options.hardTimeout ? ["--hard-timeout"] : []),
    ...(options.requiresName ? ["--require-name"] : []),
    ...(options.mapsIp4 ? ["--unmap"] : []),
    ...refusalsWords(options.refusals),
  ];
}

function engineWords(options: Options): string[] {
  const { checksCertificates, rulesDirectory, rulesFile } = options;
  return [
    ...verbosityWords(options),
    ...tlsdWords(options),
    ...(!checksCertificates
      ? []
      : rulesDirectory === undefined
        ? [`--rules-file=${rulesFile ?? ""}`]
        : [`--rules-directory=${rulesDirectory}`]),
  ];
}

/** Rules for what is not there would admit nobody, or everybody. */
function checkCertificateRules({ rulesDirectory, rulesFile, clientCertificate }: Options): void {
  if (rulesDirectory === undefined && rulesFile === undefined) {
    throw new UsageError("cert-rules needs rules: -i or -x", false);
  }
  if (clientCertificate === "none") {
    throw new UsageError("cert-rules needs client certificates: -y or -Y", false);
  }
}

function identityWords({ fromVariables, uid, gid, groups }: ProgramIdentity): string[] {
  if (fromVariables) return ["-Uz"];
  return [
    ...optionWords("-G", groups?.join(",")),
    ...optionWords("-g", gid === 0 ? undefined : gid),
    ...optionWords("-u", uid === 0 ? undefined : uid),
  ];
}

function verbosityWords({ verbosity }: Options): string[] {
  return verbosity === undefined ? [] : [`-v${verbosity}`];
}

function refusalsWords(refusals: Options["refusals"]): string[] {
  return refusals === undefined ? [] : [`--refusals=${refusals}`];
}

function atLeastOne(argument: string): number {
  return Math.max(1, unsigned(argument));
}

/** As in the C suite an empty list is none. */
function gidList(argument: string): readonly number[] {
  const gids = parseGidList(argument) ?? [];
  if (gids.length === 0) throw new InvalidArgument("a list of numeric group ids");
  return gids;
}
