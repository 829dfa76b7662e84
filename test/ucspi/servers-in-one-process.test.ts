/** Several servers at one host: they share its log, its signals and the process, and nothing else. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultSystem } from "../../src/command/index.ts";
import { ProcessHost, SharedSignals } from "../../src/host/index.ts";
import type { Hosted } from "../../src/host/index.ts";
import { Engine } from "../../src/tls/index.ts";
import { TcpServer } from "../../src/ucspi/index.ts";
import type { TcpServerOptions } from "../../src/ucspi/index.ts";
import { fakeLog } from "../support/fake-log.ts";
import { BIN, isAlive } from "../support/scene.ts";
import { ask, dial } from "./dial.ts";
import type { Dialed } from "./dial.ts";

const ENVIRONMENT = { PATH: `${BIN}:${process.env["PATH"] ?? ""}` };

const ECHO_PID = ["sh", "-c", "echo $$; exec cat"];

let said: string[];
let host: ProcessHost;
let servers: Hosted<TcpServer>[];

beforeEach(() => {
  said = [];
  servers = [];
  const { posix, clock } = defaultSystem();
  const signals = new SharedSignals({ on: () => () => undefined });
  host = new ProcessHost({ posix, clock, signals, log: fakeLog(said) });
});

afterEach(async () => {
  for (const { stop } of servers) stop("kill");
  await Promise.all(servers.map(({ ended }) => ended));
});

/** A server at the host that has started, and its port. */
async function hosted(
  serve: TcpServerOptions["serve"],
  options: Partial<TcpServerOptions> = {},
): Promise<Hosted<TcpServer> & { readonly port: number }> {
  const listen = { host: "127.0.0.1", port: 0 };
  const one = host.run(
    (faces) =>
      new TcpServer(
        { listen, serve, environment: ENVIRONMENT, ...options },
        { ...defaultSystem(), ...faces, host, report: host.log.report },
      ),
  );
  servers.push(one);
  while (one.resident.addresses.length === 0) await new Promise((next) => setImmediate(next));
  return Object.assign(one, { port: one.resident.addresses[0]?.port ?? 0 });
}

async function answers(client: Dialed, text: string): Promise<void> {
  client.write(`${text}\n`);
  expect(await client.line()).toBe(text);
}

describe("two servers of chains in one process", () => {
  test("two servers of chains in one process serve, while one is drained and the other is not", async () => {
    const [one, other] = [await hosted(ECHO_PID), await hosted(ECHO_PID)];
    await using client = await dial(one.port);
    const pid = Number(await client.line());
    one.stop("drain");
    await using newcomer = await dial(other.port);
    await newcomer.line();
    await answers(newcomer, "the other serves newcomers");
    await answers(client, "the drained one serves whom it has");
    expect(isAlive(pid)).toBe(true);
    await expect(ask(one.port)).rejects.toThrow("ECONNREFUSED");
    client.end();
    expect(await one.ended).toEqual({ kind: "done", exitCode: 0 });
    await answers(newcomer, "and goes on");
  });

  test("two servers of chains in one process are independent: one serves on when the other is killed", async () => {
    const [one, other] = [await hosted(ECHO_PID), await hosted(ECHO_PID)];
    await using client = await dial(one.port);
    await using witness = await dial(other.port);
    const [pid] = [Number(await client.line()), await witness.line()];
    one.stop("kill");
    expect(await one.ended).toEqual({ kind: "done", exitCode: 0 });
    expect(isAlive(pid)).toBe(false);
    expect(await client.rest()).toBe("");
    await answers(witness, "alive");
  });

  test("a server of chains that ends leaves running programs alone", async () => {
    const [one, other] = [await hosted(ECHO_PID), await hosted(ECHO_PID)];
    await using client = await dial(one.port);
    await client.line();
    one.stop("leave");
    expect(await one.ended).toEqual({ kind: "done", exitCode: 0 });
    await answers(client, "still there");
    expect(await ask(other.port, "x")).toMatch(/^\d+\nx$/);
  });

  test("two servers of chains in one process report to one log, each in its own name", async () => {
    const [one, other] = [await hosted(["s6-envdir"]), await hosted(["s6-setuidgid", "no-such"])];
    await Promise.all([ask(one.port), ask(other.port)]);
    expect(said.filter((line) => line.startsWith("s6-envdir: ")).length).toBeGreaterThan(0);
    expect(said.filter((line) => line.startsWith("s6-setuidgid: ")).length).toBeGreaterThan(0);
  });
});

