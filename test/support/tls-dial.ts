/** A client of TLS for tests, made of node:tls: lines, ends and failures as promises. */

import { once } from "node:events";
import { connect } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { Dialed } from "../ucspi/dial.ts";

export interface DialTlsOptions extends ConnectionOptions {
  /** The address from which the connection is made. */
  readonly localAddress?: string;
  /** True unless told otherwise. */
  readonly allowHalfOpen?: boolean;
}

/** A connection to a port of 127.0.0.1 whose handshake is done. Rejects when it fails. */
export async function dialTls(port: number, options: DialTlsOptions = {}): Promise<DialedTls> {
  const all: DialTlsOptions = {
    host: "127.0.0.1",
    port,
    servername: "localhost",
    allowHalfOpen: true,
    rejectUnauthorized: options.ca !== undefined,
    ...options,
  };
  const socket = connect(all);
  const dialed = new DialedTls(socket);
  await once(socket, "secureConnect");
  await afterHandshake();
  return dialed;
}

/**
 * Leave the callback of the handshake. A client of Node that ends its side within loses what came together with
 * the last message of the server's.
 */
export async function afterHandshake(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** All that a server says to a client that sends nothing but `text`. */
export async function askTls(
  port: number,
  text = "",
  options: DialTlsOptions = {},
): Promise<string> {
  await using dialed = await dialTls(port, options);
  dialed.end(text);
  return await dialed.rest();
}

/** The reason why the handshake fails, in OpenSSL's words; fails when it succeeds. */
export async function refusal(port: number, options: DialTlsOptions = {}): Promise<string> {
  try {
    await using dialed = await dialTls(port, options);
    // A server's verdict about the client comes after the handshake, as TLS 1.3 counts.
    await dialed.rest();
    return dialed.error?.message ?? "none";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export class DialedTls extends Dialed {
  override readonly socket: TLSSocket;
  /** The error that the connection ended with, unless it ended well. */
  error: Error | undefined;

  constructor(socket: TLSSocket) {
    super(socket);
    this.socket = socket;
    socket.on("error", (error) => (this.error = error));
  }
}
