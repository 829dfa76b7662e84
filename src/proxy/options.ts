/** The option tables of proxy-server (networking.md, section 12) and proxy-client. */

import { formatPrefix } from "../net/index.ts";
import type { IpPrefix } from "../net/index.ts";
import {
  choice,
  descriptorNumber,
  flag,
  fold,
  list,
  milliseconds,
  oneOf,
  parsedBy,
  unsigned,
  value,
} from "../options/index.ts";
import type { OptionsOf } from "../options/index.ts";
import { decodeBytes, encodeBytes } from "../posix/index.ts";
import type { Tlv } from "./tlv.ts";
import { parseNetworks } from "./trusted.ts";

/** A header comes at once or, after a lost packet or two, within seconds. */
const TIMEOUT_MS = 10_000;

const NETWORKS = parsedBy(parseNetworks, "networks such as 192.0.2.0/24", (networks) =>
  networks.map((network) => formatPrefix(network)).join(","),
);

export const PROXY_SERVER_OPTIONS = {
  only: choice(undefined, [
    { short: "1", long: "only-v1", value: 1, help: "accept the text form only" },
    { short: "2", long: "only-v2", value: 2, help: "accept the binary form only" },
  ]),
  timeoutMs: value(
    {
      short: "t",
      long: "timeout",
      argument: "ms",
      help: `the time that the whole header may take; ${TIMEOUT_MS} by default, 0 for any`,
    },
    milliseconds,
    TIMEOUT_MS,
  ),
  verbosity: value(
    {
      short: "v",
      long: "verbosity",
      argument: "verbosity",
      glued: true,
      help: "0: do not report untrusted clients; 1: report them; the default",
    },
    unsigned,
    1,
  ),
  beforeTls: flag({
    long: "before-tlsd",
    help: "set aside the TLS variables of the header, while s6-tlsd sets its own variables",
  }),
  afterTls: flag({
    long: "after-tlsd",
    help: "read nothing; restore what --before-tlsd has set aside",
  }),
  keepsTls: flag({
    long: "keep-tls",
    help: "with --after-tlsd: keep variables of s6-tlsd that nothing set aside replaces",
    ours: true,
  }),
  verifiedNamesOnly: flag({
    long: "verified-names",
    help: "set SSL_PEER_CERT_CN only if the proxy has verified the certificate",
    ours: true,
  }),
  trusted: fold<readonly IpPrefix[] | undefined>(
    undefined,
    [
      {
        long: "trust",
        argument: "networks",
        help: "accept headers from these networks only; may be repeated",
        ours: true,
        next: (networks = [], text) => [...networks, ...NETWORKS.parse(text)],
      },
    ],
    (networks) => (networks === undefined ? [] : [["trust", NETWORKS.format(networks)]]),
  ),
  untrusted: value(
    {
      long: "untrusted",
      argument: "refuse|pass",
      help: "refuse clients from elsewhere, or serve them under their own addresses",
      ours: true,
    },
    oneOf("refuse", "pass"),
    "refuse" as const,
  ),
};

export type ProxyServerOptions = OptionsOf<typeof PROXY_SERVER_OPTIONS>;

/** The longest header that proxy-client sends: shorter than the buffer of any socket. */
export const PROXY_CLIENT_BYTES_MAX = 4096;

/** The connection that proxy-client announces, or `later`: it sets one aside. */
type Announced = "own" | "served" | "later";

const TLV = parsedBy(
  parseTlv,
  "TYPE=TEXT",
  ({ type, value: bytes }) => `${type}=${decodeBytes(bytes)}`,
);

export const PROXY_CLIENT_OPTIONS = {
  version: choice(2, [
    { short: "1", long: "v1", value: 1, help: "send the text form" },
    { short: "2", long: "v2", value: 2, help: "send the binary form; the default" },
  ]),
  announced: choice<Announced>("own", [
    {
      long: "before-tcpclient",
      value: "later",
      help: "send nothing; set aside the variables of the connection that is being served",
    },
    {
      long: "after-tcpclient",
      value: "served",
      help: "announce the connection that --before-tcpclient has set aside",
    },
  ]),
  fd: value(
    { short: "7", long: "fd", argument: "fd", help: "write to this descriptor; 7 by default" },
    descriptorNumber,
    7,
  ),
  isLocal: flag({ long: "local", help: "announce no client: a health check, for instance" }),
  hidesTls: flag({ long: "no-tls", help: "say nothing of what SSL_* variables say" }),
  checksum: flag({ long: "checksum", help: "add a CRC32C to the binary form" }),
  tlvs: list(
    {
      long: "tlv",
      argument: "type=text",
      help: "add a TLV of this type (5, 0xea) to the binary form; may be repeated",
    },
    TLV,
  ),
};

export type ProxyClientOptions = OptionsOf<typeof PROXY_CLIENT_OPTIONS>;

function parseTlv(text: string): Tlv | undefined {
  const [, type = "", value = ""] = /^(0x[0-9a-f]{1,2}|[0-9]{1,3})=(.*)$/is.exec(text) ?? [];
  const bytes = encodeBytes(value);
  if (type === "" || Number(type) > 0xff) return undefined;
  return bytes.length > PROXY_CLIENT_BYTES_MAX ? undefined : { type: Number(type), value: bytes };
}
