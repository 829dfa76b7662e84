/** The core serves Unix-domain connections as it serves TCP: real sockets, processes and credentials. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { chmodSync } from "node:fs";
import { expect, test } from "vitest";
import { Chains, Environment } from "../../src/chain/index.ts";
import type { LinkContext } from "../../src/chain/index.ts";
import { ProcessHost } from "../../src/host/index.ts";
import { systemClock } from "../../src/clock/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { childService } from "../../src/ucspi/serving/child-service.ts";
import { ConnectionServer } from "../../src/ucspi/serving/connection-server.ts";
import { previewLaunch } from "../../src/ucspi/serving/protocol.ts";
import { TCP } from "../../src/ucspi/serving/tcp.ts";
import { UNIX, UNIX_UNKNOWN } from "../../src/ucspi/serving/unix.ts";
import { fakeLog } from "../support/fake-log.ts";
import { isRoot, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";

const OTHER_USER = 54321;

const posix = loadPosix();

const signals = { on: () => () => undefined };

const host = new ProcessHost({ posix, clock: systemClock, signals, log: fakeLog([]) });

const context: LinkContext = {
  posix,
  clock: systemClock,
  host,
  children: host.children,
  report: () => undefined,
  signals,
  chains: new Chains({
    finder: { ownCommand: () => undefined, load: () => Promise.resolve(undefined), file: String },
    fuses: false,
  }),
  isBecoming: false,
};

/** A program that tells who is there, and then waits for the end of its input. */
const TELL = 'echo "$PROTO $IPCREMOTEEUID $IPCREMOTEEGID $IPCCONNNUM [$IPCREMOTEPATH]"; cat';

class UnixServer implements Disposable {
  readonly log: string[] = [];
  readonly #fd: Fd;
  readonly #core;

