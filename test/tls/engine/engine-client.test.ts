/** A server's side of an engine, with a socket at the other end that says what it likes. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loadPosix, SystemError } from "../../../src/posix/index.ts";
import type { Child, Fd, Posix } from "../../../src/posix/index.ts";
import { EngineClient } from "../../../src/tls/engine/engine-client.ts";
import {
  formatGreeting,
  parseGreeting,
  PROTOCOL_VERSION,
} from "../../../src/tls/engine/greeting.ts";
import type { RemoteTunnel } from "../../../src/tls/engine/remote-tunnel.ts";
import { HANDSHAKE_GRACE_MS, PING_MS, PINGS_MAX } from "../../../src/tls/engine/running-engine.ts";
import { DELAY_MS_MAX, STABLE_MS } from "../../../src/tls/engine/backoff.ts";
import {
  formatMessage,
  MESSAGE_BYTES_MAX,
  parseReply,
  parseRequest,
} from "../../../src/tls/engine/messages.ts";
import type { Reply, Request } from "../../../src/tls/engine/messages.ts";
import { FakeClock } from "../../support/fake-clock.ts";
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

  /** The next thing it is asked for; the descriptors that come with it are closed. */
  hear(): Request {
    const bytes = this.receive();
    return parseGreeting(bytes) === undefined ? parseRequest(bytes) : this.hear();
  }

  receive(): Uint8Array {
    const buffer = Buffer.alloc(MESSAGE_BYTES_MAX);
    const message = posix.receiveMessage(this.socket, buffer);
    for (const fd of message?.fds ?? []) posix.close(fd);
    return buffer.subarray(0, message?.bytes);
  }
}

/**
 * A client and the engines that it starts, which greet with this version ("none": not at all), with
 * those that it gave up, and why.
 */
function newClient(version: number | "none" = PROTOCOL_VERSION, kernel: Posix = posix) {
  const engines: FakeEngine[] = [];
  const gaveUp: (readonly [number, string])[] = [];
  const failures: string[] = [];
  const clock = new FakeClock();
  const client = new EngineClient({
    posix: kernel,
    clock,
    start() {
      const [ours, theirs] = posix.socketPair("seqpacket");
      for (const fd of [ours, theirs]) posix.setNonblocking(fd, true);
      const engine = new FakeEngine(theirs, engines.length + 1);
      engines.push(engine);
      if (version !== "none") engine.say(formatGreeting(version));
      return { socket: ours, child: engine.child };
    },
    gaveUp: ({ pid }, why) => gaveUp.push([pid, why]),
    failed: (speaker, message) => failures.push(`${speaker}: ${message}`),
  });
  const engine = (): FakeEngine => {
    const last = engines.at(-1);
    if (last === undefined) throw new Error("no engine was started");
    return last;
  };
  function dispose(): void {
    for (const { socket } of engines) posix.close(socket);
  }
  return { client, clock, engines, engine, gaveUp, failures, [Symbol.dispose]: dispose };
}

const CONFIGURATION = configurationOf("test");

function open(client: EngineClient, configuration = CONFIGURATION): RemoteTunnel {
  const [read, write] = posix.pipe();
  return client.open(configuration, { network: { read, write }, source: "192.0.2.1" });
}

