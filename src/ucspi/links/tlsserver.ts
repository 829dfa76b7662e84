/** s6-tlsserver: the command line of a TLS server, rewritten into its parts (networking.md, section 17). */

import type { RulesSource } from "../../access/index.ts";
import { defineLink, end, EXIT, goOn, identityOption, withEnvironment } from "../../chain/index.ts";
import type { LinkContext, LinkFinder, LinkWords } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import {
  flag,
  fold,
  gidList,
  parsedBy,
  pick,
  text,
  UsageError,
  value,
  withLongNames,
  wordsOf,
} from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { PROXY_SERVER_OPTIONS } from "../../proxy/index.ts";
import {
  ENGINE_USER,
  engineUserEdits,
  namedSni,
  TLSD_OPTIONS,
  TLSSERVER_TLS_OPTIONS,
} from "../../tls/index.ts";
import {
  ACCESS_OPTIONS,
  identityWords,
  stage,
  TCPSERVER_OPTIONS,
  undoneByDns,
  undoneByNoHosts,
} from "../index.ts";

const NAME = "s6-tlsserver";

/** The options of s6-tcpserver. */
const SERVER = withLongNames(
  {
    ...pick(TCPSERVER_OPTIONS, "verbosity", "announces", "maxConnections", "maxPerAddress"),
    ...pick(TCPSERVER_OPTIONS, "backlog", "also", "drain", "localAddress", "refusals"),
  },
  {
    q: "quiet",
    Q: "normally-verbose",
    v: "verbose",
    1: "notify",
    c: "global-max-connections",
    C: "local-max-connections",
    b: "backlog",
  },
);

/** The options of s6-tcpserver-access; the rules may be passed to s6-tlsd too. */
const GATE = {
  ...withLongNames(
    {
      ...pick(ACCESS_OPTIONS, "isStrict", "noDelay"),
      noNames: undoneByDns(ACCESS_OPTIONS.noNames),
      hostsFile: undoneByNoHosts(ACCESS_OPTIONS.hostsFile),
      ...pick(ACCESS_OPTIONS, "asksIdent", "isParanoid", "localHost", "timeoutMs"),
    },
    {
      W: "no-strict-resolution",
      w: "strict-resolution",
      d: "nagle",
      D: "no-nagle",
      H: "no-dns",
      h: "hosts",
      R: "no-ident",
      r: "ident",
      P: "no-paranoid",
      p: "paranoid",
      l: "local-name",
      t: "timeout",
    },
  ),
  rules: fold<RulesSource | undefined>(
    undefined,
    [
      {
        short: "i",
        long: "rules-directory",
        argument: "rulesdir",
        help: "admit clients by the rules in this directory",
        next: (_, path) => ({ directory: path }),
      },
      {
        short: "x",
        long: "rules-file",
        argument: "rulesfile",
        help: "admit clients by the rules in this CDB file, if there is no -i",
        next: (known, path) =>
          known !== undefined && "directory" in known ? known : { cdb: path },
      },
    ],
    (rules) => ACCESS_OPTIONS.rules.say(rules),
  ),
  ...pick(ACCESS_OPTIONS, "hardTimeout", "requiresName", "mapsIp4"),
};

/** The levels of verbosity and the record of refusals are for the server and the gate. */
const GATE_WORDS = { ...pick(ACCESS_OPTIONS, "verbosity"), ...GATE, ...pick(SERVER, "refusals") };

const TRUST = pick(PROXY_SERVER_OPTIONS, "trusted", "untrusted");

const TRUST_WORDS = { ...pick(PROXY_SERVER_OPTIONS, "verbosity"), ...TRUST };

/** Unlike for s6-tcpserver an empty list is none, as in the C suite. */
const SOME_GROUPS = parsedBy<readonly number[]>((argument) => {
  const groups = gidList.parse(argument);
  return groups.length === 0 ? undefined : groups;
}, "a list of numeric group ids");

