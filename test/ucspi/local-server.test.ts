import { once } from "node:events";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { BindError, LocalServer } from "../../src/index.ts";
import type { LocalConnection, LocalServerOptions } from "../../src/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { BIN, newScene } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { askPath, dialPath } from "./dial.ts";

const posix = loadPosix();
const UID = posix.geteuid();
const GID = posix.getegid();
const ENVIRONMENT = { PATH: `${BIN}:${process.env["PATH"] ?? ""}` };

interface Started extends AsyncDisposable {
  readonly server: LocalServer;
  readonly path: string;
}

async function start(
  scene: Scene,
  serve: LocalServerOptions["serve"],
  options: Partial<LocalServerOptions> = {},
): Promise<Started> {
  const path = scene.path("socket");
  const listen = { path };
  const server = new LocalServer({ listen, serve, environment: ENVIRONMENT, ...options });
  await server.start();
  return { server, path, [Symbol.asyncDispose]: () => server.close() };
}

function echo({ stream }: LocalConnection): void {
  stream.pipe(stream);
}

describe("a function that serves local connections", () => {
  test("a function that serves local connections is told who the client is", async () => {
    await using scene = await newScene();
    const told: unknown[] = [];
    await using started = await start(scene, (connection) => {
      const { client, path, number, rule, environment } = connection;
      told.push({ client, path, number, rule, environment });
      connection.stream.end("hello\n");
    });
    expect(await askPath(started.path)).toBe("hello\n");
    expect(told).toEqual([
      {
        client: { uid: UID, gid: GID, pid: process.pid, path: "" },
        path: started.path,
        number: 0,
        rule: undefined,
        environment: {
          PROTO: "IPC",
          IPCREMOTEEUID: String(UID),
          IPCREMOTEEGID: String(GID),
          IPCREMOTEPATH: "",
          IPCCONNNUM: "0",
          IPCLOCALPATH: started.path,
        },
      },
    ]);
  });

  test("a function that serves local connections costs its connection alone when it throws", async () => {
    await using scene = await newScene();
    const errors: unknown[] = [];
    let count = 0;
    const serve = (connection: LocalConnection): void => {
      if (count++ === 0) throw new Error("first");
      echo(connection);
    };
    await using started = await start(scene, serve, { onError: (error) => errors.push(error) });
    expect(await askPath(started.path)).toBe("");
    expect(await askPath(started.path, "again")).toBe("again");
    expect(errors).toEqual([new Error("first")]);
  });

  test("a function that serves local connections serves large ones whole, both ways", async () => {
    await using scene = await newScene();
    await using started = await start(scene, echo, { allowHalfOpen: false });
    const client = connect({ path: started.path });
    const sent = Buffer.alloc(1 << 20, "local ");
    client.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of client) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });
});

describe("a chain that serves local connections", () => {
  test("a chain that serves local connections gets the variables, links of ours included", async () => {
    await using scene = await newScene();
    const ended: unknown[] = [];
    const chain = ["s6-softlimit", "-o", "64", "sh", "-c", "echo $PROTO $IPCREMOTEEUID; ulimit -n"];
    const onEnd: LocalServerOptions["onEnd"] = ({ uid }, status) => ended.push({ uid, status });
    await using started = await start(scene, chain, { onEnd });
    expect(await askPath(started.path)).toBe(`IPC ${UID}\n64\n`);
    await started.server.drain();
    expect(ended).toEqual([{ uid: UID, status: { kind: "exited", exitCode: 0 } }]);
  });

  test("a chain that cannot work is an error at the start, and its path is free again", async () => {
    await using scene = await newScene();
    await expect(start(scene, [])).rejects.toThrow("An empty chain");
    await using started = await start(scene, echo);
    expect(await askPath(started.path, "x")).toBe("x");
  });
});

describe("limits and rules of a local server", () => {
  test("limits of a local server on one user close one connection more", async () => {
    await using scene = await newScene();
    const refused: unknown[] = [];
    const options: Partial<LocalServerOptions> = {
      maxPerUser: 1,
      onRefused: ({ client, reason }) => refused.push([client.uid, reason]),
    };
    await using started = await start(scene, echo, options);
    await using first = await dialPath(started.path);
    first.write("x\n");
    await first.line();
    expect(await askPath(started.path)).toBe("");
    expect(refused).toEqual([[UID, "1 connections of this user"]]);
  });

  test("rules of a local server decide by user and group, and set variables", async () => {
    await using scene = await newScene();
    const refused: string[] = [];
    const directory = scene.path("rules");
    mkdirSync(`${directory}/uid/self/env`, { recursive: true });
    const options: Partial<LocalServerOptions> = {
      rules: { directory },
      onRefused: ({ reason }) => refused.push(reason),
    };
    const serve = ({ stream, rule, environment }: LocalConnection): void => {
      stream.end(`${rule} ${environment["ROLE"]}\n`);
    };
    await using started = await start(scene, serve, options);
    expect(await askPath(started.path)).toBe("");
    writeFileSync(`${directory}/uid/self/env/ROLE`, "admin\n");
    writeFileSync(`${directory}/uid/self/allow`, "");
    expect(await askPath(started.path)).toBe("uid/self admin\n");
    writeFileSync(`${directory}/uid/self/deny`, "");
    expect(refused).toEqual(["no rule matches"]);
  });
});

