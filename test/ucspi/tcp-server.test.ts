/** The TCP server as those who import it see it, on sockets of the loopback. */

import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { formatIp, SystemError, TcpServer } from "../../src/index.ts";
import type { Handler, TcpConnection, TcpServerOptions } from "../../src/index.ts";
import { defaultSystem } from "../../src/command/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import { TcpServer as SystemTcpServer } from "../../src/ucspi/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { BIN, newScene } from "../support/scene.ts";
import { ask, dial } from "./dial.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };
const ENVIRONMENT = { PATH: `${BIN}:${process.env["PATH"] ?? ""}` };

function echo({ stream }: TcpConnection): void {
  stream.pipe(stream);
}

type Options = Partial<TcpServerOptions>;

/** A server that has started, and its first port. */
async function serve(options: Options): Promise<TcpServer & { readonly port: number }> {
  const server = new TcpServer({ listen: LOOPBACK, serve: echo, ...options });
  const [{ port } = { port: 0 }] = await server.start();
  return Object.assign(server, { port });
}

/** What is told over and over, to be waited for one by one. */
class Told<T> {
  readonly all: T[] = [];
  #wake: () => void = () => {};

  readonly tell = (value: T): void => {
    this.all.push(value);
    this.#wake();
  };

  /** Resolves once `count` values were told, counted from the start. */
  async count(count: number): Promise<readonly T[]> {
    while (this.all.length < count) await new Promise<void>((wake) => (this.#wake = wake));
    return this.all;
  }
}

/** How many sockets this process has open. */
function openSockets(): number {
  const posix = loadPosix();
  const numbers = readdirSync("/proc/self/fd").map(Number);
  return numbers.filter((fd) => posix.isOpen(fd) && posix.isSocket(fd)).length;
}

describe("a function of a TcpServer", () => {
  test("gets each connection as a stream, and where it comes from", async () => {
    const connections = new Told<TcpConnection>();
    const handler: Handler = (connection) => {
      connections.tell(connection);
      connection.stream.end("hello\n");
    };
    await using server = await serve({ serve: handler });
    await using client = await dial(server.port, { from: "127.0.0.5" });
    expect(await client.rest()).toBe("hello\n");
    const [seen] = await connections.count(1);
    expect(formatIp(seen?.remote.address ?? { family: 4, bytes: new Uint8Array(4) })).toBe(
      "127.0.0.5",
    );
    expect(seen).toMatchObject({ remote: { port: client.port }, local: { port: server.port } });
    expect(seen).toMatchObject({ number: 0, rule: undefined });
    expect(seen?.environment).toEqual({
      PROTO: "TCP",
      TCPLOCALIP: "127.0.0.1",
      TCPLOCALPORT: String(server.port),
      TCPREMOTEIP: "127.0.0.5",
      TCPREMOTEPORT: String(client.port),
      TCPCONNNUM: "0",
    });
  });

  test("counts the connections of each address", async () => {
    const numbers = new Told<string>();
    const handler: Handler = ({ number, remote }) =>
      numbers.tell(`${formatIp(remote.address)} ${number}`);
    await using server = await serve({ serve: handler });
    await using _one = await dial(server.port);
    await numbers.count(1);
    await using _two = await dial(server.port);
    await numbers.count(2);
    await using _three = await dial(server.port, { from: "127.0.0.2" });
    expect(await numbers.count(3)).toEqual(["127.0.0.1 0", "127.0.0.1 1", "127.0.0.2 0"]);
    expect(server.connections).toBe(3);
  });

  test("that throws or rejects loses its connection, and is told", async () => {
    const errors = new Told<string>();
    const ends = new Told<unknown>();
    let calls = 0;
    await using server = await serve({
      serve: () => {
        calls += 1;
        if (calls === 1) throw new Error("thrown");
        return calls === 2 ? Promise.reject(new Error("rejected")) : undefined;
      },
      onError: (error, connection) => errors.tell(`${String(error)} ${connection?.number}`),
      onEnd: (_, status) => ends.tell(status),
    });
    expect(await ask(server.port)).toBe("");
    expect(await ask(server.port)).toBe("");
    expect(await errors.count(2)).toEqual(["Error: thrown 0", "Error: rejected 0"]);
    expect(await ends.count(2)).toEqual([
      { kind: "exited", exitCode: 0 },
      { kind: "exited", exitCode: 0 },
    ]);
    await using _ = await dial(server.port);
    expect(server.addresses).toHaveLength(1);
  });

  test("loses its connection, and no other, to a client that resets", async () => {
    const ends = new Told<unknown>();
    const begun = new Told<unknown>();
    await using server = await serve({
      serve: ({ stream }) => {
        begun.tell(undefined);
        stream.pipe(stream);
      },
      onEnd: (remote) => ends.tell(remote.port),
      onError: (error) => ends.tell(error),
    });
    await using client = await dial(server.port);
    await begun.count(1);
    const { port } = client;
    client.reset();
    expect(await ends.count(1)).toEqual([port]);
    expect(await ask(server.port, "still there")).toBe("still there");
  });

  test("may leave the input unread: the connection ends all the same", async () => {
    const ends = new Told<unknown>();
    await using server = await serve({
      serve: ({ stream }) => void stream.end("hello\n"),
      onEnd: (remote) => ends.tell(remote.port),
    });
    await using client = await dial(server.port);
    client.end("never read");
    expect(await client.rest()).toBe("hello\n");
    expect(await ends.count(1)).toHaveLength(1);
    expect(server.connections).toBe(0);
  });

  test("may read after it has ended the stream, until it returns", async () => {
    const read = new Told<string>();
    await using server = await serve({
      allowHalfOpen: true,
      serve: async ({ stream }) => {
        stream.end("go on\n");
        await once(stream, "finish");
        for await (const chunk of stream) read.tell(String(chunk));
      },
    });
    await using client = await dial(server.port);
    expect(await client.rest()).toBe("go on\n");
    client.end("late");
    expect(await read.count(1)).toEqual(["late"]);
  });

  test("may answer a client that has ended its side, with allowHalfOpen", async () => {
    const handler: Handler = async ({ stream }) => {
      let text = "";
      stream.on("data", (chunk) => (text += String(chunk)));
      await once(stream, "end");
      if (!stream.writableEnded) stream.end(text.toUpperCase());
    };
    await using open = await serve({ serve: handler, allowHalfOpen: true });
    expect(await ask(open.port, "hello")).toBe("HELLO");
    await using closed = await serve({ serve: handler });
    expect(await ask(closed.port, "hello")).toBe("");
  });
});

describe("a chain of a TcpServer", () => {
  test("runs as a process for each connection, with the UCSPI variables", async () => {
    const ends = new Told<unknown>();
    await using server = await serve({
      serve: ["sh", "-c", "echo $PROTO $TCPREMOTEIP $TCPCONNNUM $MINE ${HOME-unset}; exit 3"],
      environment: { ...ENVIRONMENT, MINE: "yes", HOME: undefined },
      onEnd: (_, status) => ends.tell(status),
    });
    expect(await ask(server.port)).toBe("TCP 127.0.0.1 0 yes unset\n");
    expect(await ends.count(1)).toEqual([{ kind: "exited", exitCode: 3 }]);
  });

  test("may begin with links of ours", async () => {
    await using scene = await newScene({ files: { "env/NAME": "value\n" } });
    const words = ["s6-envdir", scene.path("env"), "printenv", "NAME"];
    await using server = await serve({ serve: words, environment: ENVIRONMENT });
    expect(await ask(server.port)).toBe("value\n");
  });

  test("serves each client its own connection while descriptors come and go", async () => {
    const posix = loadPosix();
    let isOver = false;
    const churn = (): void => {
      const opened = Array.from({ length: 20 }, () => posix.open("/dev/null", "read"));
      for (const fd of opened) posix.close(fd);
      if (!isOver) setImmediate(churn);
    };
    await using server = await serve({ serve: ["cat"], environment: ENVIRONMENT });
    churn();
    try {
      const words = Array.from({ length: 200 }, (_, number) => `client ${number}`);
      expect(await Promise.all(words.map((word) => ask(server.port, word)))).toEqual(words);
    } finally {
      isOver = true;
    }
  });

  test("of no words does not start", async () => {
    const before = openSockets();
    const server = new TcpServer({ listen: LOOPBACK, serve: [] });
    await expect(server.start()).rejects.toThrow("An empty chain");
    expect(openSockets()).toBe(before);
  });

  test("of a program that is not there drops the client, and is told", async () => {
    const errors = new Told<string>();
    await using server = await serve({
      serve: ["nowhere-to-be-found"],
      environment: ENVIRONMENT,
      onError: (error) => errors.tell(String(error)),
    });
    expect(await ask(server.port)).toBe("");
    const [error] = await errors.count(1);
    expect(error).toMatch(/^Error: Unable to spawn nowhere-to-be-found: /);
    expect(server.connections).toBe(0);
  });
});

describe("the rules of a TcpServer", () => {
  const rules = cdbBytes([
    ["ip4/127.0.0.1_32", "A\0\x0cA=b\0TCPGONE\0\0\0"],
    ["ip4/127.0.0.2_32", "D"],
    ["ip4/127.0.0.4_32", "A"],
  ]);

  for (const kind of ["cdb", "directory"] as const) {
    test(`in a ${kind} admit and refuse, and set variables`, async () => {
      await using scene = await newScene({
        files: {
          "rules.cdb": rules,
          "rules/ip4/127.0.0.1_32/allow": "",
          "rules/ip4/127.0.0.1_32/env/A": "b\n",
          "rules/ip4/127.0.0.1_32/env/TCPGONE": "",
          "rules/ip4/127.0.0.2_32/deny": "",
        },
      });
      const refusals = new Told<string>();
      const environments = new Told<readonly unknown[]>();
      await using server = await serve({
        rules:
          kind === "cdb" ? { cdb: scene.path("rules.cdb") } : { directory: scene.path("rules") },
        serve: (connection) => {
          const { A, TCPGONE, PROTO } = connection.environment;
          environments.tell([connection.rule, A, TCPGONE, PROTO]);
          echo(connection);
        },
        onRefused: ({ remote, reason }) => refusals.tell(`${formatIp(remote.address)} ${reason}`),
      });
      expect(await ask(server.port, "hello")).toBe("hello");
      expect(await ask(server.port, "hello", { from: "127.0.0.2" })).toBe("");
      expect(await ask(server.port, "hello", { from: "127.0.0.3" })).toBe("");
      expect(await refusals.count(2)).toEqual([
        "127.0.0.2 rule ip4/127.0.0.2_32",
        "127.0.0.3 no rule matches",
      ]);
      expect(environments.all).toEqual([["ip4/127.0.0.1_32", "b", undefined, "TCP"]]);
      expect(server.connections).toBe(0);
    });
  }

  test("set the variables of programs too", async () => {
    await using scene = await newScene({ files: { "rules.cdb": rules } });
    await using server = await serve({
      rules: { cdb: scene.path("rules.cdb") },
      serve: ["printenv", "A"],
      environment: ENVIRONMENT,
    });
    expect(await ask(server.port)).toBe("b\n");
  });

  test("that are damaged or missing refuse", async () => {
    await using scene = await newScene({ files: { "rules.cdb": rules, "bad.cdb": "no cdb" } });
    for (const [name, from] of [
      ["rules.cdb", "127.0.0.4"],
      ["bad.cdb", "127.0.0.1"],
      ["nowhere.cdb", "127.0.0.1"],
    ] as const) {
      const refusals = new Told<unknown>();
      await using server = await serve({
        rules: { cdb: scene.path(name) },
        onRefused: refusals.tell,
      });
      expect(await ask(server.port, "hello", { from })).toBe("");
      await refusals.count(1);
    }
  });

  test("may be anything that answers as rules do", async () => {
    const refuse = { kind: "deny", rule: "mine" } as const;
    const answers = { probe: () => refuse, checkIp: () => refuse };
    const refusals = new Told<string>();
    await using server = await serve({
      rules: { ...answers, checkReverseDns: () => refuse, checkUidGid: () => refuse },
      onRefused: ({ reason }) => refusals.tell(reason),
    });
    expect(await ask(server.port)).toBe("");
    expect(await refusals.count(1)).toEqual(["rule mine"]);
  });
});

describe("the limits of a TcpServer", () => {
  test("on all connections leave those above in the queue", async () => {
    const begun = new Told<TcpConnection>();
    await using server = await serve({
      maxConnections: 1,
      serve: (connection) => {
        begun.tell(connection);
        connection.stream.write("in\n");
        echo(connection);
      },
    });
    await using one = await dial(server.port);
    expect(await one.line()).toBe("in");
    await using two = await dial(server.port);
    one.end();
    await one.rest();
    expect(await two.line()).toBe("in");
    expect(begun.all).toHaveLength(2);
    expect(server.connections).toBe(1);
  });

  test("on those of one address close those above", async () => {
    const refusals = new Told<string>();
    await using server = await serve({
      maxPerAddress: 1,
      serve: ({ stream }) => void stream.write("in\n"),
      onRefused: ({ remote, reason }) => refusals.tell(`${formatIp(remote.address)}: ${reason}`),
    });
    await using one = await dial(server.port);
    expect(await one.line()).toBe("in");
    expect(await ask(server.port)).toBe("");
    await using other = await dial(server.port, { from: "127.0.0.2" });
    expect(await other.line()).toBe("in");
    expect(refusals.all).toEqual(["127.0.0.1: 1 connections from this address"]);
  });
});

describe("the end of a TcpServer:", () => {
  test("close() ends the connections and frees the port", async () => {
    const before = openSockets();
    const ends = new Told<unknown>();
    const server = await serve({ onEnd: (remote) => ends.tell(remote) });
    await using client = await dial(server.port);
    client.write("hello\n");
    expect(await client.line()).toBe("hello");
    await server.close();
    expect(server.connections).toBe(0);
    expect(ends.all).toHaveLength(1);
    await client.rest();
    await expect(dial(server.port)).rejects.toThrow("ECONNREFUSED");
    await client[Symbol.asyncDispose]();
    expect(openSockets()).toBe(before);
    await server.close();
    expect(await server.drain()).toBe(true);
  });

  test("close() ends programs", async () => {
    const ends = new Told<unknown>();
    const server = await serve({
      serve: ["sh", "-c", "echo in; exec cat"],
      environment: ENVIRONMENT,
      onEnd: (_, status) => ends.tell(status),
    });
    await using client = await dial(server.port);
    expect(await client.line()).toBe("in");
    await server.close();
    expect(ends.all).toMatchObject([{ kind: "killed", signal: 15 }]);
  });

  test("await using closes", async () => {
    let port = 0;
    {
      await using server = await serve({});
      port = server.port;
      expect(await ask(port, "hello")).toBe("hello");
    }
    await expect(dial(port)).rejects.toThrow("ECONNREFUSED");
  });

  test("drain() waits for the connections, and takes no new one", async () => {
    const server = await serve({});
    await using client = await dial(server.port);
    client.write("hello\n");
    expect(await client.line()).toBe("hello");
    const drained = server.drain();
    await expect(dial(server.port)).rejects.toThrow("ECONNREFUSED");
    client.end("and goodbye");
    expect(await client.rest()).toBe("and goodbye");
    expect(await drained).toBe(true);
  });

  test("drain() with a timeout ends those that are left", async () => {
    const server = await serve({});
    await using client = await dial(server.port);
    client.write("hello\n");
    expect(await client.line()).toBe("hello");
    expect(await server.drain(20)).toBe(false);
    expect(server.connections).toBe(0);
    await client.rest();
  });

  test("an AbortSignal closes it, even while it drains", async () => {
    for (const drains of [false, true]) {
      const abort = new AbortController();
      const ends = new Told<unknown>();
      const server = await serve({ signal: abort.signal, onEnd: (remote) => ends.tell(remote) });
      await using client = await dial(server.port);
      client.write("hello\n");
      expect(await client.line()).toBe("hello");
      const drained = drains ? server.drain() : undefined;
      abort.abort();
      await ends.count(1);
      await drained;
      await client.rest();
      await expect(dial(server.port)).rejects.toThrow("ECONNREFUSED");
    }
  });

  test("an AbortSignal, or close(), before it has started keeps it from starting", async () => {
    const before = openSockets();
    const start = { listen: LOOPBACK, serve: ["cat"], environment: ENVIRONMENT };
    const early = new TcpServer({ ...start, signal: AbortSignal.abort() });
    await expect(early.start()).rejects.toThrow(/abort/);
    const abort = new AbortController();
    const aborted = new TcpServer({ ...start, signal: abort.signal }).start();
    abort.abort();
    await expect(aborted).rejects.toThrow(/abort/);
    const closed = new TcpServer(start);
    const starting = closed.start();
    await closed.close();
    await expect(starting).rejects.toThrow("closed while it was starting");
    expect(openSockets()).toBe(before);
  });
});

describe("the listeners of a TcpServer", () => {
  test("may be many", async () => {
    await using server = await serve({ listen: [LOOPBACK, { host: "::1", port: 0 }] });
    const [four, six] = server.addresses;
    expect(await ask(four?.port ?? 0, "four")).toBe("four");
    expect(await ask(six?.port ?? 0, "six", { host: "::1" })).toBe("six");
  });

  test("are all closed when one of them cannot be opened", async () => {
    const before = openSockets();
    await using taken = await serve({});
    const listen = [LOOPBACK, { host: "127.0.0.1", port: taken.port }];
    const server = new TcpServer({ listen, serve: echo });
    const failure: unknown = await server.start().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(SystemError);
    expect(failure).toMatchObject({ code: "EADDRINUSE", syscall: "bind" });
    expect(openSockets()).toBe(before + 1);
    await expect(server.start()).rejects.toThrow("only once");
  });

  test("are all closed when one of them cannot be watched", async () => {
    const posix = new FakePosix();
    const before = posix.openFds;
    let watches = 0;
    const watch = posix.watch.bind(posix);
    posix.watch = (...call) => {
      watches += 1;
      if (watches === 2) posix.failNext("watch", "ENOMEM");
      return watch(...call);
    };
    const server = new SystemTcpServer(
      { listen: [LOOPBACK, LOOPBACK], serve: echo },
      { ...defaultSystem(), posix },
    );
    await expect(server.start()).rejects.toMatchObject({ code: "ENOMEM" });
    expect(watches).toBe(2);
    expect(posix.openFds).toEqual(before);
    await server.close();
    expect(await server.done).toBe(0);
  });

  test("need numeric addresses", async () => {
    for (const host of ["localhost", "127.0.0.1x", ""]) {
      const server = new TcpServer({ listen: { host, port: 0 }, serve: echo });
      await expect(server.start()).rejects.toThrow(`Not an IP address: ${host}`);
    }
  });

  test("may be sockets of the caller, which stay open", async () => {
    const posix = loadPosix();
    const fd = posix.socket("inet", "stream");
    try {
      const unbound = new TcpServer({ listen: { fd }, serve: echo });
      await expect(unbound.start()).rejects.toThrow(`Not a listening socket: ${fd}`);
      const bytes = Uint8Array.of(127, 0, 0, 1);
      posix.bind(fd, { family: "inet", bytes, port: 0, scope: 0 });
      posix.listen(fd, 5);
      const server = await serve({ listen: { fd } });
      expect(await ask(server.port, "hello")).toBe("hello");
      await server.close();
      expect(posix.isListening(fd)).toBe(true);
    } finally {
      posix.close(fd);
    }
    const none = new TcpServer({ listen: { fd: 9999 }, serve: echo });
    await expect(none.start()).rejects.toThrow("Not a listening socket: 9999");
  });

  test("can be started once", async () => {
    await using server = await serve({});
    await expect(server.start()).rejects.toThrow(TypeError);
    expect(await ask(server.port, "unharmed")).toBe("unharmed");
  });

  test("tell each connection its own address with localAddress", async () => {
    const locals = new Told<string>();
    const handler: Handler = ({ local, stream }) => {
      locals.tell(formatIp(local.address));
      stream.end();
    };
    const listen = { host: "0.0.0.0", port: 0 };
    await using plain = await serve({ listen, serve: handler });
    await ask(plain.port);
    await using asking = await serve({ listen, serve: handler, localAddress: true });
    await ask(asking.port);
    expect(locals.all).toEqual(["0.0.0.0", "127.0.0.1"]);
  });

  test("fail with EADDRINUSE on a port that a server of Node has", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const server = new TcpServer({ listen: { host: "127.0.0.1", port }, serve: echo });
    await expect(server.start()).rejects.toMatchObject({ code: "EADDRINUSE" });
    other.close();
    await once(other, "close");
  });
});
