import { once } from "node:events";
import { createServer } from "node:net";

import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";

import { deadlineAfter } from "../../src/clock/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { askIdent } from "../../src/ident/index.ts";
import { parseIp } from "../../src/net/index.ts";
import { loadPosix } from "../../src/posix/index.ts";

import type { AddressInfo, Server, Socket } from "node:net";
import type { IdentOutcome, IdentQuestion } from "../../src/ident/index.ts";
import type { Endpoint } from "../../src/net/index.ts";
import type { Posix } from "../../src/posix/index.ts";

let posix: Posix;
let server: Server | undefined;
const connections = new Set<Socket>();

beforeAll(() => {
  posix = loadPosix();
});

afterEach(async () => {
  for (const socket of connections) socket.destroy();
  const closing = server;
  server = undefined;
  if (closing?.listening === true) await new Promise((resolve) => closing.close(resolve));
});

function endpoint(ip: string, port: number): Endpoint {
  const address = parseIp(ip);
  if (address === undefined) throw new TypeError(`Not an IP address: ${ip}`);
  return { address, port };
}

/** A server that hands each request line to `respond`; returns its port. */
async function listen(
  respond: (line: string, socket: Socket) => void,
  host = "127.0.0.1",
): Promise<number> {
  server = createServer((socket) => {
    connections.add(socket);
    let text = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.endsWith("\n")) respond(text, socket);
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function ask(serverPort: number, extra: Partial<IdentQuestion> = {}): Promise<IdentOutcome> {
  const remote = endpoint("127.0.0.1", 6191);
  return askIdent(posix, { remote, local: endpoint("127.0.0.1", 23), serverPort, ...extra });
}

describe("asking an IDENT server", () => {
  test("the IDENT client sends the ports and returns the user", async () => {
    const asked: string[] = [];
    const port = await listen((line, socket) => {
      asked.push(line);
      socket.end("6191, 23 : USERID : UNIX : root\r\n");
    });
    expect(await ask(port)).toEqual({ kind: "user", user: "root" });
    expect(asked).toEqual(["6191 , 23\r\n"]);
  });

  test("the IDENT client works over IPv6", async () => {
    const port = await listen((_, socket) => socket.end("6191,23:USERID:UNIX:six\r\n"), "::1");
    const outcome = await ask(port, { remote: endpoint("::1", 6191), local: endpoint("::1", 23) });
    expect(outcome).toEqual({ kind: "user", user: "six" });
  });

  test("the IDENT client connects from the local address of the connection", async () => {
    const from: (string | undefined)[] = [];
    const port = await listen((_, socket) => {
      from.push(socket.remoteAddress);
      socket.end("6191,23:ERROR:HIDDEN-USER\r\n");
    });
    const outcome = await ask(port, { local: endpoint("127.0.0.2", 23) });
    expect(outcome).toMatchObject({ kind: "error", code: "EPERM" });
    expect(from).toEqual(["127.0.0.2"]);
    expect(await ask(port, { local: endpoint("0.0.0.0", 23) })).toMatchObject({ code: "EPERM" });
  });

  test("the IDENT client puts a reply together that arrives byte by byte", async () => {
    const port = await listen((_, socket) => {
      const rest = Array.from("6191,23:USERID:UNIX:slow\r\n");
      function sendNext(): void {
        const next = rest.shift();
        if (next !== undefined) socket.write(next, () => setImmediate(sendNext));
      }
      socket.setNoDelay(true);
      sendNext();
    });
    expect(await ask(port)).toEqual({ kind: "user", user: "slow" });
  });

  test.each(["", "6191,23:USERID:UNIX:cut"])(
    "the IDENT client takes the end after %j for no answer",
    async (half) => {
      const port = await listen((_, socket) => socket.end(half));
      expect(await ask(port)).toEqual({ kind: "error", code: "EIO", text: "unknown error" });
    },
  );

  test.each([
    ["0,0:USERID:UNIX:other\r\n", "EPROTO", "Protocol error"],
    ["x".repeat(5000), "EPROTO", "Protocol error"],
    [`6191,23:USERID:UNIX:${"x".repeat(600)}\n`, "ENAMETOOLONG", "File name too long"],
  ])("the IDENT client refuses the reply %j", async (reply, code, text) => {
    const port = await listen((_, socket) => socket.end(reply));
    expect(await ask(port)).toEqual({ kind: "failed", code, text });
  });

  test("the IDENT client reports why it could not connect", async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    expect(await ask(port)).toEqual({
      kind: "failed",
      code: "ECONNREFUSED",
      text: "Connection refused",
    });
  });

  test("the IDENT client reports that a local address is not ours", async () => {
    const outcome = await ask(9, { local: endpoint("192.0.2.1", 23) });
    expect(outcome).toMatchObject({ kind: "failed", code: "EADDRNOTAVAIL" });
  });

  test("the IDENT client fails when the connection is reset", async () => {
    const port = await listen((_, socket) => socket.resetAndDestroy());
    expect(await ask(port)).toMatchObject({ kind: "failed", code: "ECONNRESET" });
  });

  test("the IDENT client ends at the deadline, with the server still silent", async () => {
    const clock = new FakeClock();
    const port = await listen(() => clock.advance(1000));
    const outcome = await ask(port, { deadline: deadlineAfter(clock, 500) });
    expect(outcome).toEqual({ kind: "timedOut" });
    expect(clock.pendingTimers).toBe(0);
  });

  test("the IDENT client does not begin after the deadline", async () => {
    const deadline = deadlineAfter(new FakeClock(), 0);
    expect(await ask(9, { deadline })).toEqual({ kind: "timedOut" });
  });

  test("the IDENT client leaves neither a timer nor a descriptor behind", async () => {
    const clock = new FakeClock();
    const port = await listen((_, socket) => socket.end("6191,23:ERROR:NO-USER\r\n"));
    const opened = vi.spyOn(posix, "socket");
    const closed = vi.spyOn(posix, "close");
    await ask(port, { deadline: deadlineAfter(clock, 500) });
    await ask(9, { local: endpoint("192.0.2.1", 23) });
    const descriptors = opened.mock.results.map(({ value }) => [value]);
    expect(closed.mock.calls).toEqual(descriptors);
    expect(descriptors).toHaveLength(2);
    vi.restoreAllMocks();
    expect(clock.pendingTimers).toBe(0);
  });
});
