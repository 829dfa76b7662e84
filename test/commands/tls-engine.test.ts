/** A server and its connections when the engine is invalid, another one, stopped or ended. */

import { writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { PROTOCOL_VERSION } from "../../src/tls/engine/greeting.ts";
import { newScene } from "../support/scene.ts";
import { newEngineScene, REAL_ENGINE, startOther } from "../tls/other-engines.ts";
import {
  callOn,
  childrenOf,
  ECHO,
  engineOf,
  isBusy,
  isEchoed,
  restOf,
  startTls,
  until,
  visit,
} from "../tls/processes.ts";
import { dial } from "../ucspi/dial.ts";

/** Try a handshake: is there TLS? */
async function hasTls(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.on("error", () => undefined);
  const isSecured = await new Promise<boolean>((resolve) => {
    socket.once("secureConnect", () => resolve(true)).once("close", () => resolve(false));
  });
  socket.destroy();
  return isSecured;
}

test("an engine whose messages are invalid is killed, and replaced", async () => {
  const nonsense = "test -e told || { touch told; printf rubbish >&0; exec sleep 60; }";
  await using scene = await newEngineScene(`${nonsense}\n${REAL_ENGINE}`);
  const { port, process } = await startOther(scene);
  // The engine starts with the server, so that this may be told before the server is announced.
  const warning =
    /^ucspi-tls-engine: warning: killed: it sent an invalid message: not a greeting; /m;
  await until(() => warning.test(process.output));
  await until(() => childrenOf(process.pid).length === 0);
  await callOn(port);
});

test("a server goes on with the engine that it has when its installation is replaced by another version", async () => {
  await using scene = await newEngineScene(REAL_ENGINE);
  const { port, process } = await startOther(scene);
  await callOn(port);
  const engine = await engineOf(process.pid);
  writeFileSync(
    scene.path("package/bin/ucspi-tls-engine"),
    `#!/bin/sh\nprintf 'ucspi-tls-engine ${PROTOCOL_VERSION + 1}' >&0\nexec sleep 60\n`,
  );
  await callOn(port);
  expect(await engineOf(process.pid)).toBe(engine);
  globalThis.process.kill(engine, "SIGKILL");
  await until(() => !childrenOf(process.pid).includes(engine));
  expect(await hasTls(port)).toBe(false);
  const versions = `it speaks version ${PROTOCOL_VERSION + 1} of the protocol, and this server ${PROTOCOL_VERSION}`;
  await process.line(
    new RegExp(`killed: ${versions}: the installed package was replaced, restart the server;`),
  );
  await until(() => childrenOf(process.pid).length === 0);
  await until(() => process.output.includes("exitcode 97"));
});

test("engines that crash are restarted with a backoff, and the next one that works takes their place", async () => {
  const crash = "echo started >> starts; test -e repaired || exit 9";
  await using scene = await newEngineScene(`${crash}\n${REAL_ENGINE}`);
  const { port, process } = await startOther(scene);
  const starts = (): number => scene.read("starts").split("\n").length - 1;
  for (let count = 0; count < 20; count += 1) expect(await hasTls(port)).toBe(false);
  await process.line(/^s6-tlsd-io: fatal: the last \d TLS engines ended soon after their start; /);
  await until(() => process.output.includes("exitcode 97"));
  expect(starts()).toBeLessThan(10);
  writeFileSync(scene.path("repaired"), "");
  while (!(await hasTls(port)));
});

test("an engine that runs out of heap is reaped, and replaced", async () => {
  const limited = "test -e started || { touch started; export UCSPI_HEAP_MB=4; }";
  await using scene = await newEngineScene(`${limited}\n${REAL_ENGINE}`);
  const { port, process } = await startOther(scene);
  await process.line(/^ucspi-tls-engine: warning: ended by signal 6; its connections are lost$/);
  await callOn(port);
});

test("an engine that is killed while it is idle is reaped at once", async () => {
  await using scene = await newScene();
  const { process, engine } = await startTls(scene);
  globalThis.process.kill(engine, "SIGKILL");
  await process.line(/^ucspi-tls-engine: warning: ended by signal 9; its connections are lost$/);
  expect(childrenOf(process.pid)).toEqual([]);
});

test("a handshake with an engine that is stopped fails at its deadline, with exit code 98", async () => {
  await using scene = await newScene();
  const { port, process, engine } = await startTls(scene, ["s6-tlsd", "-K", "200", "cat"], {
    options: "-v",
  });
  const before = await visit(port);
  expect(await isEchoed(before, "before")).toBe(true);
  globalThis.process.kill(engine, "SIGSTOP");
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await process.line(/^s6-tlsd-io: fatal: handshake timed out$/);
  await until(() => process.output.includes("exitcode 98"));
  globalThis.process.kill(engine, "SIGCONT");
  await restOf(socket);
  expect(await isEchoed(before, "after")).toBe(true);
  before.destroy();
  await callOn(port);
  expect(await engineOf(process.pid)).toBe(engine);
});

test("a handshake whose engine is killed ends its connection with exit code 111", async () => {
  await using scene = await newScene();
  const { port, process, engine } = await startTls(scene, ECHO, { options: "-v" });
  await using plain = await dial(port);
  await until(() => isBusy(engine));
  globalThis.process.kill(engine, "SIGKILL");
  await plain.rest();
  await until(() => process.output.includes("exitcode 111"));
  await callOn(port);
});
