/**
 * `ucspi` as a library. Every folder of the package can also be imported by itself: `ucspi/access`,
 * `ucspi/net`, `ucspi/chain` and so on.
 *
 * @example
 * import { TcpServer } from "ucspi";
 *
 * await using server = new TcpServer({
 *   listen: { host: "127.0.0.1", port: 0 },
 *   rules: { cdb: "rules.cdb" },
 *   serve: ({ stream, remote }) => void stream.end("hello\n"),
 * });
 * const [{ port }] = await server.start();
 */

import { defaultSystem } from "./command/index.ts";
import { TcpServer as BareTcpServer } from "./ucspi/index.ts";
import type { TcpServerOptions } from "./ucspi/index.ts";

/** A TCP server that runs a chain of words or a function for each connection. */
export class TcpServer extends BareTcpServer {
  constructor(options: TcpServerOptions) {
    super(options, defaultSystem());
  }
}

export type { KeyPairFiles, TlsFacts, TlsOptions } from "./tls/index.ts";
export type { CertificateRulesOption, Handler, ListenTarget } from "./ucspi/index.ts";
export type { RulesOption, TcpConnection, TcpServerOptions } from "./ucspi/index.ts";
export { formatIp, parseIp } from "./net/index.ts";
export type { Endpoint, IpAddress } from "./net/index.ts";
export { SystemError } from "./posix/index.ts";
