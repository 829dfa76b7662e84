/** A server of TLS under floods of handshakes that are never completed. */

import { expect, test } from "vitest";
import { newScene } from "../support/scene.ts";
import { clientAt, clientHello, Flood } from "../tls/floods.ts";
import { callOn, isEchoed, startTls, until, visit } from "../tls/processes.ts";
import type { TlsServer } from "../tls/processes.ts";

const FLOODER = "127.0.1.1";
const HONEST = clientAt("127.0.2.1");

/** The handshakes that come at once. */
const BURST = 100;

/** So many connections that the limits of the super-server do not count. */
const OPTIONS = "-c 1000 -C 1000 -b 1000 -v";

function start(scene: Awaited<ReturnType<typeof newScene>>, options: string): Promise<TlsServer> {
  return startTls(scene, ["s6-tlsd", ...options.split(" "), "cat"], { options: OPTIONS });
}

const REPORT = /^ucspi-tls-engine: warning: too many handshakes at a time: refused (\d+) /gm;

test("a source that floods keeps no other source from a handshake, and nobody from what is established", async () => {
  await using scene = await newScene();
  const { port } = await start(scene, "--max-handshakes-per-source 4 --max-handshakes 8");
  using flood = new Flood();
  const established = await visit(port, HONEST);
  await flood.send(port, await clientHello(), 30, [FLOODER]);
  await until(() => flood.answered >= 4);
  expect(flood.answered).toBeLessThan(30);
  for (let count = 0; count < 10; count += 1) {
    expect(await isEchoed(established, "x")).toBe(true);
    const other = await visit(port, HONEST);
    expect(await isEchoed(other, "y")).toBe(true);
    other.destroy();
  }
  established.destroy();
});

test("sources that flood together, and have all places, keep no other source from a handshake", async () => {
  await using scene = await newScene();
  const { port } = await start(scene, "--max-handshakes-per-source 4 --max-handshakes 8");
  using flood = new Flood();
  const sources = Array.from({ length: 4 }, (_, number) => `127.0.1.${number + 1}`);
  await flood.send(port, await clientHello(), 24, sources);
  await until(() => flood.answered >= 8);
  for (let count = 0; count < 10; count += 1) {
    const other = await visit(port, HONEST);
    expect(await isEchoed(other, "y")).toBe(true);
    other.destroy();
  }
});

test("an established connection is served between handshakes, however many come at once", async () => {
  await using scene = await newScene();
  const { port } = await start(scene, "-K 0");
  const established = await visit(port, HONEST);
  const hello = await clientHello();
  const echoes: number[] = [];
  // The machine may be busy with other things, but not each time.
  for (let burst = 0; burst < 5; burst += 1) {
    using flood = new Flood();
    await flood.send(port, hello, BURST, [FLOODER]);
    let count = 0;
    for (; flood.answered < BURST; count += 1) {
      expect(await isEchoed(established, "x")).toBe(true);
    }
    echoes.push(count);
  }
  const [, , median = 0] = echoes.toSorted((a, b) => a - b);
  expect(median).toBeGreaterThan(BURST / 12);
  established.destroy();
});

test("connections that do not fit are closed at once, and are two lines of the log, not one each", async () => {
  await using scene = await newScene();
  const { port, process } = await start(scene, "-K 0 --max-handshakes 2");
  using flood = new Flood();
  await flood.send(port, await clientHello(), 60, [FLOODER]);
  const most = 2 + 4 * 2;
  await until(() => flood.closed >= 60 - most);
  await until(() => [...process.output.matchAll(REPORT)].length > 0);
  expect([...process.output.matchAll(REPORT)].length).toBeLessThanOrEqual(2);
  await callOn(port);
  // Of the connection by which the server was found to listen.
  expect(process.output.match(/^s6-tlsd-io: fatal/gm)).toHaveLength(1);
});

test("a ClientHello that is never completed holds a place of its source, until others of it have waited for long", async () => {
  await using scene = await newScene();
  const { port } = await start(scene, "-K 0 --max-handshakes-per-source 2");
  const hello = await clientHello();
  using flood = new Flood();
  const closed: string[] = [];
  for (const name of ["first", "second"]) {
    const socket = await flood.open(port, FLOODER);
    socket.once("close", () => closed.push(name));
    socket.write(hello.subarray(0, 100));
  }
  const third = await visit(port, clientAt(FLOODER));
  await until(() => closed.length > 0);
  expect(closed).toEqual(["first"]);
  expect(await isEchoed(third, "z")).toBe(true);
  expect(closed).toEqual(["first"]);
  third.destroy();
});