describe("a tunnel", () => {
  test("a tunnel has the outcome that the engine replies", async () => {
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
    expect(scene.gaveUp).toEqual([]);
  });

  test("a tunnel has an engine that was sent its configuration once", () => {
    using scene = newClient();
    open(scene.client);
    open(scene.client);
    const kinds = [scene.engine().hear(), scene.engine().hear(), scene.engine().hear()];
    expect(kinds.map(({ kind }) => kind)).toEqual(["lastPart", "open", "open"]);
    expect(scene.engines).toHaveLength(1);
  });

  test("a tunnel whose program asks for TLS is secured with the configuration of then, which is sent where it is new", async () => {
    using scene = newClient();
    const now = configurationOf("now");
    const tunnels = [open(scene.client), open(scene.client)];
    const [, first, second] = [scene.engine().hear(), scene.engine().hear(), scene.engine().hear()];
    for (const { id } of [first, second]) scene.engine().reply({ kind: "accepted", id });
    for (const tunnel of tunnels) {
      expect(await tunnel.decided).toBe(true);
      tunnel.secure(now);
    }
    const part = scene.engine().hear();
    expect(part).toMatchObject({ kind: "lastPart" });
    for (const { id } of [first, second]) {
      expect(scene.engine().hear()).toEqual({ kind: "secure", id, configuration: part.id });
    }
  });

  test("a tunnel that has ended meanwhile is not secured", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    const [, { id }] = [scene.engine().hear(), scene.engine().hear()];
    scene.engine().reply({ kind: "accepted", id });
    expect(await tunnel.decided).toBe(true);
    scene.engine().reply({ kind: "ended", id, exitCode: 98 });
    await tunnel.ended;
    tunnel.secure(CONFIGURATION);
    open(scene.client);
    expect(scene.engine().hear()).toMatchObject({ kind: "open" });
  });

  test("a tunnel fails when the engine has ended, and the next one gets another", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    posix.shutdown(scene.engine().socket, "both");
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
    await tunnel.ended;
    open(scene.client);
    expect(scene.engines).toHaveLength(2);
    expect(scene.gaveUp).toEqual([]);
  });

  test("a tunnel gets another engine if the first has ended while it was idle", () => {
    using scene = newClient();
    scene.client.start();
    posix.shutdown(scene.engine().socket, "both");
    open(scene.client);
    expect(scene.engines).toHaveLength(2);
  });

  test("a tunnel fails when the engine has ended with the first message to it", async () => {
    const unaware: Posix = Object.assign(Object.create(posix), { waitReady: () => undefined });
    using scene = newClient(PROTOCOL_VERSION, unaware);
    scene.client.start();
    posix.shutdown(scene.engine().socket, "both");
    const tunnel = open(scene.client);
    expect(scene.engines).toHaveLength(1);
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
    await tunnel.ended;
    expect(scene.clock.pendingTimers).toBe(0);
  });

  test("a tunnel fails when the engine has ended before it was greeted", async () => {
    const gone: Posix = Object.assign(Object.create(posix), {
      sendMessage() {
        throw new SystemError("EPIPE", 32, "sendmsg", "Broken pipe");
      },
    });
    using scene = newClient("none", gone);
    const [read, write] = posix.pipe();
    const tunnel = scene.client.open(CONFIGURATION, {
      network: { read, write },
      source: "192.0.2.1",
    });
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
    await tunnel.ended;
    expect([posix.isOpen(read), posix.isOpen(write)]).toEqual([false, false]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  test("an engine is sent 64 configurations at most", () => {
    using scene = newClient();
    const heard: Request[] = [];
    for (let number = 0; number <= 64; number += 1) {
      const [read, write] = posix.pipe();
      scene.client.open(configurationOf(String(number)), {
        network: { read, write },
        source: "192.0.2.1",
      });
      const isLast = number === 64;
      if (isLast) heard.push(scene.engine().hear());
      scene.engine().hear();
      scene.engine().hear();
    }
    expect(heard).toEqual([{ kind: "forget", id: 1 }]);
  });
});

describe("invalid replies", () => {
  /** Such replies of an engine that was asked for tunnels 1 and 2. */
  const invalid = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }),
    fc
      .tuple(
        fc.constantFrom("accepted", "declined", "ended"),
        fc.integer({ min: 3, max: 2 ** 32 - 1 }),
      )
      .map(([kind, id]) => formatMessage({ kind, id, exitCode: 0 })),
    fc
      .json({ maxDepth: 2 })
      .map((json) => Buffer.concat([Uint8Array.of(7, 1, 0, 0, 0), Buffer.from(json)])),
  );

  test("an engine whose replies are invalid is given up with all its tunnels, and leaves nothing behind", async () => {
    await fc.assert(
      fc.asyncProperty(invalid.filter(isInvalid), async (bytes) => {
        using scene = newClient();
        const tunnels = [open(scene.client), open(scene.client)];
        scene.engine().say(bytes);
        for (const tunnel of tunnels) {
          expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
          await tunnel.ended;
        }
        expect(scene.gaveUp).toEqual([[1, expect.any(String)]]);
        expect(scene.engine().isLeft).toBe(true);
      }),
    );
  });

  test("an engine whose replies are invalid is replaced for the next tunnel", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    scene.engine().say(Buffer.from("hello"));
    await tunnel.ended;
    const next = open(scene.client);
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await next.secured).toEqual({ kind: "secured", facts: FACTS });
    expect(scene.engines).toHaveLength(2);
  });

  test("an engine whose replies are invalid cannot make the server keep descriptors", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    const [read, write] = posix.pipe();
    scene.engine().say(formatMessage({ kind: "ended", id: 1, exitCode: 3 }), [write]);
    posix.close(write);
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 3 });
    expect(posix.read(read, Buffer.alloc(1))).toBe(0);
    posix.close(read);
  });

  test("an engine cannot reply for a tunnel that has ended, nor secure one that has failed", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    const other = open(scene.client);
    scene.engine().reply({ kind: "ended", id: 1, exitCode: 98 });
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 98 });
    expect(await other.secured).toEqual({ kind: "failed", exitCode: 111 });
    expect(scene.gaveUp).toEqual([[1, "it sent an invalid message: no tunnel 1"]]);
  });

  /** Is it no reply, or one about another than tunnels 1 and 2? A pong is about none. */
  function isInvalid(bytes: Uint8Array): boolean {
    try {
      const { kind, id } = parseReply(bytes);
      return kind !== "pong" && id > 2;
    } catch {
      return true;
    }
  }
});

