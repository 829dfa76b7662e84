import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { BIN, bothWays, isAlive, newScene, peer, withoutOthers } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { logOf, startServer } from "../ucspi/servers.ts";

/** Greets with its pid, then gives back what it gets. */
const ECHO = ["sh", "-c", "echo $$; exec cat"];

const prlimit = peer("prlimit");

const INFO = "s6-tcpserverd: info:";

describe("the program of a connection", () => {
  test.skipIf(prlimit.isMissing)(
    "is executed under a hard limit that somebody has lowered for the running server",
    async () => {
      await using scene = await newScene();
      const { port, process: server } = await startServer(scene, "", ["sh", "-c", "ulimit -Hn"]);
      const words = ["-p", String(server.pid), "--nofile=99:99"];
      (await scene.execute(prlimit.path, words).finished()).exits(0);
      expect(await ask(port)).toBe("99\n");
    },
  );

  bothWays("the program of a connection reads and writes it", async (newScene) => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "", ["cat"]);
    expect(await ask(port, "hello\n")).toBe("hello\n");
  });

  bothWays(
    "the program of a connection gets the inherited environment and the variables of TCP",
    async (newScene) => {
      await using scene = await newScene();
      const stale = { PROTO: "stale", TCPREMOTEIP: "stale", TCPCONNNUM: "stale", KEPT: "a b" };
      const { port } = await startServer(scene, "", ["env"], { env: stale });
      await using client = await dial(port);
      const variables = (await client.rest()).trim().split("\n").sort();
      const plain = await scene.execute("env", [], { env: { KEPT: "a b" } }).finished();
      const expected = [
        ...plain.stdout.trim().split("\n"),
        "PROTO=TCP",
        "TCPLOCALIP=127.0.0.1",
        `TCPLOCALPORT=${port}`,
        "TCPREMOTEIP=127.0.0.1",
        `TCPREMOTEPORT=${client.port}`,
        "TCPCONNNUM=0",
      ];
      expect(variables).toEqual(expected.sort());
    },
  );

  bothWays(
    "the program of a connection gets the number of connections from its address",
    async (newScene) => {
      await using scene = await newScene();
      const { port } = await startServer(scene, "", ["sh", "-c", "echo $TCPCONNNUM; exec cat"]);
      await using first = await dial(port);
      expect(await first.line()).toBe("0");
      await using second = await dial(port);
      expect(await second.line()).toBe("1");
      await using stranger = await dial(port, { from: "127.0.0.9" });
      expect(await stranger.line()).toBe("0");
    },
  );

  bothWays(
    "the program of a connection gets the address of the listening socket",
    async (newScene) => {
      await using scene = await newScene();
      const { port } = await startServer(scene, "", ["printenv", "TCPLOCALIP"], { ip: "0.0.0.0" });
      expect(await ask(port, "", { host: "127.0.0.5" })).toBe("0.0.0.0\n");
    },
  );

  bothWays(
    "the program of a connection gets its own local address with --local-address",
    async (newScene) => {
      await using scene = await newScene();
      const program = ["printenv", "TCPLOCALIP", "TCPLOCALPORT"];
      const { port } = await startServer(scene, "--local-address", program, { ip: "0.0.0.0" });
      expect(await ask(port, "", { host: "127.0.0.5" })).toBe(`127.0.0.5\n${port}\n`);
      expect(await ask(port, "", { host: "127.0.0.6" })).toBe(`127.0.0.6\n${port}\n`);
    },
  );

  bothWays("the program of a connection is served over IPv6", async (newScene) => {
    await using scene = await newScene();
    const program = ["printenv", "TCPLOCALIP", "TCPREMOTEIP"];
    const { port, process } = await startServer(scene, "-v", program, { ip: "::1" });
    expect(await ask(port, "", { host: "::1" })).toBe("::1\n::1\n");
    await process.line(/^s6-tcpserverd: info: accept ::1_\d+ pid \d+ count 1\/40$/);
  });

  // A shell gives its program no descriptors but 0 to 2, and the limits and signals of the shell.
  bothWays(
    "the program of a connection has the descriptors, limits and signals that a shell gives",
    async (newScene) => {
      const look =
        "for f in /proc/$$/fd/*; do echo ${f##*/}; done; cat /proc/self/limits; grep -E '^(Sig|Shd)(Blk|Ign|Cgt|Pnd)' /proc/self/status";
      await using scene = await newScene({ files: { look } });
      // In a shell that stays, so that its limits are those of the server's parent.
      const shell = "ulimit -Sn 321; ulimit -c 0; ";
      const plain = await scene.shell(`${shell} sh -c "$(cat look)"; exit $?`);
      const server = scene.execute("/bin/sh", [
        "-c",
        `${shell} s6-tcpserver -1 --also=127.0.0.1:0 127.0.0.1 0 sh -c "$(cat look)"; exit $?`,
      ]);
      const [, port = ""] = await server.line(/^(\d+)$/);
      const seen = await ask(Number(port));
      expect(seen).toMatch(/Max open files +321 /);
      expect(seen).toBe(plain.stdout);
    },
  );

  bothWays(
    "the program of a connection keeps inherited descriptors, and closed ones stay closed",
    async (newScene) => {
      const look = "for f in 0 1 2 4; do test -e /proc/$$/fd/$f && echo $f; done; cat <&4";
      await using scene = await newScene({ files: { look, four: "from 4\n" } });
      const server = scene.execute("/bin/sh", [
        "-c",
        's6-tcpserver -1 127.0.0.1 0 sh -c "$(cat look)" 4<four 2>&- <&-; exit $?',
      ]);
      const [, port = ""] = await server.line(/^(\d+)$/);
      expect(await ask(Number(port))).toBe("0\n1\n4\nfrom 4\n");
    },
  );

  bothWays("the program of a connection gets a blocking socket", async (newScene) => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "", ["sh", "-c", "cat /proc/$$/fdinfo/0"]);
    const [, flags = ""] = /^flags:\s+([0-7]+)$/m.exec(await ask(port)) ?? [];
    expect(Number.parseInt(flags, 8) & 0o4000).toBe(0);
  });
});