describe("the socket of a local server", () => {
  test("the socket of a local server has the mode that was asked for", async () => {
    await using scene = await newScene();
    const path = scene.path("socket");
    await using started = await start(scene, echo, { listen: { path, mode: 0o700 } });
    expect(statSync(started.path).mode & 0o777).toBe(0o700);
  });

  test("the socket of a local server is not taken by another one, in this process or elsewhere", async () => {
    await using scene = await newScene();
    await using started = await start(scene, echo);
    const again = start(scene, echo);
    await expect(again).rejects.toThrow(BindError);
    await expect(again).rejects.toThrow(`process ${process.pid} has locked`);
    const run = await scene.run("s6-ipcserver", ["socket", "true"]);
    run.exits(111).stderrMatches(/Device or resource busy/);
    expect(await askPath(started.path, "x")).toBe("x");
  });

  test("the socket of a local server that drains can be bound by the next", async () => {
    await using scene = await newScene();
    await using first = await start(scene, echo);
    await using client = await dialPath(first.path);
    client.write("one\n");
    expect(await client.line()).toBe("one");
    const drained = first.server.drain();
    await using second = await start(scene, ({ stream }) => void stream.end("second\n"));
    expect(await askPath(second.path)).toBe("second\n");
    client.end("two\n");
    expect(await client.rest()).toBe("two\n");
    expect(await drained).toBe(true);
  });

  test("the socket of a local server may be the caller's, which stays open", async () => {
    await using scene = await newScene();
    const fd = posix.socket("unix", "stream");
    posix.bind(fd, { family: "unix", path: scene.path("socket") });
    posix.listen(fd, 4);
    const started = await start(scene, echo, { listen: { fd } });
    expect(await askPath(scene.path("socket"), "x")).toBe("x");
    await started.server.close();
    expect(posix.isListening(fd)).toBe(true);
    posix.close(fd);
    await expect(start(scene, echo, { listen: { fd: 999 } })).rejects.toThrow(
      "Not a listening socket: 999",
    );
  });

  test("the sockets of a local server may be several, an abstract name among them", async () => {
    await using scene = await newScene();
    const abstract = `ucspi ${scene.directory}`;
    const listen = [{ path: scene.path("one") }, { abstract }];
    await using started = await start(scene, echo, { listen });
    expect(await askPath(scene.path("one"), "x")).toBe("x");
    const client = ["--abstract", abstract, "sh", "-c", "echo hello >&7; head -n 1 <&6"];
    (await scene.run("s6-ipcclient", client)).exits(0).stdoutIs("hello\n");
    expect(started.server.connections).toBeLessThanOrEqual(1);
  });

  test("the sockets of a local server are all given back when one cannot be bound", async () => {
    await using scene = await newScene();
    const one = { path: scene.path("one") };
    const listen = [one, { path: scene.path("missing/two") }];
    await expect(start(scene, echo, { listen })).rejects.toThrow(BindError);
    await using started = await start(scene, echo, { listen: one });
    expect(await askPath(one.path, "x")).toBe("x");
    expect(started.server.connections).toBeLessThanOrEqual(1);
  });
});

describe("the end of a local server", () => {
  test("the end of a local server ends its connections, and it starts only once", async () => {
    await using scene = await newScene();
    const started = await start(scene, echo);
    await using client = await dialPath(started.path);
    client.write("x\n");
    await client.line();
    await started.server.close();
    expect(await client.rest()).toBe("");
    expect(await started.server.done).toBe(0);
    await expect(started.server.start()).rejects.toThrow("A LocalServer can be started only once");
  });

  test("the end of a local server comes with its signal", async () => {
    await using scene = await newScene();
    const controller = new AbortController();
    const { server, path } = await start(scene, echo, { signal: controller.signal });
    controller.abort();
    expect(await server.done).toBe(0);
    const late = connect({ path });
    const [error] = await once(late, "error");
    expect(error).toMatchObject({ code: "ECONNREFUSED" });
  });
});