describe("the greeting", () => {
  test("the greeting is the first message to an engine, and carries the version", () => {
    using scene = newClient();
    scene.client.start();
    expect(parseGreeting(scene.engine().receive())).toBe(PROTOCOL_VERSION);
  });

  test("a greeting of another version ends the engine with exit code 97, and one line that asks for a restart", async () => {
    using scene = newClient(PROTOCOL_VERSION + 1);
    const tunnel = open(scene.client);
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 97 });
    await tunnel.ended;
    const versions = `it speaks version ${PROTOCOL_VERSION + 1} of the protocol, and this server ${PROTOCOL_VERSION}`;
    const advice = "the installed package was replaced, restart the server";
    expect(scene.gaveUp).toEqual([[1, `${versions}: ${advice}`]]);
    expect(scene.engine().isLeft).toBe(true);
  });

  test("the greeting has to be the first message", async () => {
    using scene = newClient("none");
    const tunnel = open(scene.client);
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 111 });
    expect(scene.gaveUp).toEqual([[1, "it sent an invalid message: not a greeting"]]);
  });

  test("the greeting of an engine parses back, and no other text is one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999_999 }), fc.uint8Array(), (version, bytes) => {
        expect(parseGreeting(formatGreeting(version))).toBe(version);
        expect(parseGreeting(bytes)).toBeUndefined();
      }),
    );
  });
});