describe("readiness", () => {
  bothWays("s6-tcpserver -1 writes the port to standard output and closes it", async (newScene) => {
    await using scene = await newScene();
    // The reader ends with the end of its input, while the server goes on.
    const script = "{ s6-tcpserver -1 127.0.0.1 0 cat & echo $! >&2; } | cat; echo ended";
    const server = scene.execute("/bin/sh", ["-c", script]);
    const [, pid = ""] = await server.line(/^(\d+)$/);
    const [, port = ""] = await server.line(/^(\d+)$/);
    await server.line(/^ended$/);
    expect(isAlive(Number(pid))).toBe(true);
    expect(await ask(Number(port), "still there")).toBe("still there");
  });

  bothWays(
    "s6-tcpserver without -1 writes nothing, and closes standard output all the same",
    async (newScene) => {
      await using scene = await newScene();
      const script = "s6-tcpserver -v 127.0.0.1 0 cat | { cat; echo ended; }";
      const server = scene.execute("/bin/sh", ["-c", script]);
      await server.line(/^ended$/);
      expect(server.output).not.toMatch(/^\d+$/m);
    },
  );

  bothWays("a signal right after readiness is handled", async (newScene) => {
    await using scene = await newScene();
    const { process } = await startServer(scene, "", ["cat"]);
    process.signal("SIGTERM");
    (await process.finished()).exits(EXIT.ok).stderrIs("");
  });
});

