/** s6-tlsclient: the command line of a TLS client, rewritten into its parts (networking.md, section 17). */

import { defineLink, goOn, withEnvironment } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { formatIp, IP4_ANY, IP6_ANY, isSameIp } from "../../net/index.ts";
import { choice, flag, UsageError, withLongNames } from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import {
  ENGINE_USER,
  engineUserEdits,
  HOSTS_FILE,
  TLSCLIENT_TLS_OPTIONS,
  tlscWords,
} from "../../tls/index.ts";
import { CLIENT_OPTIONS, literalAddresses } from "../index.ts";

const OPTIONS = {
  verbosity: choice(undefined, [
    { short: "q", long: "quiet", value: "-q", help: "say less of connecting" },
    {
      short: "Q",
      long: "normally-verbose",
      value: undefined,
      help: "say what is wrong; the default",
    },
    { short: "v", long: "verbose", value: "-v", help: "say more of connecting" },
  ]),
  ip4: flag({ short: "4", long: "ipv4", help: "use IPv4 addresses only" }),
  ip6: flag({ short: "6", long: "ipv6", help: "use IPv6 addresses only; overrides -4" }),
  noDelay: withLongNames(CLIENT_OPTIONS.noDelay, { d: "nagle", D: "no-nagle" }),
  noNames: choice(false, [
    {
      short: "H",
      long: "no-dns",
      value: true,
      help: "ask the DNS nothing; host is a list of addresses",
    },
    { long: "dns", value: false, help: "look names up; the default" },
  ]),
  hostsFile: HOSTS_FILE,
  asksIdent: withLongNames(CLIENT_OPTIONS.asksIdent, { r: "ident", R: "no-ident" }),
  qualifies: withLongNames(CLIENT_OPTIONS.qualifies, { n: "qualify", N: "no-qualify" }),
  timeoutMs: withLongNames(CLIENT_OPTIONS.timeoutMs, { t: "timeout" }),
  localHost: withLongNames(CLIENT_OPTIONS.localHost, { l: "local-name" }),
  connectTimes: withLongNames(CLIENT_OPTIONS.connectTimes, { T: "connection-timeouts" }),
  localIp: withLongNames(CLIENT_OPTIONS.localIp, { i: "local-ip" }),
  localPort: withLongNames(CLIENT_OPTIONS.localPort, { p: "local-port" }),
  happyEyeballs: CLIENT_OPTIONS.happyEyeballs,
  ...TLSCLIENT_TLS_OPTIONS,
  engineUser: ENGINE_USER,
};

type Options = OptionsOf<typeof OPTIONS>;

export const tlsclient = defineLink({
  name: "s6-tlsclient",
  summary: "connect to a TLS server and run a program with the connection",
  family: "long",
  options: OPTIONS,
  operands: ["host", "port"],
  program: "required",
  reach: "anywhere",
  // An account is looked up.
  reachFor: ({ options }) => (options.engineUser === undefined ? "anywhere" : "identity"),
  run(launch, { options, operands, program }, { chains, posix }: LinkContext) {
    const [host = ""] = operands;
    const argv = [
      chains.finder.file("s6-tcpclient"),
      ...clientWords(options),
      "--",
      ...operands,
      chains.finder.file("s6-tlsc"),
      ...tlscWords({ ...options, serverName: serverNameFor(host, options) }),
      "--",
      ...program,
    ];
    const edits =
      options.engineUser === undefined ? [] : engineUserEdits(posix, options.engineUser);
    return goOn({ ...withEnvironment(launch, edits), argv });
  },
});

/**
 * Whose certificate is expected: what -k says, or else the host. A list of addresses could be of
 * several servers and is no answer, unless nobody asks. Throws UsageError.
 */
function serverNameFor(host: string, options: Options): string | undefined {
  if (options.serverName !== undefined) return options.serverName;
  const family = options.ip6 ? 6 : options.ip4 ? 4 : undefined;
  const addresses = literalAddresses(host, family);
  // The dot at the end of a full name is in no certificate (RFC 6066, section 3).
  if (addresses === undefined) return host.replace(/\.$/, "");
  if (!options.verifiesName || !options.verifiesCertificate) return undefined;
  const [address, ...others] = addresses;
  if (address === undefined || others.length > 0) {
    const text = "no single address, so -k has to name the server, or --no-verify-name be given";
    throw new UsageError(`${host === "" ? "an empty host" : host} is ${text}`, false);
  }
  return formatIp(address);
}

function clientWords(options: Options): string[] {
  const { verbosity, timeoutMs, localHost } = options;
  return [
    ...(verbosity === undefined ? [] : [verbosity]),
    ...(options.ip4 ? ["-4"] : []),
    ...(options.ip6 ? ["-6"] : []),
    ...(options.noDelay ? ["-D"] : []),
    ...(options.noNames ? ["-H"] : []),
    ...(options.hostsFile ? ["-h"] : []),
    ...(options.asksIdent ? ["-r"] : []),
    ...(options.qualifies ? ["-n"] : []),
    ...(timeoutMs === undefined ? [] : ["-t", String(timeoutMs / 1000)]),
    ...(localHost === undefined ? [] : ["-l", localHost]),
    ...connectTimesWords(options),
    ...localEndWords(options),
    ...(options.happyEyeballs ? ["--happy-eyeballs"] : []),
  ];
}

function connectTimesWords({ connectTimes }: Options): string[] {
  // The initial value itself is there when no option was.
  if (connectTimes === CLIENT_OPTIONS.connectTimes.initial) return [];
  const { firstMs, secondMs } = connectTimes;
  return ["-T", `${firstMs / 1000}+${secondMs / 1000}`];
}

function localEndWords({ localIp, localPort }: Options): string[] {
  const isAnyIp = localIp === undefined || [IP4_ANY, IP6_ANY].some((any) => isSameIp(any, localIp));
  return [
    ...(isAnyIp ? [] : ["-i", formatIp(localIp)]),
    ...(localPort === 0 ? [] : ["-p", String(localPort)]),
  ];
}