const PROGRAM_IDENTITY = withLongNames(
  {
    identity: identityOption({
      groups: SOME_GROUPS,
      help: {
        G: "supplementary groups of the program",
        g: "group of the program",
        u: "user of the program",
        U: "take user, group and groups from UID, GID and GIDLIST, whatever -u, -g and -G say",
      },
    }),
  },
  { G: "gidlist", g: "gid", u: "uid", U: "envuidgid" },
);

const OPTIONS = {
  ...SERVER,
  ...GATE,
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
    help: "connections come from a proxy that announces the client's address by the PROXY protocol",
  }),
  ...TRUST,
  ...TLSSERVER_TLS_OPTIONS,
  checksCertificates: flag({
    long: "cert-rules",
    help: "admit client certificates too by the rules of -i or -x",
    ours: true,
  }),
  ...PROGRAM_IDENTITY,
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
    checkOptions(options);
    const { engineUser } = options;
    const edits = [
      ...(engineUser === undefined ? [] : engineUserEdits(posix, engineUser)),
      ...limitEdits(options),
    ];
    return goOn({ ...withEnvironment(launch, edits), argv: rewrite(words, chains.finder) });
  },
});

/** Rules for an absent certificate would admit no client, or every one. Throws UsageError. */
function checkOptions(options: Options): void {
  const { checksCertificates, rules, clientCertificate, trusted, untrusted } = options;
  if (checksCertificates && rules === undefined) {
    throw new UsageError("cert-rules needs rules: -i or -x", false);
  }
  if (checksCertificates && clientCertificate === "none") {
    throw new UsageError("cert-rules needs client certificates: -y or -Y", false);
  }
  if (trusted === undefined && untrusted === "pass") {
    throw new UsageError("untrusted needs trust", false);
  }
}

function rewrite({ options, operands, program }: LinkWords<typeof OPTIONS>, finder: LinkFinder) {
  const { trusted, verbosity, checksCertificates, rules, sniLevel } = options;
  const maxPerAddress = limitsClients(options) ? undefined : options.maxPerAddress;
  const isProxied = options.isProxied || trusted !== undefined;
  const trust =
    trusted === undefined
      ? []
      : wordsOf(TRUST_WORDS, { ...options, verbosity: Math.min(verbosity, 1) });
  const proxy = isProxied ? stage(finder, "proxy-server", ["--before-tlsd", ...trust]) : [];
  const gate = needsGate(options)
    ? stage(finder, "s6-tcpserver-access", wordsOf(GATE_WORDS, options))
    : [];
  const engine = wordsOf(TLSD_OPTIONS, {
    ...options,
    sni: namedSni(sniLevel),
    certificateRules: checksCertificates ? rules : undefined,
  });
  return [
    ...stage(finder, "s6-tcpserver", wordsOf(SERVER, { ...options, maxPerAddress })),
    ...operands,
    ...(trusted === undefined ? [...gate, ...proxy] : [...proxy, ...gate]),
    ...(limitsClients(options) ? stage(finder, "s6-connlimit", ["-s"]) : []),
    ...stage(finder, "s6-tlsd", engine),
    ...identityStage(options, finder),
    ...(isProxied ? stage(finder, "proxy-server", ["--after-tlsd"]) : []),
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

/** Is there anything for s6-tcpserver-access to do, now that names need not be looked up? */
function needsGate(options: Options): boolean {
  const others = wordsOf(GATE, { ...options, noNames: false, hostsFile: false });
  return !options.noNames || others.length > 0;
}

/** -U counts more than the others, whatever their order; without any of them there is no stage. */
function identityStage({ identity }: Options, finder: LinkFinder): string[] {
  if (identity.length === 0) return [];
  const steps = identity.includes("variables") ? ["variables" as const] : identity;
  return stage(finder, "s6-applyuidgid", identityWords(steps, ["groups", "gid", "uid"]));
}
