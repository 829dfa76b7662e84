/** The configuration of an engine before it can run tunnels, as short as possible. */

import type { EngineConfiguration } from "../../../src/tls/engine/messages.ts";

/** A client that verifies nothing, and fails in the name of `speaker`. */
export function configurationOf(speaker: string): EngineConfiguration {
  return {
    speaker,
    handshakes: { perSource: 10, inAll: 10 },
    settings: {
      handshakeTimeoutMs: undefined,
      idleTimeoutMs: undefined,
      tellsTimeout: false,
      sendsCloseNotify: false,
      enforcesCloseNotify: false,
      closesBothWays: false,
    },
    side: {
      role: "client",
      material: {
        pair: undefined,
        anchors: [],
        serverName: undefined,
        verifiesCertificate: false,
        verifiesName: false,
        minVersion: "TLSv1.2",
        maxVersion: "TLSv1.3",
        ciphers: undefined,
        alpn: [],
      },
    },
  };
}