describe("the log", () => {
  bothWays("s6-tcpserver -v logs each connection", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v -C 5", ["sh", "-c", "read n; exit $n"]);
    await ask(port, "3\n");
    await process.line(/ exitcode 3 /);
    await process.line(/ status: 0\/40$/);
    await ask(port, "0\n");
    await process.line(/ exitcode 0 /);
    await process.line(/ status: 0\/40$/);
    process.signal("SIGTERM");
    const run = await process.finished();
    run.exits(EXIT.ok);
    expect(logOf(run.stderr)).toEqual([
      `${INFO} starting - bound to ip 127.0.0.1 port ${port}`,
      `${INFO} status: 0/40`,
      `${INFO} accept 127.0.0.1_PORT pid P count 1/5`,
      `${INFO} status: 1/40`,
      `${INFO} end pid P exitcode 3 count 0/5`,
      `${INFO} status: 0/40`,
      `${INFO} accept 127.0.0.1_PORT pid P count 1/5`,
      `${INFO} status: 1/40`,
      `${INFO} end pid P exitcode 0 count 0/5`,
      `${INFO} status: 0/40`,
      `${INFO} received SIGTERM, quitting`,
      `${INFO} exiting`,
    ]);
  });

  bothWays("the log of s6-tcpserver names client and child", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ECHO);
    await using client = await dial(port);
    const pid = await client.line();
    await process.line(new RegExp(`: accept 127.0.0.1_${client.port} pid ${pid} count 1/40$`));
    client.end();
    await process.line(new RegExp(`: end pid ${pid} exitcode 0 count 0/40$`));
  });

  bothWays("the log of s6-tcpserver shows the signal that killed a program", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ["sh", "-c", "kill -9 $$"]);
    await ask(port);
    await process.line(/^s6-tcpserverd: info: end pid \d+ signal 9 count 0\/40$/);
  });

  bothWays("s6-tcpserver logs refusals by default, and no more", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-C 1", ECHO);
    await using client = await dial(port);
    await client.line();
    expect(await ask(port)).toBe("");
    client.end();
    await client.rest();
    process.signal("SIGTERM");
    const run = await process.finished();
    expect(logOf(run.stderr)).toEqual([`${INFO} reject 127.0.0.1_PORT count 1/1`]);
  });

  bothWays("s6-tcpserver -q logs nothing", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-q -C 1", ECHO);
    await using client = await dial(port);
    await client.line();
    expect(await ask(port)).toBe("");
    process.signal("SIGQUIT");
    (await process.finished()).exits(EXIT.ok).stderrIs("");
  });

  bothWays(
    "s6-tcpserver logs a program that cannot be executed, and goes on serving",
    async (newScene) => {
      await using scene = await newScene({ files: { later: "#!/bin/sh\necho served\n" } });
      const { port, process } = await startServer(scene, "", ["./missing"]);
      expect(await ask(port)).toBe("");
      await process.line(
        /^s6-tcpserverd: warning: unable to spawn \.\/missing: No such file or directory$/,
      );
      scene.write("missing", scene.read("later"));
      expect(await ask(port)).toBe("served\n");
    },
  );
});

