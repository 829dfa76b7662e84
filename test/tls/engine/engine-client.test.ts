/** A server's side of an engine, with a socket at the other end that says what it likes. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadPosix } from "../../../src/posix/index.ts";
import type { Child, Fd } from "../../../src/posix/index.ts";
import { EngineClient } from "../../../src/tls/engine/engine-client.ts";
import type { RemoteTunnel } from "../../../src/tls/engine/engine-client.ts";
import {
  formatMessage,
  MESSAGE_BYTES_MAX,
  parseReply,
  parseRequest,
} from "../../../src/tls/engine/messages.ts";
import type { Reply, Request } from "../../../src/tls/engine/messages.ts";
import { configurationOf } from "./sample-configuration.ts";

const posix = loadPosix();

const FACTS = {
  protocol: "TLSv1.3",
  cipher: "none",
  serverName: undefined,
  alpn: undefined,
  reportsPeer: false,
  peer: undefined,
};

/** An engine at the end of a socket. */
class FakeEngine {
  readonly socket: Fd;
  readonly child: Child;

  constructor(socket: Fd, number: number) {
    this.socket = socket;
    this.child = { pid: number as Child["pid"], pidfd: -1 as Fd, birth: number };
  }

  say(bytes: Uint8Array, fds: readonly Fd[] = []): void {
    posix.sendMessage(this.socket, bytes, fds);
  }

  reply(reply: Reply): void {
    this.say(formatMessage(reply));
  }

  /** Has the server closed the other end? */
  get isLeft(): boolean {
    return posix.waitReady(this.socket, {}, 0)?.hangup === true;
  }

  /** The next thing it is told; its descriptors are closed. */
  hear(): Request {
    const buffer = Buffer.alloc(MESSAGE_BYTES_MAX);
    const message = posix.receiveMessage(this.socket, buffer);
    for (const fd of message?.fds ?? []) posix.close(fd);
    return parseRequest(buffer.subarray(0, message?.bytes));
  }
}

/** A client and the engines that it starts, with those that it gave up, and why. */
function newClient() {
  const engines: FakeEngine[] = [];
  const buried: (readonly [number, string | undefined])[] = [];
  const client = new EngineClient({
    posix,
    start() {
      const [ours, theirs] = posix.socketPair("seqpacket");
      for (const fd of [ours, theirs]) posix.setNonblocking(fd, true);
      const engine = new FakeEngine(theirs, engines.length + 1);
      engines.push(engine);
      return { socket: ours, child: engine.child };
    },
    died: ({ pid }, why) => buried.push([pid, why]),
  });
  const engine = (): FakeEngine => {
    const last = engines.at(-1);
    if (last === undefined) throw new Error("no engine was started");
    return last;
  };
  function dispose(): void {
    for (const { socket } of engines) posix.close(socket);
  }
  return { client, engines, engine, buried, [Symbol.dispose]: dispose };
}

const CONFIGURATION = configurationOf("test");

function open(client: EngineClient): RemoteTunnel {
  const [read, write] = posix.pipe();
  return client.open(CONFIGURATION, { read, write });
}

describe("a tunnel", () => {
  test("is what the engine tells of it", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    expect(scene.engine().hear()).toMatchObject({ kind: "lastPart" });
    const { kind, id } = scene.engine().hear();
    expect(kind).toBe("open");
    scene.engine().reply({ kind: "secured", id, facts: FACTS });
    expect(await tunnel.secured).toEqual({ kind: "secured", facts: FACTS });
    scene.engine().reply({ kind: "ended", id, exitCode: 0 });
    await tunnel.ended;
    expect(await tunnel.decided).toBeUndefined();
    expect(scene.buried).toEqual([]);
  });

  test("has an engine that was told of its configuration once", () => {
    using scene = newClient();
    open(scene.client);
    open(scene.client);
    const kinds = [scene.engine().hear(), scene.engine().hear(), scene.engine().hear()];
    expect(kinds.map(({ kind }) => kind)).toEqual(["lastPart", "open", "open"]);
    expect(scene.engines).toHaveLength(1);
  });

  test("fails when the engine is gone, and the next one gets another", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    posix.shutdown(scene.engine().socket, "both");
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
    await tunnel.ended;
    expect(scene.buried).toEqual([[1, undefined]]);
    open(scene.client);
    expect(scene.engines).toHaveLength(2);
  });

  test("gets another engine if the first has gone while it had nothing to do", () => {
    using scene = newClient();
    scene.client.start();
    posix.shutdown(scene.engine().socket, "both");
    open(scene.client);
    expect(scene.engines).toHaveLength(2);
    expect(scene.buried).toEqual([[1, undefined]]);
  });

  test("is told to engines that know 64 configurations at most", () => {
    using scene = newClient();
    const heard: Request[] = [];
    for (let number = 0; number <= 64; number += 1) {
      const [read, write] = posix.pipe();
      scene.client.open(configurationOf(String(number)), { read, write });
      const isLast = number === 64;
      if (isLast) heard.push(scene.engine().hear());
      scene.engine().hear();
      scene.engine().hear();
    }
    expect(heard).toEqual([{ kind: "forget", id: 1 }]);
  });
});

describe("an engine that betrays", () => {
  /** What such an engine says, when it is asked for tunnels 1 and 2. */
  const betrayals = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }),
    fc
      .tuple(
        fc.constantFrom("accepted", "declined", "ended"),
        fc.integer({ min: 3, max: 2 ** 32 - 1 }),
      )
      .map(([kind, id]) => formatMessage({ kind, id, exitCode: 0 })),
    fc
      .json({ maxDepth: 2 })
      .map((json) => Buffer.concat([Uint8Array.of(6, 1, 0, 0, 0), Buffer.from(json)])),
  );

  test("is given up with all its tunnels, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(betrayals.filter(isBetrayal), async (bytes) => {
        using scene = newClient();
        const tunnels = [open(scene.client), open(scene.client)];
        scene.engine().say(bytes);
        for (const tunnel of tunnels) {
          expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
          await tunnel.ended;
        }
        expect(scene.buried).toEqual([[1, expect.any(String)]]);
        expect(scene.engine().isLeft).toBe(true);
      }),
    );
  });

  test("is replaced for the next tunnel", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    scene.engine().say(Buffer.from("hello"));
    await tunnel.ended;
    const next = open(scene.client);
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await next.secured).toEqual({ kind: "secured", facts: FACTS });
    expect(scene.engines).toHaveLength(2);
  });

  test("cannot make the server keep descriptors", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    const [read, write] = posix.pipe();
    scene.engine().say(formatMessage({ kind: "ended", id: 1, exitCode: 3 }), [write]);
    posix.close(write);
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 3 });
    expect(posix.read(read, Buffer.alloc(1))).toBe(0);
    posix.close(read);
  });

  test("cannot speak of a tunnel that has ended, nor secure one that has failed", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    const other = open(scene.client);
    scene.engine().reply({ kind: "ended", id: 1, exitCode: 98 });
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 98 });
    expect(await other.secured).toEqual({ kind: "failed", exitCode: 111 });
    expect(scene.buried).toEqual([[1, "no tunnel 1"]]);
  });

  /** Is it no reply, or one about another than tunnels 1 and 2? */
  function isBetrayal(bytes: Uint8Array): boolean {
    try {
      return parseReply(bytes).id > 2;
    } catch {
      return true;
    }
  }
});
