/** s6-tlsd: how each side is told that the other has closed, and that nothing is lost on the way. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeCertificates } from "../support/certificates.ts";
import { bothWays, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askTls, dialTls } from "../support/tls-dial.ts";
import type { DialedTls } from "../support/tls-dial.ts";
import { newTap, RECORD } from "../support/tls-tap.ts";
import { startServer } from "../ucspi/servers.ts";
import type { StartedServer } from "../ucspi/servers.ts";

/** A server of `s6-tlsd OPTION... sh -c SCRIPT`. */
function serve(scene: Scene, options: string, script: string): Promise<StartedServer> {
  const { serverEnvironment: env } = makeCertificates(scene.directory);
  const words = options.split(" ").filter((word) => word !== "");
  return startServer(scene, "-v", ["s6-tlsd", ...words, "sh", "-c", script], { env });
}

/** The version in which an alert is visible as one. */
const OLD = { maxVersion: "TLSv1.2" } as const;

describe.concurrent("the program closes first", () => {
  bothWays(
    "the client may go on sending when the program has closed its output",
    async (newScene) => {
      await using scene = await newScene();
      const script = "echo bye; exec >&-; echo came $(wc -c) >&2";
      const { port, process } = await serve(scene, "", script);
      await using tap = await newTap(port);
      await using client = await dialTls(tap.port, OLD);
      expect(await client.rest()).toBe("bye\n");
      expect(tap.types.at(-1)).toBe(RECORD.data);
      client.end("something");
      await process.line(/^came 9$/);
      await process.line(/ end pid \d+ exitcode 0 /);
      expect(process.output).not.toMatch(/fatal/);
    },
  );

  bothWays(
    "s6-tlsd -S sends close_notify when the program has closed its output, and reads no more",
    async (newScene) => {
      await using scene = await newScene();
      const script = "echo bye; exec >&-; echo came $(wc -c) >&2";
      const { port, process } = await serve(scene, "-s --close-notify", script);
      await using tap = await newTap(port);
      await using client = await dialTls(tap.port, OLD);
      expect(await client.rest()).toBe("bye\n");
      expect(tap.types.at(-1)).toBe(RECORD.alert);
      await process.line(/^came 0$/);
      client.end("something");
      await process.line(/ end pid \d+ exitcode 0 /);
      expect(process.output).not.toMatch(/fatal/);
    },
  );

  bothWays("all bytes of a program that exits at once arrive", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await serve(scene, "", "head -c 300000 /dev/zero; echo gone >&2");
    await using client = await dialTls(port);
    client.socket.pause();
    client.end();
    await process.line(/^gone$/);
    client.socket.resume();
    expect(await client.rest()).toHaveLength(300_000);
  });

  bothWays(
    "a program that ends while the client still sends does not reset the connection",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await serve(scene, "", "echo answer; exit 3");
      await using client = await dialTls(port);
      client.write("y".repeat(1_000_000));
      expect(await client.rest()).toBe("answer\n");
      client.end();
      await process.line(/ end pid \d+ exitcode 3 /);
      expect(client.wasReset).toBe(false);
      expect(process.output).not.toMatch(/fatal/);
    },
  );
});

describe.concurrent("the client closes first", () => {
  bothWays(
    "all bytes of a client that closes first arrive, with the end of file, and it gets its answer",
    async (newScene) => {
      await using scene = await newScene();
      const { port } = await serve(scene, "", "wc -c; echo after");
      for (const text of ["", "x".repeat(3_000_000)]) {
        expect(await askTls(port, text)).toBe(`${text.length}\nafter\n`);
      }
    },
  );

  bothWays(
    "s6-tlsd --full-close ends the program's output when the client closes",
    async (newScene) => {
      await using scene = await newScene();
      const script = "cat >&2; while echo late; do :; done";
      const { port, process } = await serve(scene, "--full-close", script);
      await using tap = await newTap(port);
      await using client = await dialTls(tap.port, OLD);
      client.end("the last line\n");
      await process.line(/^the last line$/);
      await client.rest();
      expect(tap.types.at(-1)).toBe(RECORD.alert);
      await process.line(/ end pid \d+ signal 13 /);
      expect(process.output).not.toMatch(/fatal/);
    },
  );

  const MINDED = /^s6-tlsd-io: fatal: remote closed connection without a close_notify$/;

  bothWays(
    "a client that closes without close_notify is an error with -J alone",
    async (newScene) => {
      await using scene = await newScene();
      for (const [options, isMinded] of [
        ["-J -j", false],
        ["-J", true],
      ] as const) {
        const { port, process } = await serve(scene, options, "echo hello; echo came $(wc -c) >&2");
        await using tap = await newTap(port);
        await using client = await dialTls(tap.port);
        expect(await client.line()).toBe("hello");
        tap.cut();
        await client.rest();
        await process.lines(
          /^came 0$/,
          /^.* end pid \d+ exitcode 0 .*$/,
          ...(isMinded ? [MINDED] : []),
        );
        expect(process.output.includes("fatal")).toBe(isMinded);
      }
    },
  );

  bothWays("a client that closes with close_notify is no error with -J", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await serve(scene, "-S --enforce-close-notify", "wc -c");
    expect(await askTls(port, "question")).toBe("8\n");
    await process.line(/ end pid \d+ exitcode 0 /);
    expect(process.output).not.toMatch(/fatal/);
  });

  bothWays(
    "a client that closes inside a record, or sends an invalid one, fails the tunnel",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await serve(scene, "", "echo hello; exec >&-; wc -c >&2");
      for (const [last, why] of [
        [[23, 3, 3, 0, 40, 1, 2, 3], "the connection was cut inside a record"],
        [[23, 3, 3, 0, 40, ...Buffer.alloc(40)], "\\S.*"],
      ] as const) {
        await using tap = await newTap(port);
        await using client = await dialTls(tap.port);
        expect(await client.line()).toBe("hello");
        tap.cut(last);
        await process.line(
          new RegExp(
            `^s6-tlsd-io: fatal: the TLS engine closed the connection after the handshake: ${why}$`,
          ),
        );
      }
    },
  );
});

