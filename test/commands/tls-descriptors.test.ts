/** No descriptor of a TLS server or its engine is left behind, and being out of them costs one connection. */

import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { findProgram, newScene } from "../support/scene.ts";
import {
  callOn,
  childrenOf,
  descriptorsOf,
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

/** The ways in which a connection may end. */
const VISITS: readonly ((port: number) => Promise<void>)[] = [
  /** Sends close_notify. */
  async (port) => {
    const socket = await visit(port, { maxVersion: "TLSv1.2" });
    socket.end("x");
    await restOf(socket);
  },
  /** Sends close_notify before anything else. */
  async (port) => {
    const socket = await visit(port);
    socket.end();
    await restOf(socket);
  },
  /** Is gone without a word. */
  async (port) => {
    const socket = await visit(port);
    socket.destroy();
  },
  /** Is reset. */
  async (port) => {
    const plain = await dial(port);
    await new Promise((resolve) => {
      const socket = connect({ socket: plain.socket, rejectUnauthorized: false });
      socket.on("secureConnect", resolve).on("error", resolve);
    });
    plain.reset();
  },
  /** Is reset in the middle of its hello. */
  async (port) => {
    const plain = await dial(port);
    plain.write("\x16\x03\x01\x02\x00\x01");
    plain.reset();
  },
  /** Says nothing. */
  async (port) => {
    await using plain = await dial(port);
    plain.end();
    await plain.rest();
  },
  /** Does not speak TLS. */
  async (port) => {
    await using plain = await dial(port);
    plain.write("GET / HTTP/1.0\r\n\r\n");
    await plain.rest();
  },
  /** Speaks a TLS that nobody does any more. */
  async (port) => {
    const versions = { maxVersion: "TLSv1.1", minVersion: "TLSv1" } as const;
    const socket = connect({ port, host: "127.0.0.1", ...versions });
    await new Promise((resolve) => socket.once("error", resolve));
  },
];

describe("descriptors after many connections", () => {
  test.each([
    ["to a program that echoes", "", ["cat"]],
    ["to a program that ends at once", "", ["true"]],
    ["to a program that cannot be found", "-q", ["./no-such-program"]],
    ["to a program that cannot be found, which is known at once", "-v", ["./no-such-program"]],
    ["that are refused by the rules", "", ["-Y", "--rules-directory=rules", "cat"]],
  ])(
    "a server has as many descriptors open after many connections %s as before",
    async (_, options, program) => {
      await using scene = await newScene({ files: { "rules/": "" } });
      const chain = ["s6-tlsd", "-S", ...program];
      const { port, process, engine } = await startTls(scene, chain, { options });
      const weigh = (): number => descriptorsOf(process.pid).size + descriptorsOf(engine).size;
      const isQuiet = (): boolean => childrenOf(process.pid).length === 1 && !isBusy(engine);
      await Promise.all(VISITS.map((make) => make(port)));
      await until(isQuiet);
      const before = weigh();
      for (let round = 0; round < 5; round += 1) {
        await Promise.all(VISITS.map((make) => make(port)));
      }
      await until(isQuiet);
      await until(() => weigh() <= before);
      expect(await engineOf(process.pid)).toBe(engine);
    },
  );
});

const prlimit = findProgram("prlimit");

describe.skipIf(prlimit === undefined)("too many open files (needs prlimit)", () => {
  test("too many open files in the engine fail a connection, and no other", async () => {
    await using scene = await newScene();
    const { port, process, engine } = await startTls(scene);
    const limit = async (most: number): Promise<void> => {
      const words = ["--pid", String(engine), `--nofile=${most}:`];
      (await scene.execute(prlimit ?? "", words).finished()).exits(0);
    };
    const living = await visit(port);
    expect(await isEchoed(living, "x")).toBe(true);
    const enough = Math.max(...descriptorsOf(engine).keys()) + 1;
    for (const room of [0, 1, 2]) {
      await limit(enough + room);
      const refused = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
      refused.on("error", () => undefined);
      await new Promise((resolve) => refused.once("close", resolve));
      await process.line(/^s6-tlsd-io: fatal: unable to receive descriptors: Too many open files$/);
    }
    expect(await isEchoed(living, "y")).toBe(true);
    await limit(enough + 3);
    await callOn(port);
    expect(await engineOf(process.pid)).toBe(engine);
    living.destroy();
    await until(() => !isBusy(engine));
  });

  test.each([
    ["s6-tlsd", ECHO],
    ["s6-ucspitlsd", ["s6-ucspitlsd", "cat"]],
  ])(
    "too many open files in the server fail a connection at any step of %s, and no other",
    async (_, program) => {
      await using scene = await newScene();
      const { port, process, engine } = await startTls(scene, program);
      const limit = async (most: number): Promise<void> => {
        const words = ["--pid", String(process.pid), `--nofile=${most}:`];
        (await scene.execute(prlimit ?? "", words).finished()).exits(0);
      };
      const talk = async (): Promise<boolean> => {
        await using plain = await dial(port);
        if (program === ECHO) {
          const socket = connect({ socket: plain.socket, rejectUnauthorized: false });
          socket
            .on("error", () => undefined)
            .on("secureConnect", () => setImmediate(() => socket.end("echo")));
          return (await restOf(socket)) === "echo";
        }
        plain.end("echo");
        return (await plain.rest()) === "echo";
      };
      expect(await talk()).toBe(true);
      const isQuiet = (): boolean => childrenOf(process.pid).length === 1 && !isBusy(engine);
      await until(isQuiet);
      const before = descriptorsOf(process.pid);
      const free = Array.from({ length: 100 }, (_, fd) => fd).filter((fd) => !before.has(fd));
      const echoes: boolean[] = [];
      for (const last of free) {
        await limit(last + 1);
        echoes.push(await talk());
        await until(isQuiet);
        await until(() => descriptorsOf(process.pid).size <= before.size);
        if (echoes.includes(true)) break;
      }
      const told = process.output.match(/^s6-\w+: fatal: unable to \w+: Too many open files$/gm);
      expect(told).toHaveLength(echoes.length - 1);
      expect(echoes.length).toBeGreaterThan(4);
      expect(await engineOf(process.pid)).toBe(engine);
    },
  );
});
