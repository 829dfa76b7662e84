import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { BIN, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

const BANNER_B = `00000010${Buffer.from("ftrigr v2.0 (b)\n").toString("hex")}`;
const BANNER_A = `00000010${Buffer.from("ftrigr v2.0 (a)\n").toString("hex")}`;

/** A client in the format of libs6, which says and hears hexadecimal digits. */
class Client implements AsyncDisposable {
  readonly #server: ChildProcess;
  readonly #heard: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  #wake: () => void = () => undefined;
  readonly ended: Promise<unknown[]>;

  constructor(scene: Scene) {
    this.#server = spawn(join(BIN, "s6-ftrigrd"), [], {
      cwd: scene.directory,
      env: { PATH: process.env["PATH"], SKALIBS_CHILD_SPAWN_FDS: "3" },
      stdio: ["pipe", "pipe", "inherit", "pipe"],
    });
    this.ended = once(this.#server, "exit");
    for (const [way, stream] of [this.#server.stdout, this.#server.stdio[3] as Duplex].entries()) {
      stream?.on("data", (chunk: Buffer) => {
        this.#heard[way as 0 | 1] = Buffer.concat([this.#heard[way as 0 | 1], chunk]);
        this.#wake();
      });
    }
    this.#server.stdin?.on("error", () => undefined);
  }

  say(hex: string): void {
    this.#server.stdin?.write(Buffer.from(hex, "hex"));
  }

  /** The next frame of the answers (0) or the news (1). */
  async hear(way: 0 | 1): Promise<string> {
    for (;;) {
      const heard = this.#heard[way];
      const length = heard.length < 4 ? Infinity : 4 + heard.readUInt32BE(0);
      if (heard.length >= length) {
        this.#heard[way] = heard.subarray(length);
        return heard.toString("hex", 0, length);
      }
      await new Promise<void>((wake) => (this.#wake = wake));
    }
  }

  async greet(): Promise<this> {
    this.say(BANNER_B);
    expect([await this.hear(1), await this.hear(0)]).toEqual([BANNER_A, BANNER_A]);
    return this;
  }

  async ask(hex: string): Promise<string> {
    this.say(hex);
    return this.hear(0);
  }

  signal(name: NodeJS.Signals): void {
    this.#server.kill(name);
  }

  hangUp(): void {
    this.#server.stdin?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill("SIGKILL");
    await this.ended;
  }
}

function frame(body: Buffer): string {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length, 0);
  return Buffer.concat([head, body]).toString("hex");
}

function subscribe(id: number, path: string, regex: string, flags = 0, timeoutMs = 0): string {
  const payload = Buffer.from(`${path}\0${regex}\0`);
  const numbers = Buffer.alloc(21);
  numbers.write("+");
  for (const [at, number] of [id, flags, timeoutMs, 0, payload.length].entries()) {
    numbers.writeUInt32BE(number, 1 + 4 * at);
  }
  return frame(Buffer.concat([numbers, payload]));
}

const OK = "0000000400000000";

async function sceneWithEvents(): Promise<Scene> {
  const scene = await newScene();
  (await scene.run("s6-mkfifodir", ["fd"])).exits(0);
  return scene;
}

async function notify(scene: Scene, events: string): Promise<void> {
  (await scene.run("s6-ftrig-notify", ["fd", events])).exits(0);
}

test("s6-ftrigrd answers a client of libs6 byte for byte, and removes its fifos at the end", async () => {
  await using scene = await sceneWithEvents();
  await using client = await new Client(scene).greet();
  const request = "0000001c2b00000000000000000000000000000000000000076664 00612e6300".replace(
    " ",
    "",
  );
  expect(await client.ask(request)).toBe(OK);
  await notify(scene, "xxabc");
  expect(await client.hear(1)).toBe("0000000d00000000000000007878616263");
  expect(readdirSync(scene.path("fd"))).toEqual([]);
  expect(await client.ask(subscribe(1, "fd", "x", 1))).toBe(OK);
  for (const events of ["ax", "bx"]) {
    await notify(scene, events);
    expect(await client.hear(1)).toBe(frame(Buffer.from(`\0\0\0\x01\0\0\0\0${events}`)));
  }
  client.hangUp();
  expect(await client.ended).toEqual([0, null]);
  expect(readdirSync(scene.path("fd"))).toEqual([]);
});

test("s6-ftrigrd tells of subscriptions that cannot be, and goes on", async () => {
  await using scene = await sceneWithEvents();
  await using client = await new Client(scene).greet();
  expect(await client.ask(subscribe(0, "fd", "("))).toBe("0000000400000016");
  expect(await client.ask(subscribe(0, "none", "x"))).toBe("0000000400000002");
  expect(
    await client.ask(frame(Buffer.from("+\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03abc"))),
  ).toBe("0000000400000047");
  expect(await client.ask(subscribe(0, "fd", "x"))).toBe(OK);
  expect(await client.ask(subscribe(0, "fd", "y"))).toBe("0000000400000011");
  expect(await client.ask(subscribe(1, "fd", "y", 0, 50))).toBe(OK);
  expect(await client.hear(1)).toBe("00000008000000010000006e");
  expect(readdirSync(scene.path("fd"))).toHaveLength(1);
});

test("s6-ftrigrd cancels subscriptions, those that have ended or never were too", async () => {
  await using scene = await sceneWithEvents();
  await using client = await new Client(scene).greet();
  expect(await client.ask(subscribe(5, "fd", "x", 1))).toBe(OK);
  for (const id of ["00000005", "00000005", "00000009"]) {
    expect(await client.ask(`000000052d${id}`)).toBe(OK);
    expect(readdirSync(scene.path("fd"))).toEqual([]);
  }
  expect(await client.ask(subscribe(5, "fd", "x"))).toBe(OK);
});

test.each([
  ["an unknown request", "000000013f", 100],
  ["an empty request", "00000000", 100],
  ["a cut request", "000000042b616161", 100],
  ["a message that is too long", "01000001", 111],
])("%s ends s6-ftrigrd", async (_, bytes, exitCode) => {
  await using scene = await sceneWithEvents();
  await using client = await new Client(scene).greet();
  expect(await client.ask(subscribe(0, "fd", "x"))).toBe(OK);
  client.say(bytes);
  expect(await client.ended).toEqual([exitCode, null]);
  expect(readdirSync(scene.path("fd"))).toEqual([]);
});

test("s6-ftrigrd exits 111 for a client of another version, and 100 without its third pipe", async () => {
  await using scene = await sceneWithEvents();
  await using client = new Client(scene);
  client.say(BANNER_B.replace("32", "33"));
  expect(await client.ended).toEqual([111, null]);
  const bare = await scene.run("s6-ftrigrd", []);
  bare.exits(100).stderrIs("s6-ftrigrd: fatal: SKALIBS_CHILD_SPAWN_FDS not set\n");
  for (const number of ["99", "x", ""]) {
    const run = await scene.run("s6-ftrigrd", [], { env: { SKALIBS_CHILD_SPAWN_FDS: number } });
    run.exits(100).stderrIs("s6-ftrigrd: fatal: invalid $SKALIBS_CHILD_SPAWN_FDS\n");
  }
});

test("SIGTERM ends s6-ftrigrd, which removes its fifos", async () => {
  await using scene = await sceneWithEvents();
  await using client = await new Client(scene).greet();
  expect(await client.ask(subscribe(0, "fd", "x"))).toBe(OK);
  client.signal("SIGTERM");
  expect(await client.ended).toEqual([0, null]);
  expect(readdirSync(scene.path("fd"))).toEqual([]);
});