bothWays("s6-tlsd --idle-timeout ends a connection on which nothing moves", async (newScene) => {
  await using scene = await newScene();
  const { port, process } = await serve(scene, "--idle-timeout=1000", "exec cat");
  await using client = await dialTls(port);
  client.write("hello\n");
  expect(await client.line()).toBe("hello");
  expect(await client.rest()).toBe("");
  await process.lines(
    /^s6-tlsd-io: fatal: idle for 1000 milliseconds$/,
    /^.* end pid \d+ exitcode 0 .*$/,
  );
});

describe("a slow reader", () => {
  const MB = 1 << 20;
  /** Buffers of the kernel on the way; they grow up to some 10 MB. */
  const ON_THE_WAY = 24 * MB;
  const TOTAL = 128 * MB;
  /** The memory that the engine may use in addition, all of its garbage included. */
  const MEMORY = 64 * MB;

  /** Give the engine many turns of its loop, each of which could move another connection as well. */
  async function turns(other: DialedTls): Promise<void> {
    for (let turn = 0; turn < 500; turn += 1) {
      other.write("turn\n");
      await other.line();
    }
  }

  /** A server of whose clients those that say `go` get the script, and all others an echo. */
  function serveOne(scene: Scene, script: string): Promise<StartedServer> {
    return serve(scene, "", `read -r what; [ "$what" = go ] || exec cat; ${script}`);
  }

  async function engineOf(scene: Scene, { process }: StartedServer): Promise<number> {
    const { stdout } = await scene.shell(`cat /proc/${process.pid}/task/*/children`);
    const name = (child: string): string => readFileSync(`/proc/${child}/cmdline`, "latin1");
    const children = stdout.split(" ").filter((word) => word !== "");
    return Number(children.find((child) => name(child).includes("ucspi-tls-engine")));
  }

  /** A figure of a file of /proc. */
  function figureOf(pid: number, file: string, pattern: RegExp): number {
    return Number(pattern.exec(readFileSync(`/proc/${pid}/${file}`, "latin1"))?.[1]);
  }

  /** The most memory that a process has ever had, in bytes. */
  function peakOf(pid: number): number {
    return figureOf(pid, "status", /^VmHWM:\s+(\d+)/m) * 1024;
  }

  test("a slow reader at the client's end holds up the program", async () => {
    await using scene = await newScene();
    const server = await serveOne(scene, `echo $$ >&2; exec head -c ${TOTAL} /dev/zero`);
    await using other = await dialTls(server.port);
    other.write("\n");
    const engine = await engineOf(scene, server);
    await turns(other);
    const before = peakOf(engine);
    await using client = await dialTls(server.port);
    client.socket.pause();
    client.end("go\n");
    const [program] = await server.process.line(/^\d+$/);
    await turns(other);
    expect(figureOf(Number(program), "io", /^wchar: (\d+)/m)).toBeLessThan(ON_THE_WAY);
    let received = 0;
    client.socket.removeAllListeners("data");
    client.socket.on("data", (text: string) => (received += text.length)).resume();
    await client.rest();
    expect(received).toBe(TOTAL);
    expect(peakOf(engine) - before).toBeLessThan(MEMORY);
  });

  test("a slow reader at the program's end holds up the client", async () => {
    await using scene = await newScene();
    await scene.shell("mkfifo begin");
    const server = await serveOne(scene, `read -r what <${scene.path("begin")}; wc -c`);
    await using other = await dialTls(server.port);
    other.write("\n");
    const engine = await engineOf(scene, server);
    await turns(other);
    const before = peakOf(engine);
    await using client = await dialTls(server.port);
    client.write("go\n");
    client.socket.end(Buffer.alloc(TOTAL));
    await turns(other);
    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(ON_THE_WAY);
    await scene.shell("echo >begin");
    expect(await client.rest()).toBe(`${TOTAL}\n`);
    expect(peakOf(engine) - before).toBeLessThan(MEMORY);
  });
});
