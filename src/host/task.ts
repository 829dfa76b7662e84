/**
 * Work that lasts, of a command that does nothing else, as a resident: so its process has a host that
 * does what every long-lived process owes, orphans for one.
 */

import type { Faces } from "./faces.ts";
import type { Host } from "./host.ts";
import type { End } from "./life.ts";
import type { Resident } from "./resident.ts";

/** Its exit code when it is told to stop and given up. */
const EXIT_STOPPED = 111;

/** Run `work`, whose value is its exit code, until it ends; what it throws is why it has `notStarted`. */
export function runTask(
  host: Host,
  name: string,
  work: (faces: Faces) => number | Promise<number>,
): Promise<End> {
  return host.run((faces) => new Task(name, async () => work(faces))).ended;
}

/** It cannot be asked for anything: told to stop in whichever way, it is given up. */
class Task implements Resident {
  readonly name: string;
  readonly done: Promise<number>;
  readonly #work: () => Promise<number>;
  #end: (exitCode: number) => void = () => undefined;

  constructor(name: string, work: () => Promise<number>) {
    this.name = name;
    this.#work = work;
    this.done = new Promise((resolve) => (this.#end = resolve));
  }

  /** Lasts as long as the work. */
  async start(): Promise<void> {
    this.#end(await this.#work());
  }

  stop(): void {
    this.#end(EXIT_STOPPED);
  }
}