describe("limits", () => {
  bothWays(
    "s6-tcpserver -C closes the next connection of one address at once",
    async (newScene) => {
      await using scene = await newScene();
      const program = ["sh", "-c", "echo $TCPCONNNUM; exec cat"];
      const { port, process } = await startServer(scene, "-v -c 3 -C 2", program);
      await using first = await dial(port);
      expect(await first.line()).toBe("0");
      await using second = await dial(port);
      expect(await second.line()).toBe("1");
      expect([await ask(port), await ask(port)]).toEqual(["", ""]);
      for (const _ of [1, 2]) {
        await process.line(/^s6-tcpserverd: info: reject 127\.0\.0\.1_\d+ count 2\/2$/);
      }
      await using other = await dial(port, { from: "127.0.0.2" });
      expect(await other.line()).toBe("0");
    },
  );

  bothWays(
    "s6-tcpserver -c lets the next connection wait until another one is over",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await startServer(scene, "-v -c 1", ECHO);
      await using first = await dial(port);
      await first.line();
      await using second = await dial(port);
      await using third = await dial(port);
      first.end();
      await second.line();
      second.end();
      await third.line();
      third.end();
      await third.rest();
      process.signal("SIGTERM");
      const log = logOf((await process.finished()).stderr).filter(
        (line) => !line.includes("status"),
      );
      const served = [
        `${INFO} accept 127.0.0.1_PORT pid P count 1/1`,
        `${INFO} end pid P exitcode 0 count 0/1`,
      ];
      expect(log.slice(1, 6)).toEqual([...served, ...served, served[0]]);
    },
  );

  bothWays("limits of 0 are limits of 1", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v -c 0 -C 0 -b 1", ["echo", "served"]);
    expect(await ask(port)).toBe("served\n");
    await process.line(/ count 1\/1$/);
  });

  test("s6-tcpserver --refusals=text logs refusals as text", async () => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-q -C 1 --refusals=text", ECHO);
    await using client = await dial(port);
    await client.line();
    await using refused = await dial(port);
    await refused.rest();
    await process.line(
      new RegExp(
        `^s6-tcpserverd: info: refused ip 127.0.0.1 port ${refused.port} by limit: 1 of at most 1 connections from this address$`,
      ),
    );
  });

  test("s6-tcpserver --refusals=json logs refusals, and a full server, as JSON", async () => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-q -c 2 -C 1 --refusals=json", ECHO);
    await using client = await dial(port);
    await client.line();
    await using refused = await dial(port);
    await refused.rest();
    const [text = ""] = await process.line(/^\{.*\}$/);
    expect(JSON.parse(text)).toEqual({
      event: "refused",
      remoteIp: "127.0.0.1",
      remotePort: refused.port,
      localIp: "127.0.0.1",
      localPort: port,
      by: "limit",
      reason: "1 of at most 1 connections from this address",
    });
    await using last = await dial(port, { from: "127.0.0.2" });
    await last.line();
    await process.line(/^s6-tcpserverd: warning: no room: 2 connections are being served$/);
  });
});

describe("signals", () => {
  bothWays("SIGTERM ends the server and leaves the connections", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ECHO);
    await using client = await dial(port);
    scene.adopt(Number(await client.line()));
    process.signal("SIGTERM");
    await process.line(/^s6-tcpserverd: info: received SIGTERM, quitting$/);
    await process.line(/^s6-tcpserverd: info: exiting$/);
    await process.ended();
    client.end("still here\n");
    expect(await client.rest()).toBe("still here\n");
    (await process.finished()).exits(EXIT.ok);
  });

  bothWays("SIGHUP ends the connections and not the server", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ECHO);
    await using first = await dial(port);
    await using second = await dial(port);
    await first.line();
    await second.line();
    process.signal("SIGHUP");
    await process.line(
      /^s6-tcpserverd: info: received SIGHUP, sending SIGTERM and SIGCONT to all connections$/,
    );
    await process.line(/: end pid \d+ signal 15 count 1\/40$/);
    await process.line(/: end pid \d+ signal 15 count 0\/40$/);
    expect([await first.rest(), await second.rest()]).toEqual(["", ""]);
    await using third = await dial(port);
    expect(await third.line()).toMatch(/^\d+$/);
  });

  bothWays("SIGHUP wakes a stopped program", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ECHO);
    await using client = await dial(port);
    globalThis.process.kill(Number(await client.line()), "SIGSTOP");
    process.signal("SIGHUP");
    await process.line(/: end pid \d+ signal 15 count 0\/40$/);
  });

  bothWays("SIGQUIT ends connections and server", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v", ECHO);
    await using client = await dial(port);
    await client.line();
    process.signal("SIGQUIT");
    expect(await client.rest()).toBe("");
    const run = await process.finished();
    run
      .exits(EXIT.ok)
      .stderrMatches(
        /received SIGQUIT, sending SIGTERM and SIGCONT to all connections and quitting\ns6-tcpserverd: info: exiting\n$/,
      );
  });

  bothWays("SIGABRT kills the connections", async (newScene) => {
    await using scene = await newScene();
    const stubborn = ["sh", "-c", "trap '' TERM; echo $$; while :; do read x || :; done"];
    const { port, process } = await startServer(scene, "-v", stubborn);
    await using client = await dial(port);
    await client.line();
    process.signal("SIGABRT");
    expect(await client.rest()).toBe("");
    const run = await process.finished();
    run
      .exits(EXIT.ok)
      .stderrMatches(
        /received SIGABRT, sending SIGKILL to all connections and quitting\n.*exiting\n$/,
      );
  });

  bothWays("SIGINT kills the server, as it does in the C suite", async (newScene) => {
    await using scene = await newScene();
    const { process } = await startServer(scene, "", ["cat"]);
    process.signal("SIGINT");
    (await process.finished()).diesOf("SIGINT");
  });

  bothWays(
    "SIGUSR2 drains: the server accepts no connection and ends with the last",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await startServer(scene, "-v", ECHO);
      await using first = await dial(port);
      await first.line();
      await using second = await dial(port);
      await second.line();
      process.signal("SIGUSR2");
      await process.line(/^s6-tcpserverd: info: received SIGUSR2, draining 2 connections$/);
      await using late = await dial(port);
      first.end("one\n");
      expect(await first.rest()).toBe("one\n");
      second.end("two\n");
      expect(await second.rest()).toBe("two\n");
      (await process.finished()).exits(EXIT.ok);
      expect(await late.rest()).toBe("");
    },
  );

  bothWays(
    "SIGTERM drains with --drain, and the end of the server ends all connections",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await startServer(scene, "-v --drain=50", ECHO);
      await using client = await dial(port);
      await client.line();
      process.signal("SIGTERM");
      await process.line(/^s6-tcpserverd: info: received SIGTERM, draining 1 connections$/);
      expect(await client.rest()).toBe("");
      (await process.finished()).exits(EXIT.ok);
    },
  );

  bothWays("a second SIGTERM ends a drain at once", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-v --drain=0", ECHO);
    await using client = await dial(port);
    scene.adopt(Number(await client.line()));
    process.signal("SIGTERM");
    await process.line(/ draining /);
    process.signal("SIGTERM");
    await process.line(/: exiting$/);
    await process.ended();
    client.end("x\n");
    expect(await client.rest()).toBe("x\n");
  });
});

