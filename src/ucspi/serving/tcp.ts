/** TCP as a family of connections: peers are endpoints, and are counted by their addresses. */

import { formatIp, fromSocketAddress, tcpLocalEdits, tcpPeerEdits } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { joinEndpoint } from "../log.ts";
import type { Connection } from "./connection.ts";
import type { Protocol } from "./protocol.ts";

export type TcpProtocol = Protocol<Endpoint, Endpoint>;

/** An accepted TCP connection. */
export type AcceptedTcp = Connection<Endpoint, Endpoint>;

const NOBODY: Endpoint = { address: { family: 4, bytes: new Uint8Array(4) }, port: 0 };

/** Variables that keep their values in the place of a connection that does not exist. */
const KNOWN: ReadonlySet<string> = new Set(["PROTO", "TCPCONNNUM"]);

export const TCP: TcpProtocol = {
  local: fromSocketAddress,
  peer: ({ peer }) => fromSocketAddress(peer),
  key: ({ address }) => formatIp(address),
  label: joinEndpoint,
  localEdits: tcpLocalEdits,
  peerEdits: tcpPeerEdits,
  placeholders: () =>
    [...tcpLocalEdits(NOBODY), ...tcpPeerEdits(NOBODY, 0)].map(({ name, value }) => ({
      name,
      value: KNOWN.has(name) ? value : `<${name}>`,
    })),
};
