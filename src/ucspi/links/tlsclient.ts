/** s6-tlsclient: the command line of a TLS client, rewritten into its parts (networking.md, section 17). */

import { defineLink, goOn, withEnvironment } from "../../chain/index.ts";
import type { LinkContext } from "../../chain/index.ts";
import { formatIp, IP4_ANY, IP6_ANY, isSameIp } from "../../net/index.ts";
import { choice, flag, pick, UsageError, withLongNames, wordsOf } from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { ENGINE_USER, engineUserEdits, TLSCLIENT_TLS_OPTIONS } from "../../tls/index.ts";
import { CLIENT_OPTIONS, literalAddresses, stage, undoneByDns, undoneByNoHosts } from "../index.ts";

/** The options of s6-tcpclient. */
const CLIENT = withLongNames(
  {
    verbosity: choice(1, [
      { short: "q", value: 0, help: "say less of connecting" },
      { short: "Q", value: 1, help: "say what is wrong; the default" },
      { short: "v", value: 2, help: "say more of connecting" },
    ]),
    ip4: flag({ short: "4", help: "use IPv4 addresses only" }),
    ip6: flag({ short: "6", help: "use IPv6 addresses only; overrides -4" }),
    ...pick(CLIENT_OPTIONS, "noDelay"),
    noNames: undoneByDns(CLIENT_OPTIONS.noNames),
    hostsFile: undoneByNoHosts(CLIENT_OPTIONS.hostsFile),
    ...pick(CLIENT_OPTIONS, "asksIdent", "qualifies", "timeoutMs", "localHost", "connectTimes"),
    ...pick(CLIENT_OPTIONS, "localIp", "localPort", "happyEyeballs"),
  },
  {
    q: "quiet",
    Q: "normally-verbose",
    v: "verbose",
    4: "ipv4",
    6: "ipv6",
    d: "nagle",
    D: "no-nagle",
    H: "no-dns",
    h: "hosts",
    r: "ident",
    R: "no-ident",
    n: "qualify",
    N: "no-qualify",
    t: "timeout",
    l: "local-name",
    T: "connection-timeouts",
    i: "local-ip",
    p: "local-port",
  },
);

const OPTIONS = { ...CLIENT, ...TLSCLIENT_TLS_OPTIONS, engineUser: ENGINE_USER };

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
  run(launch, { options, operands, program }, { chains: { finder }, posix }: LinkContext) {
    const [host = ""] = operands;
    const client = { ...options, localIp: boundIp(options) };
    const engine = { ...options, serverName: serverNameFor(host, options) };
    const argv = [
      ...stage(finder, "s6-tcpclient", wordsOf(CLIENT, client)),
      ...operands,
      ...stage(finder, "s6-tlsc", wordsOf(TLSCLIENT_TLS_OPTIONS, engine)),
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

/** The address to connect from; any address is none. */
function boundIp({ localIp }: Options): Options["localIp"] {
  const isAny = [IP4_ANY, IP6_ANY].some((any) => localIp !== undefined && isSameIp(any, localIp));
  return isAny ? undefined : localIp;
}