describe("several addresses", () => {
  bothWays("several addresses are served by one server with --also", async (newScene) => {
    await using scene = await newScene();
    const second = await scene.freePort();
    const program = ["printenv", "TCPLOCALIP", "TCPLOCALPORT"];
    const also = `--also=127.0.0.2:${second} --also=[::1]:${second}`;
    const { port } = await startServer(scene, also, program);
    expect(await ask(port)).toBe(`127.0.0.1\n${port}\n`);
    expect(await ask(second, "", { host: "127.0.0.2" })).toBe(`127.0.0.2\n${second}\n`);
    expect(await ask(second, "", { host: "::1" })).toBe(`::1\n${second}\n`);
  });

  bothWays(
    "several addresses share one limit, and no variable of ours is left over",
    async (newScene) => {
      await using scene = await newScene();
      const second = await scene.freePort();
      const program = ["sh", "-c", "env | grep -c UCSPI_LISTENERS; exec cat"];
      const { port } = await startServer(scene, `-c 1 --also=127.0.0.2:${second}`, program);
      await using first = await dial(port);
      expect(await first.line()).toBe("0");
      await using waiting = await dial(second, { host: "127.0.0.2" });
      first.end();
      expect(await waiting.line()).toBe("0");
    },
  );

  bothWays("an address that is taken ends the server before it serves", async (newScene) => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "", ["cat"]);
    const run = await scene.run("s6-tcpserver", [
      `--also=127.0.0.1:${port}`,
      "127.0.0.1",
      "0",
      "cat",
    ]);
    run
      .exits(EXIT.system)
      .stderrIs(
        `s6-tcpserver-socketbinder: fatal: unable to bind to 127.0.0.1 port ${port} : Address already in use\n`,
      );
  });
});

