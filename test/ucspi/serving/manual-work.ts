/** A connection whose test decides what becomes of it: its work is to take note of the effects. */

import type { Pid, WaitStatus } from "../../../src/posix/index.ts";
import type { Life, Work } from "../../../src/ucspi/serving/connection.ts";
import type { AcceptedTcp } from "../../../src/ucspi/serving/tcp.ts";

const DONE: WaitStatus = { kind: "exited", exitCode: 0 };

export class ManualWork implements Work {
  readonly connection: AcceptedTcp;
  readonly life: Life;
  /** The effects in order, signals as `forward 15`. */
  readonly effects: string[] = [];
  hasProcess = false;

  constructor(connection: AcceptedTcp, life: Life) {
    this.connection = connection;
    this.life = life;
  }

  /** Its program runs as this process. */
  serve(pid: number): void {
    this.hasProcess = true;
    this.life.prepared();
    this.life.created(pid as Pid);
    this.life.begun();
  }

  /** Its process, or the chain before it, has ended. */
  end(): void {
    this.life.ended(DONE);
  }

  prepare(): void {
    this.effects.push("prepare");
  }

  create(): void {
    this.effects.push("create");
  }

  abandon(): void {
    this.effects.push("abandon");
  }

  setRetry(): void {
    this.effects.push("setRetry");
  }

  cancelRetry(): void {
    this.effects.push("cancelRetry");
  }

  forward(signal: number): void {
    this.effects.push(`forward ${signal}`);
  }

  kill(): void {
    this.effects.push("kill");
  }

  awaitTunnels(): void {
    this.life.tunnelsEnded();
  }

  abortTunnels(): void {
    this.effects.push("abortTunnels");
  }
}
