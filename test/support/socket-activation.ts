/** The example of socket activation, in a scene: its holder, its sockets, its services, and clients that wait. */

import { cpSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { dial, dialPath } from "../ucspi/dial.ts";
import type { Dialed } from "../ucspi/dial.ts";
import { ROOT } from "./scene.ts";
import type { Run, Scene, SceneProcess } from "./scene.ts";

/** The two services of the example. */
export type Family = "unix" | "tcp";

export const FAMILIES: readonly Family[] = ["unix", "tcp"];

/** The example in a scene, with a socket of each family that nobody else uses. */
export class Activation {
  readonly scene: Scene;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;

  private constructor(scene: Scene, port: number) {
    this.scene = scene;
    this.port = port;
    this.env = { ECHO_PATH: this.path, ECHO_PORT: String(port) };
  }

  /** Copy the example and start its holder. */
  static async start(scene: Scene): Promise<Activation> {
    cpSync(join(ROOT, "examples", "socket-activation"), scene.directory, { recursive: true });
    const activation = new Activation(scene, await scene.freePort());
    await activation.startHolder();
    return activation;
  }

  /** The path of the Unix-domain socket. */
  get path(): string {
    return this.scene.path("echo");
  }

  /** The name that the holder has for the socket of a family. */
  id(family: Family): string {
    return family === "unix" ? `unix:${this.path}` : `tcp:127.0.0.1:${this.port}`;
  }

  /** Start a holder, which takes over from the one before where there is one, and wait until it serves. */
  async startHolder(): Promise<SceneProcess> {
    return await this.#startRun("fdholder");
  }

  /** Start a service and wait until it serves. */
  async startService(family: Family): Promise<SceneProcess> {
    return await this.#startRun(`echo-${family}`);
  }

  /** Bind and store the sockets that the holder does not have. */
  bind(): Promise<Run> {
    return this.scene.execute(this.scene.path("bind"), [], { env: this.env }).finished();
  }

  /** The names of what the holder has. */
  async held(): Promise<string[]> {
    const list = await this.scene.run("s6-fdholder-list", ["fdholder/s"]);
    return list.exits(0).stdout.split("\n").slice(0, -1).toSorted();
  }

  connect(family: Family): Promise<Dialed> {
    return family === "unix" ? dialPath(this.path) : dial(this.port);
  }

  async #startRun(service: string): Promise<SceneProcess> {
    const directory = this.scene.path(service);
    const started = this.scene.execute(`${directory}/run`, [], { env: this.env, directory });
    await started.line(/^\d*$/);
    return started;
  }
}

/** Clients that have connected and sent their lines, which an echo service gives back. */
export class Waiting implements AsyncDisposable {
  readonly #clients: readonly Dialed[];

  private constructor(clients: readonly Dialed[]) {
    this.#clients = clients;
  }

  /** Connect so many clients; each sends a line of its own and closes its sending end. */
  static async connect(count: number, connect: () => Promise<Dialed>): Promise<Waiting> {
    const clients = await Promise.all(Array.from({ length: count }, connect));
    for (const [index, client] of clients.entries()) client.end(lineOf(index));
    return new Waiting(clients);
  }

  /** Wait until each has everything back that it has sent, and nothing else. */
  async expectServed(): Promise<void> {
    const answers = await Promise.all(this.#clients.map((client) => client.rest()));
    expect(answers).toEqual(this.#clients.map((_, index) => lineOf(index)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client[Symbol.asyncDispose]();
  }
}

/** More than one buffer of a pipe. */
const LINE_CHARACTERS = 5000;

function lineOf(index: number): string {
  return `${`client ${index} `.repeat(LINE_CHARACTERS).slice(0, LINE_CHARACTERS)}\n`;
}
