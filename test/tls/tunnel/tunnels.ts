/** Tunnels between real descriptors, with node:tls on an ordinary socket as the peer. */

import { once } from "node:events";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { systemClock } from "../../../src/clock/index.ts";
import type { Clock } from "../../../src/clock/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import type { Fd } from "../../../src/posix/index.ts";
import { Tunnel } from "../../../src/tls/tunnel/tunnel.ts";
import type { TlsHandshake, TlsSide } from "../../../src/tls/handshake/handshake.ts";
import type { TunnelEnd } from "../../../src/tls/tunnel/exit.ts";
import type { TunnelSettings } from "../../../src/tls/tunnel/tunnel.ts";
import { newSelfSigned } from "../../support/certificates.ts";
import { openConnection, openNonblockingPipe } from "./connections.ts";

export const posix = loadPosix();
const certificate = newSelfSigned({ subject: "localhost", names: ["dns:localhost"] });
const secureContext = createSecureContext({
  cert: certificate.pem,
  key: certificate.keyPem,
  sessionIdContext: "test",
});

const FACTS = {
  protocol: "TLSv1.3",
  cipher: "",
  serverName: undefined,
  alpn: undefined,
  reportsPeer: false,
  peer: undefined,
};

/** A server that takes anybody. */
export const SIDE: TlsSide = {
  role: "server",
  open: (wire, { ready }) => ready(() => accept(wire)),
};

function accept(wire: Duplex): TlsHandshake {
  return {
    socket: new TLSSocket(wire, { isServer: true, secureContext }),
    verdict: () => undefined,
    facts: () => FACTS,
    describeError: (error) => (error instanceof Error ? error.message : String(error)),
  };
}

/** No limits, and all options as they are by default. */
export const SETTINGS: TunnelSettings = {
  handshakeTimeoutMs: undefined,
  idleTimeoutMs: undefined,
  tellsTimeout: true,
  sendsCloseNotify: false,
  enforcesCloseNotify: false,
  closesBothWays: false,
};

export interface TunnelScene {
  readonly tunnel: Tunnel;
  /** The peer's plain connection, and its TLS on top. */
  readonly plain: Socket;
  readonly peer: TLSSocket;
  /** The program's descriptors as streams. */
  readonly stdin: Socket;
  readonly stdout: Socket;
  /** Those of the tunnel: the connection, and its ends of the pipes. */
  readonly fds: readonly Fd[];
  end(): Promise<TunnelEnd>;
}

/** The events between the handshake and the start of the program: the tunnel's own socket, the peer's. */
type Meanwhile = (socket: TLSSocket, peer: TLSSocket) => Promise<unknown>;

/** A tunnel whose handshake is done, between a peer and a program. */
export async function openTunnel(
  settings: Partial<TunnelSettings> = {},
  options: ConnectionOptions = {},
  meanwhile: Meanwhile = async () => undefined,
  clock: Clock = systemClock,
): Promise<TunnelScene> {
  const { fd, plain } = await openConnection(posix);
  const sockets: TLSSocket[] = [];
  const tunnel = new Tunnel({
    ...SETTINGS,
    ...settings,
    posix,
    clock,
    side: {
      role: "server",
      open(wire, { ready }) {
        ready(() => {
          const handshake = accept(wire);
          sockets.push(handshake.socket);
          return handshake;
        });
      },
    },
    network: { read: fd, write: fd },
  });
  const peer = connect({ ...options, socket: plain, rejectUnauthorized: false });
  peer.on("error", () => undefined);
  const [handshake] = await Promise.all([tunnel.handshake(), once(peer, "secureConnect")]);
  if (handshake.kind === "failed") throw new Error(handshake.end.message);
  for (const socket of sockets) await meanwhile(socket, peer);
  const [toTunnel, fromProgram] = openNonblockingPipe(posix);
  const [toProgram, fromTunnel] = openNonblockingPipe(posix);
  tunnel.relay({ read: toTunnel, write: fromTunnel });
  const stdin = new Socket({ fd: toProgram, readable: true, writable: false });
  const stdout = new Socket({ fd: fromProgram, readable: false, writable: true });
  stdout.on("error", () => undefined);
  return {
    tunnel,
    plain,
    peer,
    stdin,
    stdout,
    fds: [fd, toTunnel, fromTunnel],
    end: () => tunnel.ended,
  };
}