describe("a server with a bug", () => {
  test("a server loses the connection whose handler throws, and reports that", async () => {
    const errors: unknown[] = [];
    const thrower = await hosted(
      () => {
        throw new Error("oops");
      },
      { onError: (error) => errors.push(error) },
    );
    const other = await hosted(ECHO_PID);
    for (const round of [1, 2]) {
      expect(await ask(thrower.port)).toBe("");
      expect(errors).toHaveLength(round);
    }
    expect(await ask(other.port, "x")).toMatch(/^\d+\nx$/);
  });

  test("a server is killed when its callback of the event loop throws, and no other is", async () => {
    const other = await hosted(ECHO_PID);
    await using witness = await dial(other.port);
    await witness.line();
    const faulty = await hosted(ECHO_PID, {
      maxPerAddress: 1,
      onRefused: () => {
        throw new Error("oops");
      },
      onError: (error) => {
        throw error;
      },
    });
    await using client = await dial(faulty.port);
    await client.line();
    expect(await ask(faulty.port)).toBe("");
    expect(await faulty.ended).toEqual({ kind: "faulty" });
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^ucspi: fatal: internal error: Error: oops\n/);
    expect(await client.rest()).toBe("");
    await answers(witness, "alive");
    expect(await ask(other.port, "x")).toMatch(/^\d+\nx$/);
  });

  test("a server that cannot start is reported, while the others serve", async () => {
    const other = await hosted(ECHO_PID);
    const listen = { host: "127.0.0.1", port: other.port };
    const { ended } = host.run(
      (faces) => new TcpServer({ listen, serve: ECHO_PID }, { ...defaultSystem(), ...faces, host }),
    );
    expect(await ended).toMatchObject({ kind: "notStarted", error: { code: "EADDRINUSE" } });
    expect(await ask(other.port, "x")).toMatch(/^\d+\nx$/);
  });
});

describe("a TLS engine beside a server", () => {
  test("a TLS engine beside a server is done when its server has ended, and ends no other with it", async () => {
    const { posix } = defaultSystem();
    const [ours, theirs] = posix.socketPair("seqpacket");
    for (const fd of [ours, theirs]) posix.setNonblocking(fd, true);
    const other = await hosted(ECHO_PID);
    const engine = host.run(
      (faces) =>
        new Engine({ ...faces, socket: theirs, failed: () => undefined, refused: () => undefined }),
    );
    posix.close(ours);
    expect(await engine.ended).toEqual({ kind: "done", exitCode: 0 });
    expect(await ask(other.port, "x")).toMatch(/^\d+\nx$/);
  });

  test.each(["drain", "terminate", "kill"] as const)(
    "a TLS engine beside a server is done when it is asked to %s",
    async (how) => {
      const { posix } = defaultSystem();
      const [ours, theirs] = posix.socketPair("seqpacket");
      for (const fd of [ours, theirs]) posix.setNonblocking(fd, true);
      const engine = host.run(
        (faces) =>
          new Engine({
            ...faces,
            socket: theirs,
            failed: () => undefined,
            refused: () => undefined,
          }),
      );
      engine.stop(how);
      expect(await engine.ended).toEqual({ kind: "done", exitCode: 0 });
      posix.close(ours);
    },
  );
});
