import { createSocket } from "node:dgram";
import { expect, test } from "vitest";

import { EXIT } from "../../src/chain/index.ts";
import { formatTaiclockRequest } from "../../src/clock/sync/index.ts";
import { NONCE } from "../clock/sync/packets.ts";
import { newScene } from "../support/scene.ts";

const REQUEST = formatTaiclockRequest(NONCE);

/** The lengths of the answers to these datagrams; the last of them has to be answered. */
async function lengthsOf(port: number, host: string, packets: readonly Uint8Array[]) {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    const lengths: number[] = [];
    const last = packets.at(-1)?.length ?? 0;
    const answered = new Promise<void>((resolve) => {
      socket.on("message", ({ length }) => {
        lengths.push(length);
        if (length === last) resolve();
      });
    });
    for (const packet of packets) socket.send(packet, port, host);
    await answered;
    return lengths;
  } finally {
    socket.close();
  }
}

test("s6-taiclockd answers requests in their length, up to 256 bytes, and nothing else", async () => {
  await using scene = await newScene();
  const server = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
  const [port = ""] = await server.line(/^\d+$/);
  const short = REQUEST.subarray(0, 19);
  const long = Buffer.alloc(300, "ctai");
  const packets = [short, Buffer.from("stai".repeat(7)), REQUEST.subarray(0, 20), long, REQUEST];
  expect(await lengthsOf(Number(port), "127.0.0.1", packets)).toEqual([20, 256, 28]);
});

test("s6-taiclockd --also serves a second address", async () => {
  await using scene = await newScene();
  const port = await scene.freePort();
  const words = ["-1", "-i", "127.0.0.1", "-p", String(port), "--also", "::1"];
  const server = scene.start("s6-taiclockd", words);
  await server.line(new RegExp(`^${port}$`));
  expect(await lengthsOf(port, "127.0.0.1", [REQUEST])).toEqual([28]);
  expect(await lengthsOf(port, "::1", [REQUEST])).toEqual([28]);
});

test("s6-taiclockd ends by a signal", async () => {
  await using scene = await newScene();
  const server = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
  await server.line(/^\d+$/);
  server.signal("SIGTERM");
  (await server.finished()).diesOf("SIGTERM").stderrIs("");
});

test("s6-taiclockd reports why it cannot listen", async () => {
  await using scene = await newScene();
  const first = scene.start("s6-taiclockd", ["-1", "-i", "127.0.0.1", "-p", "0"]);
  const [port = ""] = await first.line(/^\d+$/);
  const run = await scene.run("s6-taiclockd", ["-i", "127.0.0.1", "-p", port]);
  run.exits(EXIT.system).stdoutIs("");
  const problem = `unable to listen on 127.0.0.1 port ${port}: Address already in use`;
  expect(run.stderr).toBe(`s6-taiclockd: fatal: ${problem}\n`);
});

test.each([[["-i", "foo"]], [["-p", "70000"]], [["-x"]], [["--rate", "0"]]])(
  "s6-taiclockd %j is a usage error",
  async (words) => {
    await using scene = await newScene();
    const run = await scene.run("s6-taiclockd", words);
    run.exits(EXIT.usage).stderrMatches(/^s6-taiclockd: usage: s6-taiclockd /m);
  },
);
