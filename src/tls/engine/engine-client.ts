/**
 * A server's side of its TLS engine: starts it, makes configurations known, opens tunnels. An engine
 * that ends takes its tunnels along and nothing else; the next tunnel starts another, but not over and
 * over.
 */

import type { Fd } from "../../posix/index.ts";
import { TUNNEL_EXIT } from "../tunnel/exit.ts";
import { Backoff } from "./backoff.ts";
import type { EngineConfiguration } from "./messages.ts";
import { PendingTunnel } from "./remote-tunnel.ts";
import type { RemoteTunnel } from "./remote-tunnel.ts";
import { descriptorsOf, RunningEngine } from "./running-engine.ts";
import type { EngineProcess, NewTunnel, RunningEngineOptions } from "./running-engine.ts";

export interface EngineClientOptions extends RunningEngineOptions {
  /** Make an engine; throws SystemError when there can be none. */
  start(): EngineProcess;
}

export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #backoff = new Backoff();
  #engine: RunningEngine | undefined;

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  /** Start an engine now, rather than with the first tunnel. */
  start(): void {
    this.#running();
  }

  /**
   * Open a tunnel. All descriptors are its own from now on, and close-on-exec. Throws SystemError when
   * there is no engine and none can be started. While engines end as soon as they are started, a tunnel
   * fails at once (exit code 97) until it is time for the next.
   */
  open(configuration: EngineConfiguration, opened: NewTunnel): RemoteTunnel {
    try {
      const engine = this.#running();
      if (engine !== undefined) return engine.open(configuration, opened);
    } catch (error) {
      this.#close(descriptorsOf(opened));
      throw error;
    }
    this.#close(descriptorsOf(opened));
    return this.#failedTunnel(configuration);
  }

  /** The engine; undefined while none may be started. */
  #running(): RunningEngine | undefined {
    this.#engine?.check();
    if (this.#engine?.isAlive === true) return this.#engine;
    const { clock } = this.#options;
    if (this.#backoff.remainingMs(clock.monotonicMs()) > 0) return undefined;
    const startedMs = clock.monotonicMs();
    this.#engine = new RunningEngine(this.#options.start(), this.#options, () =>
      this.#backoff.ended(startedMs, clock.monotonicMs()),
    );
    return this.#engine;
  }

  #failedTunnel({ speaker }: EngineConfiguration): RemoteTunnel {
    const waitMs = Math.ceil(this.#backoff.remainingMs(this.#options.clock.monotonicMs()));
    const ends = `the last ${this.#backoff.endsInARow} TLS engines ended soon after their start`;
    this.#options.failed(speaker, `${ends}; the next one is started in ${waitMs} milliseconds`);
    const tunnel = new PendingTunnel({
      secure: () => undefined,
      relay: ({ read, write }) => this.#close([read, write]),
      abort: () => undefined,
    });
    tunnel.end(TUNNEL_EXIT.engine);
    return tunnel;
  }

  #close(fds: readonly Fd[]): void {
    for (const fd of fds) this.#options.posix.close(fd);
  }
}