describe.skipIf(withoutOthers !== "")(`identity${withoutOthers}`, () => {
  const who = ["sh", "-c", "id -u; id -g; id -G; echo ${UID-unset} ${GID-unset} ${GIDLIST-unset}"];

  bothWays(
    "the ids of s6-tcpserver -u, -g and -G are those of server and program",
    async (newScene) => {
      await using scene = await newScene();
      const { port, process } = await startServer(scene, "-u 1234 -g 2345 -G 3456,4567", who);
      expect(await ask(port)).toBe("1234\n2345\n2345 3456 4567\nunset unset unset\n");
      const status = (await scene.shell(`cat /proc/${process.pid}/status`)).stdout;
      expect(status).toMatch(/^Uid:\t1234\t1234\t1234\t1234$/m);
      expect(status).toMatch(/^Gid:\t2345\t2345\t2345\t2345$/m);
      expect(status).toMatch(/^Groups:\t2345 3456 4567 $/m);
    },
  );

  bothWays(
    "s6-tcpserver -U takes the ids from the environment, and removes them from it",
    async (newScene) => {
      await using scene = await newScene();
      const env = { UID: "1234", GID: "2345", GIDLIST: "3456" };
      const { port } = await startServer(scene, "-U", who, { env });
      expect(await ask(port)).toBe("1234\n2345\n2345 3456\nunset unset unset\n");
    },
  );

  bothWays("s6-tcpserver -U without the variables is an error", async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run("s6-tcpserver", ["-U", "127.0.0.1", "0", "cat"]);
    run.exits(EXIT.usage).stderrMatches(/^s6-applyuidgid: fatal: \w+ not set\n$/);
  });

  bothWays("links behind the server change the program alone", async (newScene) => {
    await using scene = await newScene({ files: { "env/FOO": "bar" } });
    const links = "s6-tcpserver-access -H s6-envdir env s6-softlimit -o 77 s6-setsid";
    const identity = ["s6-applyuidgid", "-u", "1234", "-g", "2345", "-G", ""];
    const look = "id -u; id -G; echo $FOO; ulimit -n; cut -d' ' -f1,6 /proc/$$/stat; echo $$ $$";
    const program = [...links.split(" "), ...identity, "sh", "-c", look];
    const { port, process } = await startServer(scene, "", program);
    const [session = "", own = "-", ...facts] = (await ask(port)).trim().split("\n").reverse();
    expect([session, facts.reverse()]).toEqual([own, ["1234", "2345", "bar", "77"]]);
    const status = (await scene.shell(`cat /proc/${process.pid}/status`)).stdout;
    expect(status).toMatch(/^Uid:\t0\t0\t0\t0$/m);
  });

  bothWays("a port below 1024 is bound before the identity changes", async (newScene) => {
    await using scene = await newScene();
    const words = ["-1", "-u", "1234", "-g", "2345", "127.0.0.77", "997", ...who];
    const server = scene.start("s6-tcpserver", words);
    await server.line(/^997$/);
    expect(await ask(997, "", { host: "127.0.0.77" })).toMatch(/^1234\n/);
  });
});

