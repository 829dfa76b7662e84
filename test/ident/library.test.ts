/** askIdent as those who import the package see it. */

import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { askIdent, parseIp } from "../../src/index.ts";
import type { AddressInfo, Server } from "node:net";
import type { Endpoint } from "../../src/index.ts";

function endpoint(port: number): Endpoint {
  const address = parseIp("127.0.0.1");
  if (address === undefined) throw new TypeError("Not an IP address");
  return { address, port };
}

/** A server that says the same to everybody, or nothing. */
async function listen(reply: string | undefined): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => void (reply !== undefined && socket.end(reply)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

const LOOKUP = { remote: endpoint(6193), local: endpoint(23) };

test.each([undefined, 10_000, Infinity])(
  "askIdent of the package with the timeout %j returns the user",
  async (timeoutMs) => {
    await using server = await listen("6193,23:USERID:UNIX:joe\r\n");
    const { port: serverPort } = server.address() as AddressInfo;
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    expect(await askIdent({ ...LOOKUP, serverPort, ...limit })).toEqual({
      kind: "user",
      user: "joe",
    });
  },
);

test("askIdent of the package gives up at its timeout", async () => {
  await using server = await listen(undefined);
  const { port: serverPort } = server.address() as AddressInfo;
  expect(await askIdent({ ...LOOKUP, serverPort, timeoutMs: 1 })).toEqual({ kind: "timedOut" });
});
