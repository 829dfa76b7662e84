import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { connectAs, identAddress } from "../support/ident.ts";
import { bothWays, newScene, withoutOthers } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "s6-ident-server";
const SECRET = "0123456789abcdef";

/** A server to connect to. */
async function target(host = "127.0.0.1"): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((socket) => void socket.on("error", () => {})).listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close();
      await Promise.resolve();
    },
  };
}

const { username, uid } = userInfo();

describe("queries about one's own connection", () => {
  bothWays(
    "a client that asks about a connection of its own is told the user",
    async (newScene) => {
      await using scene = await newScene();
      await using other = await target();
      await using connection = await dial(other.port);
      const { port } = await startServer(scene, "", [NAME]);
      expect(await ask(port, `${connection.port} , ${other.port}\r\n`)).toBe(
        `${connection.port} , ${other.port} : USERID : UNIX : ${username}\r\n`,
      );
    },
  );

  test.each([
    ["::1", "::1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
  ])(
    "a client at %s that asks about a connection of its own is told the user",
    async (host, asker) => {
      await using scene = await newScene();
      await using other = await target("::");
      await using connection = await dial(other.port, { host });
      const { port } = await startServer(scene, "", [NAME], { ip: asker });
      expect(await ask(port, `${connection.port},${other.port}\n`, { host: asker })).toContain(
        `USERID : UNIX : ${username}`,
      );
    },
  );

  test("a client is told the user where the server listens on all addresses", async () => {
    await using scene = await newScene();
    await using other = await target();
    await using connection = await dial(other.port);
    const { port } = await startServer(scene, "", [NAME], { ip: "0.0.0.0" });
    expect(await ask(port, `${connection.port},${other.port}\n`)).toContain(`: ${username}\r\n`);
  });

  test("a client is told the user in the form that options set", async () => {
    await using scene = await newScene({ files: { secret: `${SECRET}\n` } });
    await using other = await target();
    await using connection = await dial(other.port);
    const hash = createHmac("sha256", SECRET).update(`${uid} 127.0.0.1`).digest("hex");
    for (const [options, expected] of [
      [["--uid"], `USERID : UNIX : ${uid}`],
      [["--hash=secret"], `USERID : UNIX : ${hash.slice(0, 32)}`],
      [["--name=someone"], "USERID : UNIX : someone"],
      [["--uid", "--operating-system=OTHER"], `USERID : OTHER : ${uid}`],
      [["--uid", "--hidden"], "ERROR : HIDDEN-USER"],
    ] as const) {
      const { port } = await startServer(scene, "", [NAME, ...options]);
      expect(await ask(port, `${connection.port},${other.port}\n`)).toBe(
        `${connection.port} , ${other.port} : ${expected}\r\n`,
      );
    }
  });

  test.skipIf(withoutOthers !== "")(
    `a client that asks about a connection of another user is told that user${withoutOthers}`,
    async () => {
      await using scene = await newScene();
      await using other = await target();
      const { port } = await startServer(scene, "", ["s6-setuidgid", "nobody", NAME]);
      for (const [id, name] of [
        [1, "daemon"],
        [54_321, "54321"],
      ] as const) {
        const { local, remote } = await connectAs(scene, id, other);
        expect(await ask(port, `${local},${remote}\n`)).toContain(`USERID : UNIX : ${name}\r\n`);
      }
    },
  );
});

describe("other queries", () => {
  test("s6-ident-server gives no answer about the connections of other machines", async () => {
    await using scene = await newScene();
    await using other = await target();
    await using connection = await dial(other.port);
    const { port } = await startServer(scene, "", [NAME]);
    const from = identAddress();
    expect(await ask(port, `${connection.port},${other.port}\n`, { from })).toBe(
      `${connection.port} , ${other.port} : ERROR : NO-USER\r\n`,
    );
  });

  test("s6-ident-server answers each question, and no incomplete one", async () => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "", [NAME]);
    expect(await ask(port, "1 , 2\r\n3,4\n5 , 6")).toBe(
      "1 , 2 : ERROR : NO-USER\r\n3 , 4 : ERROR : NO-USER\r\n",
    );
    expect(await ask(port, "0 , 2\r\n3 , 4\r\n")).toBe("0 , 2 : ERROR : INVALID-PORT\r\n");
    expect(await ask(port, "x".repeat(1000))).toBe("");
  });

  bothWays("s6-ident-server -t ends the connection of a slow client", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", [NAME, "-t", "100"]);
    await using slow = await dial(port);
    slow.write("1 ,");
    expect(await slow.rest()).toBe("");
    await process.line(/ end pid \d+ exitcode 99 /);
  });

  test("a silent client does not delay other clients, and its connection ends with the server", async () => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "", [NAME, "-t", "0"]);
    await using silent = await dial(port);
    expect(await ask(port, "1,2\n")).toContain("NO-USER");
    process.signal("SIGQUIT");
    expect(await silent.rest()).toBe("");
  });

  test("s6-ident-server logs its clients when asked to", async () => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "", [NAME, "-v", "2", "--name=someone"]);
    await ask(port, "1,2\n");
    await process.line(/^s6-ident-server: info: ip 127\.0\.0\.1 ports 1,2: USERID someone$/);
  });
});

describe("errors at the start", () => {
  test.each([
    [["--hash=none"], EXIT.system, "unable to read none: No such file or directory"],
    [["--hash=short"], EXIT.usage, "unable to read short: a secret has 16 to 1024 bytes"],
  ])("the command line %j fails at the start", async (options, code, text) => {
    await using scene = await newScene({ files: { short: "0123\n" } });
    const run = await scene.run("s6-tcpserver", ["127.0.0.1", "0", NAME, ...options]);
    run.exits(code).stderrMatches(new RegExp(`^${NAME}: fatal: ${text}$`, "m"));
  });

  test.each([
    ["--name=", "name must be a user name: "],
    ["--operating-system=a:b", "operating-system must be an operating system, as in UNIX"],
    ["-t x", "timeout must be an unsigned integer of milliseconds: x"],
    ["program", "unexpected operand: program"],
  ])("the option %s is a usage error", async (words, text) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, words.split(" "));
    run.exits(EXIT.usage);
    expect(run.stderr).toContain(`${NAME}: fatal: ${text}`);
  });

  test("missing variables are reported at the start", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, []);
    run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: PROTO not set\n`);
  });
});

test("s6-ident-server --explain asks and answers no query", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, ["--explain", "--hash=none"]);
  run.exits(EXIT.ok).stdoutMatches(/^ {2}answers questions .* with pseudonyms of their users$/m);
});
