/**
 * A tunnel from its order to its end: for UCSPI-TLS, wait until the program asks for it (networking.md,
 * section 16); then the handshake, and a notification of its outcome; then relay.
 */

import { SystemError, writeFully } from "../../posix/index.ts";
import type { Fd, Posix, Watch } from "../../posix/index.ts";
import { formatTlsBlock } from "../handshake/block.ts";
import { tlsEdits } from "../handshake/facts.ts";
import type { TlsFacts } from "../handshake/facts.ts";
import { ENDED_WELL, TUNNEL_EXIT } from "./exit.ts";
import type { TunnelEnd } from "./exit.ts";
import { Tunnel } from "./tunnel.ts";
import type { TunnelOptions } from "./tunnel.ts";
import { fdsOf } from "./wire.ts";
import type { Ends } from "./wire.ts";

/** The control descriptor of a program of UCSPI-TLS, and the descriptors that it then reads and writes. */
export interface Control {
  readonly socket: Fd;
  readonly local: Ends;
}

export interface TlsConnectionEvents {
  /** The program of UCSPI-TLS wants TLS, or never will. */
  decided?(accepts: boolean): void;
  /** The handshake is done; call `relay`, unless the connection has a control socket. */
  secured(facts: TlsFacts): void;
  /** Told once, and last. */
  ended(end: TunnelEnd): void;
}

export interface TlsConnectionOptions extends TunnelOptions {
  readonly control: Control | undefined;
}

const CANNOT_UNDERSTAND: TunnelEnd = {
  exitCode: TUNNEL_EXIT.usage,
  message: "unrecognized command on control socket",
};

const START = 0x79; // y
const START_AND_TELL = 0x59; // Y

export class TlsConnection {
  readonly #options: TlsConnectionOptions;
  readonly #events: TlsConnectionEvents;
  #watch: Watch | undefined;
  #tunnel: Tunnel | undefined;
  #isRelaying = false;
  #isOver = false;

  /**
   * All descriptors are the connection's own from now on. Those of the network, which the program of
   * UCSPI-TLS uses too, stay as they are until it asks for TLS.
   */
  constructor(options: TlsConnectionOptions, events: TlsConnectionEvents) {
    this.#options = options;
    this.#events = events;
    if (options.control === undefined) this.#secure((facts) => events.secured(facts));
    else this.#awaitCommand(options.control);
  }

  /** Does it have a program, or the promise of one? */
  get hasProgram(): boolean {
    return this.#isRelaying || this.#options.control !== undefined;
  }

  relay(local: Ends): void {
    if (this.#tunnel === undefined || this.#isOver) {
      closeEnds(this.#options.posix, local);
      return;
    }
    this.#isRelaying = true;
    this.#tunnel.relay(local);
  }

  /** End it here and now; `why` is what is told then, rather than that it was aborted. */
  abort(why?: TunnelEnd): void {
    if (this.#tunnel !== undefined) this.#tunnel.abort(why);
    else this.#endWithout(why ?? ENDED_WELL);
  }

  #awaitCommand(control: Control): void {
    const { posix } = this.#options;
    posix.setNonblocking(control.socket, true);
    this.#watch = posix.watch(control.socket, { readable: true }, () => {
      const byte = readByte(posix, control.socket);
      if (byte === undefined) return;
      this.#watch?.close();
      this.#obey(byte, control);
    });
  }

  #obey(byte: number | "end", { socket, local }: Control): void {
    const { posix } = this.#options;
    if (byte !== START && byte !== START_AND_TELL) {
      if (byte === "end") this.#events.decided?.(false);
      this.#endWithout(byte === "end" ? ENDED_WELL : CANNOT_UNDERSTAND);
      return;
    }
    this.#events.decided?.(true);
    if (byte === START) posix.close(socket);
    this.#secure((facts) => {
      if (byte === START_AND_TELL) tell(posix, socket, facts);
      this.relay(local);
      this.#events.secured(facts);
    });
    void this.#tunnel?.handshake().then((handshake) => {
      if (handshake.kind === "secured") return;
      if (byte === START_AND_TELL) posix.close(socket);
      closeEnds(posix, local);
    });
  }

  #secure(secured: (facts: TlsFacts) => void): void {
    const tunnel = new Tunnel(this.#options);
    this.#tunnel = tunnel;
    void tunnel.handshake().then((handshake) => {
      if (handshake.kind === "secured") secured(handshake.facts);
    });
    void tunnel.ended.then((end) => {
      this.#isOver = true;
      this.#events.ended(end);
    });
  }

  /** The end of a connection that has never had a tunnel. */
  #endWithout(end: TunnelEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#watch?.close();
    const { posix, network, control } = this.#options;
    closeEnds(posix, network);
    if (control !== undefined) {
      posix.close(control.socket);
      closeEnds(posix, control.local);
    }
    this.#events.ended(end);
  }
}

/** One byte, what its absence means, or undefined when there is none yet. */
function readByte(posix: Posix, socket: Fd): number | "end" | undefined {
  const byte = new Uint8Array(1);
  try {
    const count = posix.read(socket, byte);
    return count === 0 ? "end" : count && byte[0];
  } catch (error) {
    if (error instanceof SystemError) return "end";
    throw error;
  }
}

/** Write what is known of the connection to a program, which may have gone. Closes the descriptor. */
export function tell(posix: Posix, fd: Fd, facts: TlsFacts): void {
  try {
    writeFully(posix, fd, formatTlsBlock(tlsEdits(facts)));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  } finally {
    posix.close(fd);
  }
}

function closeEnds(posix: Posix, ends: Ends): void {
  for (const fd of fdsOf(ends)) posix.close(fd);
}