  constructor(path: string, maxPerKey: number) {
    this.#fd = posix.socket("unix", "stream");
    posix.bind(this.#fd, { family: "unix", path });
    posix.listen(this.#fd, 16);
    const environment = Environment.of([`PATH=${process.env["PATH"] ?? ""}`]);
    const argv = ["sh", "-c", TELL];
    const launch = { argv, environment, descriptors: new Map([[2, 2 as Fd]]), limits: new Map() };
    this.#core = new ConnectionServer({
      posix,
      clock: systemClock,
      protocol: UNIX,
      listeners: [this.#fd],
      maxConnections: 10,
      maxPerKey,
      asksLocalAddress: false,
      service: childService("server", launch, context, {
        protocol: UNIX,
        awaitsExec: false,
        shortage: (text) => this.log.push(text),
      }),
      events: {
        rejected: ({ peer }, count) => this.log.push(`rejected ${UNIX.label(peer)} ${count}`),
        dropped: (_, why) => this.log.push(why),
        faulted: (error) => this.log.push(String(error)),
      },
    });
    this.#core.start();
  }

  drain(): Promise<boolean> {
    return this.#core.drain(undefined);
  }

  [Symbol.dispose](): void {
    this.#core.stop();
    this.#core.signal(9);
    posix.close(this.#fd);
  }
}

/** The first line that a client of the server reads. */
async function firstLine(client: Socket): Promise<string> {
  let text = "";
  for await (const chunk of client.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
}

async function dialPath(path: string): Promise<Socket> {
  const client = connect({ path, allowHalfOpen: true });
  await once(client, "connect");
  return client;
}

function paths(scene: Scene): { readonly path: string } {
  chmodSync(scene.path("."), 0o755);
  return { path: scene.path("socket") };
}

test("a program gets the ids of the client of a Unix-domain socket, and users are counted", async () => {
  await using scene = await newScene();
  const { path } = paths(scene);
  using server = new UnixServer(path, 2);
  const [uid, gid] = [posix.geteuid(), posix.getegid()];
  const clients: Socket[] = [];
  for (const number of [0, 1]) {
    const client = await dialPath(path);
    clients.push(client);
    expect(await firstLine(client)).toBe(`IPC ${uid} ${gid} ${number} []`);
  }
  const third = await dialPath(path);
  third.resume().end();
  await once(third, "close");
  expect(server.log).toEqual([`rejected ${uid}:${gid} 2`]);
  const drained = server.drain();
  for (const client of clients) client.end();
  expect(await drained).toBe(true);
});

test.skipIf(!isRoot)(
  `users are counted apart, whatever process connects${isRoot ? "" : " (skipped: not root)"}`,
  async () => {
    await using scene = await newScene();
    const { path } = paths(scene);
    using server = new UnixServer(path, 1);
    chmodSync(path, 0o777);
    const client = await dialPath(path);
    expect(await firstLine(client)).toMatch(/^IPC 0 0 0 /);
    const script = `const c = require("net").connect(process.argv[1]); c.once("data", (d) => { process.stdout.write(d); c.end(); })`;
    const other = spawn(process.execPath, ["-e", script, path], {
      uid: OTHER_USER,
      gid: OTHER_USER,
      cwd: "/",
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    other.stdout.on("data", (chunk) => (text += String(chunk)));
    await once(other, "close");
    expect(text).toBe(`IPC ${OTHER_USER} ${OTHER_USER} 0 []\n`);
    expect(server.log).toEqual([]);
    client.end();
    expect(await server.drain()).toBe(true);
  },
);

test("a name in the abstract space is no path, and a client that is bound has one", () => {
  const address = { family: "unix", path: "\0name" } as const;
  expect(UNIX.local(address)).toBe("");
  expect(UNIX.local({ family: "unix", path: "/run/x" })).toBe("/run/x");
});

test("a server takes listeners of its own family only", async () => {
  await using scene = await newScene();
  const fd = posix.socket("unix", "stream");
  try {
    posix.bind(fd, { family: "unix", path: scene.path("socket") });
    posix.listen(fd, 1);
    const options = {
      posix,
      clock: systemClock,
      listeners: [fd],
      maxConnections: 1,
      maxPerKey: 1,
      asksLocalAddress: false,
      service: () => undefined,
      events: { faulted: () => undefined },
    };
    expect(() => new ConnectionServer({ ...options, protocol: TCP })).toThrow("another family");
    expect(() => new ConnectionServer({ ...options, protocol: UNIX })).not.toThrow();
  } finally {
    posix.close(fd);
  }
});

test("a dry run of a server shows the variables of its family", () => {
  const launch = {
    argv: ["server"],
    environment: Environment.of(["IPCREMOTEEUID=stale", "IPCCONNNUM=stale"]),
    descriptors: new Map(),
    limits: new Map(),
  };
  const { argv, environment } = previewLaunch(UNIX, launch, ["prog"]);
  expect(argv).toEqual(["prog"]);
  expect(environment.strings()).toEqual([
    "PROTO=IPC",
    "IPCREMOTEEUID=<IPCREMOTEEUID>",
    "IPCREMOTEEGID=<IPCREMOTEEGID>",
    "IPCREMOTEPATH=<IPCREMOTEPATH>",
    "IPCCONNNUM=0",
  ]);
  const unknown = previewLaunch(UNIX_UNKNOWN, launch, ["prog"]).environment;
  expect(unknown.strings()).toEqual(["PROTO=IPC", "IPCREMOTEPATH=<IPCREMOTEPATH>", "IPCCONNNUM="]);
});

test("clients that the server does not ask about are one client without ids", () => {
  const peer = { credentials: undefined, path: "/run/client" };
  expect([UNIX_UNKNOWN.key(peer), UNIX_UNKNOWN.label(peer)]).toEqual(["", "?:?"]);
  expect(UNIX_UNKNOWN.peerEdits(peer, 3)).toEqual([
    { name: "IPCREMOTEEUID", value: undefined },
    { name: "IPCREMOTEEGID", value: undefined },
    { name: "IPCREMOTEPATH", value: "/run/client" },
    { name: "IPCCONNNUM", value: "" },
  ]);
});