describe("an engine that does not answer", () => {
  const limited = { ...CONFIGURATION, settings: { ...CONFIGURATION.settings, tellsTimeout: true } };
  const configuration = { ...limited, settings: { ...limited.settings, handshakeTimeoutMs: 1000 } };

  test("an engine that does not answer fails a handshake that takes longer than its limit and a grace of the server", async () => {
    using scene = newClient();
    const tunnel = open(scene.client, configuration);
    scene.clock.advance(1000 + HANDSHAKE_GRACE_MS - 1);
    expect(scene.failures).toEqual([]);
    scene.clock.advance(1);
    expect(await tunnel.secured).toEqual({ kind: "failed", exitCode: 98 });
    expect(scene.failures).toEqual(["test: handshake timed out"]);
    const heard = [scene.engine().hear(), scene.engine().hear(), scene.engine().hear()];
    expect(heard.map(({ kind }) => kind)).toEqual(["lastPart", "open", "abort"]);
    scene.engine().reply({ kind: "ended", id: 1, exitCode: 98 });
    await tunnel.ended;
    expect(scene.gaveUp).toEqual([]);
  });

  test("an engine that does not answer does not fail a handshake that is done", async () => {
    using scene = newClient();
    const tunnel = open(scene.client, configuration);
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    expect(await tunnel.secured).toMatchObject({ kind: "secured" });
    scene.clock.advance(1000 + HANDSHAKE_GRACE_MS);
    expect(scene.failures).toEqual([]);
  });

  test("an engine that does not answer is given up after two pings, with its tunnels, secured or not", async () => {
    using scene = newClient();
    const tunnels = [open(scene.client), open(scene.client)];
    scene.engine().reply({ kind: "secured", id: 1, facts: FACTS });
    await tunnels[0]?.secured;
    for (let ping = 0; ping < PINGS_MAX; ping += 1) scene.clock.advance(PING_MS);
    expect(scene.gaveUp).toEqual([]);
    scene.clock.advance(PING_MS);
    for (const tunnel of tunnels) await tunnel.ended;
    expect(scene.gaveUp).toEqual([[1, "it has not answered for 20 seconds"]]);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  test("an engine is left alone while it answers, and while it has no tunnels", async () => {
    using scene = newClient();
    const tunnel = open(scene.client);
    expect([scene.engine().hear().kind, scene.engine().hear().kind]).toEqual(["lastPart", "open"]);
    for (let ping = 0; ping < 3 * PINGS_MAX; ping += 1) {
      scene.clock.advance(PING_MS);
      expect(scene.engine().hear()).toEqual({ kind: "ping", id: 0 });
      scene.engine().reply({ kind: "pong", id: 0 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    scene.engine().reply({ kind: "ended", id: 1, exitCode: 0 });
    await tunnel.ended;
    expect(scene.clock.pendingTimers).toBe(0);
    expect(scene.gaveUp).toEqual([]);
  });
});

describe("engines that end at once", () => {
  /** The next tunnel's engine ends at once; the exit code of the tunnel. */
  async function endNext(scene: ReturnType<typeof newClient>): Promise<number> {
    const before = scene.engines.length;
    const tunnel = open(scene.client);
    if (scene.engines.length > before) posix.shutdown(scene.engine().socket, "both");
    const securing = await tunnel.secured;
    await tunnel.ended;
    return securing.kind === "failed" ? securing.exitCode : 0;
  }

  test("engines that end as soon as they are started are replaced at once the first time, and after a growing delay from then on", async () => {
    using scene = newClient();
    expect([await endNext(scene), await endNext(scene)]).toEqual([111, 111]);
    expect(await endNext(scene)).toBe(97);
    expect(scene.engines).toHaveLength(2);
    const again = "the next one is started in 100 milliseconds";
    expect(scene.failures).toEqual([
      `test: the last 2 TLS engines ended soon after their start; ${again}`,
    ]);
    scene.clock.advance(100);
    expect([await endNext(scene), await endNext(scene)]).toEqual([111, 97]);
    for (let round = 0; round < 10; round += 1) {
      scene.clock.advance(DELAY_MS_MAX);
      expect([await endNext(scene), await endNext(scene)]).toEqual([111, 97]);
    }
  });

  test("the delay is reset when an engine has run for a while", async () => {
    using scene = newClient();
    expect([await endNext(scene), await endNext(scene)]).toEqual([111, 111]);
    scene.clock.advance(DELAY_MS_MAX);
    scene.client.start();
    scene.clock.advance(STABLE_MS);
    posix.shutdown(scene.engine().socket, "both");
    expect([await endNext(scene), await endNext(scene)]).toEqual([111, 111]);
  });

  test("engines that end as soon as they are started leave no descriptor of a tunnel behind that gets none", async () => {
    using scene = newClient();
    await endNext(scene);
    await endNext(scene);
    const [read, write] = posix.pipe();
    const tunnel = scene.client.open(CONFIGURATION, {
      network: { read, write },
      source: "192.0.2.1",
    });
    expect([posix.isOpen(read), posix.isOpen(write)]).toEqual([false, false]);
    const [programRead, programWrite] = posix.pipe();
    tunnel.relay({ read: programRead, write: programWrite });
    expect([posix.isOpen(programRead), posix.isOpen(programWrite)]).toEqual([false, false]);
  });
});