describe("invalid words", () => {
  test.each([
    [[]],
    [["127.0.0.1"]],
    [["127.0.0.1", "0"]],
    [["-4", "127.0.0.1", "0", "cat"]],
    [["-c", "x", "127.0.0.1", "0", "cat"]],
    [["-b", "-1", "127.0.0.1", "0", "cat"]],
    [["--verbose", "127.0.0.1", "0", "cat"]],
    [["-G", "x,1", "127.0.0.1", "0", "cat"]],
    [["--also=127.0.0.1", "127.0.0.1", "0", "cat"]],
  ])("s6-tcpserver %j is a usage error", async (words) => {
    await using scene = await newScene();
    const run = await scene.run("s6-tcpserver", words);
    run
      .exits(EXIT.usage)
      .stdoutIs("")
      .stderrMatches(/^s6-tcpserver: (usage|fatal): /);
  });

  bothWays("an invalid address is reported by the socket binder", async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run("s6-tcpserver", ["127.0.0", "80", "cat"]);
    run.exits(EXIT.usage).stderrMatches(/^s6-tcpserver-socketbinder: usage: /m);
  });

  // The lines of networking.md, section 23, up to the program.
  test.each([
    ["127.0.0.1 7001 cat", "socketbinder -- 127.0.0.1 7001 tcpserverd --"],
    [
      "-v -D -1 -c 10 -C 3 -b 5 -u 1 -g 2 -G 3,4 127.0.0.1 7002 cat",
      "socketbinder -D -b 5 -- 127.0.0.1 7002 applyuidgid -u 1 -g 2 -G 3,4 -- tcpserverd -v2 -1 -c 10 -C 3 --",
    ],
    ["-q -U ::1 7003 cat", "socketbinder -- ::1 7003 applyuidgid -Uz -- tcpserverd -v0 --"],
    ["-c 0 -C 0 -b 0 ::1 1 cat", "socketbinder -b 0 -- ::1 1 tcpserverd -c 1 -C 1 --"],
    ["-u 5 -U -g 7 ::1 1 cat", "socketbinder -- ::1 1 applyuidgid -Uz -g 7 -- tcpserverd --"],
    ["-u 0 -g 0 ::1 1 cat", "socketbinder -- ::1 1 tcpserverd --"],
    ["-vqQ ::1 1 cat", "socketbinder -- ::1 1 tcpserverd --"],
  ])("s6-tcpserver %s is rewritten as in the C suite", async (line, expected) => {
    await using scene = await newScene({ way: "exec" });
    const run = await scene.run("s6-tcpserver", ["--explain", ...line.split(" ")]);
    const links = run.stdout
      .split("\n")
      .filter((text) => text.includes(`${BIN}/`))
      .map((text) =>
        text.trim().replaceAll(`${BIN}/s6-`, "").replace("tcpserver-socket", "socket"),
      );
    expect(links.join(" ").replace(/ cat$/, "")).toBe(expected);
  });
});

describe("choice of the command", () => {
  const foreign =
    '#!/bin/sh\necho foreign\nwhile test "$1" != --; do shift; done\nshift\nexec "$@"\n';

  bothWays(
    "a command of the same name earlier in PATH is executed by s6-tcpserver",
    async (newScene) => {
      await using scene = await newScene({ files: { "other/s6-tcpserver-access": foreign } });
      const env = { PATH: `${scene.path("other")}:${BIN}:${process.env["PATH"] ?? ""}` };
      const program = ["s6-tcpserver-access", "-i", "nowhere", "--", "echo", "served"];
      const { port } = await startServer(scene, "", program, { env });
      expect(await ask(port)).toBe("foreign\nserved\n");
    },
  );

  bothWays(
    "our command is run where it comes first in PATH, or is called by its file",
    async (newScene) => {
      await using scene = await newScene({ files: { "other/s6-tcpserver-access": foreign } });
      const env = { PATH: `${scene.path("other")}:${BIN}:${process.env["PATH"] ?? ""}` };
      const program = [`${BIN}/s6-tcpserver-access`, "-H", "--", "echo", "served"];
      const { port } = await startServer(scene, "", program, { env });
      expect(await ask(port)).toBe("served\n");
    },
  );
});

const perl = peer("perl");
const NO_DELAY = 'open(S, "<&=0"); print unpack("i", getsockopt(S, 6, 1)), "\\n"';

test("s6-tcpserver --explain prints the whole chain and starts nothing", async () => {
  await using scene = await newScene();
  const words = ["--explain", "127.0.0.1", "0", "s6-tcpserver-access", "-H", "cat"];
  const run = await scene.run("s6-tcpserver", words);
  run
    .exits(EXIT.ok)
    .stderrIs("")
    .stdoutMatches(/s6-tcpserver-socketbinder .*\n[^]*s6-tcpserverd/);
});

describe.skipIf(perl.isMissing)(`TCP_NODELAY${perl.why}`, () => {
  bothWays("TCP_NODELAY is set by s6-tcpserver-access -D alone", async (newScene) => {
    await using scene = await newScene();
    const look = [perl.path, "-e", NO_DELAY];
    const plain = await startServer(scene, "", ["s6-tcpserver-access", "-H", ...look]);
    expect(await ask(plain.port)).toBe("0\n");
    const set = await startServer(scene, "", ["s6-tcpserver-access", "-H", "-D", ...look]);
    expect(await ask(set.port)).toBe("1\n");
  });
});
