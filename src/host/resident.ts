/**
 * Something long-lived that owns its descriptors: a super-server, the TLS engine. Any number of them
 * live in one process, for none touches what the process has only once (host.ts).
 */

/**
 * How a resident is told to stop.
 *
 * - `leave`: take no new work, leave alone what runs, and be done at once;
 * - `drain`: take no new work, and be done when what is under way has ended;
 * - `terminate`: take no new work, and ask what runs to end;
 * - `kill`: end everything now.
 */
export type Stop = "leave" | "drain" | "terminate" | "kill";

export interface Resident {
  /** The name it reports under. */
  readonly name: string;
  /** Take up work. Throws or rejects when it cannot; called once. */
  start(): void | Promise<unknown>;
  /**
   * Begin to stop. May come while it starts, and again, with another word or the same: a resident says
   * what a second one means. Once it is done, nothing happens.
   */
  stop(how: Stop): void;
  /** Its exit code, once it needs the process no more. Never rejects. */
  readonly done: Promise<number>;
}
