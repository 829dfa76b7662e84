/** A client for tests: lines and ends as promises. */

import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

export interface DialOptions {
  readonly host?: string;
  /** The address from which the connection is made. */
  readonly from?: string;
}

/** A connection to a port of 127.0.0.1; what the server's queue holds counts as connected. */
export async function dial(port: number, options: DialOptions = {}): Promise<Dialed> {
  const { host = "127.0.0.1", from } = options;
  const local = from === undefined ? {} : { localAddress: from };
  const socket = connect({ port, host, allowHalfOpen: true, ...local });
  const dialed = new Dialed(socket);
  await once(socket, "connect");
  return dialed;
}

/** All that a server says to a client that sends nothing but `text`. */
export async function ask(port: number, text = "", options: DialOptions = {}): Promise<string> {
  await using dialed = await dial(port, options);
  dialed.end(text);
  return await dialed.rest();
}

/** A connection to the Unix-domain socket at `path`. */
export async function dialPath(path: string): Promise<Dialed> {
  const socket = connect({ path, allowHalfOpen: true });
  const dialed = new Dialed(socket);
  await once(socket, "connect");
  return dialed;
}

/** All that a local server says to a client that sends nothing but `text`. */
export async function askPath(path: string, text = ""): Promise<string> {
  await using dialed = await dialPath(path);
  dialed.end(text);
  return await dialed.rest();
}

export class Dialed implements AsyncDisposable {
  readonly socket: Socket;
  /** The connection was reset, not ended. */
  wasReset = false;
  #text = "";
  #isOver = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
    socket.on("error", () => {
      this.wasReset = true;
      this.#over();
    });
    socket.on("end", () => this.#over());
    socket.on("close", () => this.#over());
  }

  get port(): number {
    return this.socket.localPort ?? 0;
  }

  /** The next line, without its end; what there is when the connection ends before. */
  async line(): Promise<string> {
    while (!this.#text.includes("\n") && !this.#isOver) await this.#news();
    const end = this.#text.indexOf("\n");
    const line = end < 0 ? this.#text : this.#text.slice(0, end);
    this.#text = this.#text.slice(end < 0 ? line.length : end + 1);
    return line;
  }

  /** Everything until the server ends the connection. */
  async rest(): Promise<string> {
    while (!this.#isOver) await this.#news();
    return this.#text;
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Of no text nothing is written: to a server that has gone, that would be an error before its answer is read. */
  end(text = ""): void {
    if (text === "") this.socket.end();
    else this.socket.end(text, "latin1");
  }

  /** Close with a reset, as SO_LINGER 0 does. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    if (!this.socket.closed) await once(this.socket, "close").catch(() => {});
  }

  async #news(): Promise<void> {
    await new Promise<void>((wake) => (this.#wake = wake));
  }

  #over(): void {
    this.#isOver = true;
    this.#wake();
  }
}
