import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { bothWays, HELD_OPEN, isRoot, newScene } from "../support/scene.ts";
import type { Run, RunOptions, Scene } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "s6-tcpclient";

/** A server of ours: it says its greeting, and keeps what clients say. */
interface Peer extends AsyncDisposable {
  readonly port: number;
  /** `ADDRESS:PORT` of each client, oldest first. */
  readonly clients: readonly string[];
  /** All that a client has said, once it has ended its side. */
  readonly said: readonly string[];
  /** Wait until one more client has ended its side; how many have. */
  ended(): Promise<number>;
}

async function listen(host: string, { port = 0, greeting = "" } = {}): Promise<Peer> {
  const clients: string[] = [];
  const said: string[] = [];
  const sockets: Socket[] = [];
  let waited = 0;
  const server = createServer((socket) => {
    sockets.push(socket);
    clients.push(`${socket.remoteAddress}:${socket.remotePort}`);
    let text = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => (text += data.toString()));
    socket.on("end", () => {
      said.push(text);
      server.emit("said");
    });
    socket.end(greeting);
  });
  await listening(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    clients,
    said,
    async ended() {
      waited += 1;
      while (said.length < waited) await once(server, "said");
      return waited;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  server.listen({ host, port, ipv6Only: true });
  await once(server, "listening");
}

/** A port of 127.0.0.1 at which nobody listens, and ::1 and 127.0.0.2 neither. */
async function deadPort(): Promise<number> {
  const server = await listen("::1");
  await server[Symbol.asyncDispose]();
  return server.port;
}

function client(
  scene: Scene,
  options: string,
  host: string,
  port: number | string,
  program: readonly string[] = ["true"],
  env: RunOptions["env"] = {},
): Promise<Run> {
  const words = [...options.split(" ").filter(Boolean), host, String(port), ...program];
  return scene.run(NAME, words, { env });
}

const REMOTE = ["printenv", "TCPREMOTEIP"];
const NAMES = ["sh", "-c", "echo ${TCPREMOTEHOST-none} ${TCPLOCALHOST-none} ${TCPREMOTEINFO-none}"];
const STALE = { TCPREMOTEHOST: "stale", TCPREMOTEINFO: "stale", TCPLOCALHOST: "stale" };

describe("the program", () => {
  bothWays(
    "the program of s6-tcpclient reads from 6 and writes to 7, and its 0 and 1 are left alone",
    async (newScene) => {
      await using server = await listen("127.0.0.1", { greeting: "hello\n" });
      await using scene = await newScene();
      const script = "cat <&6; cat; echo bye >&7";
      const words = ["-H", "-l", "me", "127.0.0.1", String(server.port), "sh", "-c", script];
      const process = scene.start(NAME, words, { input: HELD_OPEN });
      await process.line(/^hello$/);
      process.write("from 0\n");
      process.endInput();
      (await process.finished()).exits(EXIT.ok).stdoutIs("hello\nfrom 0\n").stderrIs("");
    },
  );

  bothWays(
    "the program of s6-tcpclient has one blocking socket under both numbers, and no other",
    async (newScene) => {
      await using server = await listen("127.0.0.1");
      await using scene = await newScene();
      // No pipeline: the shell itself would hold pipes while the list is made.
      const script = "cd /proc/$$/fd; readlink 6 7; grep -h flags ../fdinfo/6; ls";
      const run = await client(scene, "-H -l me", "127.0.0.1", server.port, ["sh", "-c", script]);
      const [six, seven, flags, ...numbers] = run.exits(EXIT.ok).stdout.split("\n");
      expect(six).toMatch(/^socket:/);
      expect(seven).toBe(six);
      expect(flags).toMatch(/^flags:\s*02$/); // O_RDWR, and neither O_NONBLOCK nor O_CLOEXEC
      const low = numbers.filter((fd) => fd !== "" && Number(fd) < 10);
      expect(low.toSorted()).toEqual(["0", "1", "2", "6", "7"]);
    },
  );

  bothWays("the program of s6-tcpclient gets both ends in its variables", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using scene = await newScene();
    const script =
      "echo $PROTO $TCPREMOTEIP $TCPREMOTEPORT $TCPLOCALIP $TCPLOCALHOST; echo $TCPLOCALIP:$TCPLOCALPORT";
    const run = await client(scene, "-H -l me", "127.0.0.1", server.port, ["sh", "-c", script]);
    const [ends, local] = run.exits(EXIT.ok).stdout.split("\n");
    expect(ends).toBe(`TCP 127.0.0.1 ${server.port} 127.0.0.1 me`);
    expect(server.clients).toEqual([local]);
  });

  bothWays(
    "s6-tcpclient exits as its program, or with 127 or 126 where it cannot be executed",
    async (newScene) => {
      await using server = await listen("127.0.0.1");
      await using scene = await newScene({ files: { "no-program": "text" } });
      const at = ["-H -l me", "127.0.0.1", server.port] as const;
      (await client(scene, ...at, ["sh", "-c", "exit 42"])).exits(42);
      const missing = await client(scene, ...at, ["nowhere-to-be-found"]);
      missing
        .exits(127)
        .stderrIs(
          `${NAME}: fatal: unable to exec nowhere-to-be-found: No such file or directory\n`,
        );
      const text = await client(scene, ...at, ["./no-program"]);
      text.exits(126).stderrIs(`${NAME}: fatal: unable to exec ./no-program: Permission denied\n`);
    },
  );

  bothWays(
    "the program of s6-tcpclient may be another link: a relay in front of 6 and 7",
    async (newScene) => {
      await using server = await listen("127.0.0.1", { greeting: "hello\n" });
      await using scene = await newScene();
      const words = ["-H", "-l", "me", "127.0.0.1", String(server.port), "s6-ioconnect"];
      const run = await scene.run(NAME, words, { input: "from us\n" });
      run.exits(EXIT.ok).stdoutIs("hello\n");
      expect(server.said).toEqual(["from us\n"]);
    },
  );
});

describe("the address", () => {
  for (const host of ["", "0"]) {
    bothWays(
      `the host ${JSON.stringify(host)} is this machine, by IPv6 first`,
      async (newScene) => {
        await using scene = await newScene();
        await using six = await listen("::1", { port: await scene.freePort() });
        const at = [host, six.port, REMOTE] as const;
        (await client(scene, "-H -l me", ...at)).exits(EXIT.ok).stdoutIs("::1\n");
        await using four = await listen("127.0.0.1", { port: six.port });
        (await client(scene, "-H -l me", ...at)).stdoutIs("::1\n");
        (await client(scene, "-H -4 -l me", ...at)).stdoutIs("127.0.0.1\n");
        (await client(scene, "-H -4 -6 -l me", ...at)).stdoutIs("::1\n");
        (await client(scene, "-H -6 -4 -l me", ...at)).stdoutIs("127.0.0.1\n");
        await six[Symbol.asyncDispose]();
        (await client(scene, "-H -l me", ...at)).stdoutIs("127.0.0.1\n");
        expect(four.clients).toHaveLength(3);
      },
    );
  }

  bothWays(
    "s6-tcpclient connects to the first address in the list that answers",
    async (newScene) => {
      await using server = await listen("127.0.0.2");
      await using scene = await newScene();
      const hosts = "127.0.0.1,::1,127.0.0.2,127.0.0.3";
      for (const options of ["-H", "", "--happy-eyeballs -H", "-H -T 1", "-H -T 1+1"]) {
        const run = await client(scene, `${options} -l me`, hosts, server.port, REMOTE);
        run.exits(EXIT.ok).stdoutIs("127.0.0.2\n").stderrIs("");
      }
    },
  );

  bothWays(
    "s6-tcpclient uses an address of the family that was asked for, or fails",
    async (newScene) => {
      await using dns = await startDnsServer();
      await using scene = await newScene();
      for (const [options, host] of [
        ["-4", "::1"],
        ["-6", "127.0.0.1"],
        ["-H -i 127.0.0.1", "::1"],
        ["-i ::1", "127.0.0.1,127.0.0.2"],
      ] as const) {
        const run = await client(scene, options, host, 80, ["touch", "ran"], {
          DNSCACHEIP: dns.address,
        });
        run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: no IP address for ${host}\n`);
      }
      const both = await client(scene, "-6 -i 127.0.0.1", "::1", 80, ["touch", "ran"]);
      both.exits(EXIT.usage).stderrIs(`${NAME}: fatal: 127.0.0.1 is not an IPv6 address\n`);
      expect(dns.queries).toEqual([]);
      expect(scene.has("ran")).toBe(false);
    },
  );

  bothWays("s6-tcpclient -H refuses a name", async (newScene) => {
    await using dns = await startDnsServer();
    dns.records("name", "A", ["127.0.0.1"]);
    await using scene = await newScene();
    for (const host of ["name", "127.0.0.1.example.com", "127.0.0.1x"]) {
      const run = await client(scene, "-H", host, 80, ["touch", "ran"], {
        DNSCACHEIP: dns.address,
      });
      run.exits(EXIT.usage);
      expect(run.stderr.split("\n")[0]).toBe(`${NAME}: fatal: not a list of IP addresses: ${host}`);
    }
    expect(dns.queries).toEqual([]);
    expect(scene.has("ran")).toBe(false);
  });
});

describe("a name", () => {
  bothWays(
    "a name is looked up in the DNS, IPv6 first, -4 and -6 among its addresses",
    async (newScene) => {
      await using scene = await newScene();
      await using six = await listen("::1", { port: await scene.freePort() });
      await using four = await listen("127.0.0.1", { port: six.port });
      await using dns = await startDnsServer();
      dns.records("www.example.com", "A", ["127.0.0.1"]);
      dns.records("www.example.com", "AAAA", ["::1"]);
      const env = { DNSCACHEIP: dns.address };
      for (const [options, ip] of [
        ["", "::1"],
        ["-6", "::1"],
        ["-4", "127.0.0.1"],
        ["-i 127.0.0.1", "127.0.0.1"],
      ] as const) {
        const run = await client(
          scene,
          `-l me ${options}`,
          "www.example.com",
          four.port,
          REMOTE,
          env,
        );
        run.exits(EXIT.ok).stdoutIs(`${ip}\n`);
      }
    },
  );

  bothWays("a name that does not exist, or has no address, is reported", async (newScene) => {
    await using dns = await startDnsServer();
    dns.records("v6only", "AAAA", ["::1"]);
    dns.answer("broken.example.com", "A", { kind: "rcode", rcode: "SERVFAIL" });
    dns.answer("broken.example.com", "AAAA", { kind: "rcode", rcode: "SERVFAIL" });
    await using scene = await newScene();
    for (const [options, host, code, message] of [
      ["", "nosuch.example.com", 111, "unable to resolve nosuch.example.com: no such domain"],
      ["-4", "v6only", 100, "no IP address for v6only"],
      ["", "broken.example.com", 111, "unable to resolve broken.example.com: server failure"],
    ] as const) {
      const run = await client(scene, options, host, 80, ["touch", "ran"], {
        DNSCACHEIP: dns.address,
      });
      run.exits(code).stdoutIs("").stderrIs(`${NAME}: fatal: ${message}\n`);
    }
    const bad = await client(scene, "", "name", 80, ["touch", "ran"], { DNSCACHEIP: "nonsense" });
    bad.exits(EXIT.system);
    bad.stderrIs(`${NAME}: fatal: unable to resolve name: invalid $DNSCACHEIP\n`);
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("a name is completed with -n alone", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using dns = await startDnsServer();
    dns.records("www.example.net", "A", ["127.0.0.1"]);
    await using scene = await newScene();
    const env = { DNSCACHEIP: dns.address, DNSQUALIFY: "example.org example.net" };
    const run = await client(scene, "-4 -n -l me", "www", server.port, REMOTE, env);
    run.exits(EXIT.ok).stdoutIs("127.0.0.1\n");
    for (const options of ["-4", "-4 -n -N"]) {
      const plain = await client(scene, options, "www", server.port, REMOTE, env);
      plain.exits(EXIT.system).stderrMatches(/: unable to resolve www: no such domain\n$/);
    }
  });

  bothWays("a name in the hosts file is not looked up in the DNS, with -h", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using dns = await startDnsServer();
    await using scene = await newScene();
    const env = { DNSCACHEIP: dns.address };
    const run = await client(scene, "-4 -h -l me", "localhost", server.port, NAMES, env);
    run.exits(EXIT.ok).stdoutMatches(/^localhost\. me none\n$/);
    expect(dns.queries).toEqual([]);
    (await client(scene, "-4 -l me", "localhost", server.port, NAMES, env)).exits(EXIT.system);
  });
});

describe("the names of both ends", () => {
  bothWays(
    "the names of both ends are taken from the DNS, with their final dot",
    async (newScene) => {
      await using server = await listen("127.0.0.1");
      await using dns = await startDnsServer();
      dns.records("1.0.0.127.in-addr.arpa", "PTR", ["This.Example.com"]);
      await using scene = await newScene();
      const at = ["127.0.0.1", server.port, NAMES, { ...STALE, DNSCACHEIP: dns.address }] as const;
      (await client(scene, "", ...at))
        .exits(EXIT.ok)
        .stdoutIs("this.example.com. this.example.com. none\n");
      (await client(scene, "-l me", ...at)).stdoutIs("this.example.com. me none\n");
    },
  );

  bothWays("the names of both ends are removed where they are not found", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using dns = await startDnsServer();
    await using scene = await newScene();
    const at = ["127.0.0.1", server.port, NAMES, { ...STALE, DNSCACHEIP: dns.address }] as const;
    (await client(scene, "", ...at)).exits(EXIT.ok).stdoutIs("none none none\n").stderrIs("");
    const asked = dns.queries.length;
    expect(asked).toBeGreaterThan(0);
    (await client(scene, "-H", ...at)).exits(EXIT.ok).stdoutIs("none none none\n");
    (await client(scene, "-H -l me", ...at)).stdoutIs("none me none\n");
    expect(dns.queries).toHaveLength(asked);
  });

  bothWays("the names of both ends are waited for no longer than -t allows", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using dns = await startDnsServer();
    dns.answer("1.0.0.127.in-addr.arpa", "PTR", { kind: "silence" });
    await using scene = await newScene();
    const env = { ...STALE, DNSCACHEIP: dns.address };
    const run = await client(scene, "-t 1 -l me", "127.0.0.1", server.port, NAMES, env);
    run.exits(EXIT.ok).stdoutIs("none me none\n");
  });
});

test("s6-tcpclient -t ends a look-up that gets no answer", async () => {
  await using dns = await startDnsServer();
  dns.answer("slow.example.com", "A", { kind: "silence" });
  await using scene = await newScene();
  const env = { DNSCACHEIP: dns.address };
  const run = await client(scene, "-4 -t 1", "slow.example.com", 80, ["touch", "ran"], env);
  run.exits(EXIT.system);
  run.stderrIs(`${NAME}: fatal: unable to resolve slow.example.com: query timed out\n`);
  expect(scene.has("ran")).toBe(false);
});

describe("the local end", () => {
  bothWays("the local end is set by -i and -p", async (newScene) => {
    await using server = await listen("127.0.0.1");
    await using scene = await newScene();
    for (const options of ["-H", "-H --happy-eyeballs"]) {
      const port = await scene.freePort();
      const run = await client(
        scene,
        `${options} -l me -i 127.0.0.9 -p ${port}`,
        "127.0.0.1",
        server.port,
        ["sh", "-c", "echo $TCPLOCALIP:$TCPLOCALPORT"],
      );
      run.exits(EXIT.ok).stdoutIs(`127.0.0.9:${port}\n`);
      expect(server.clients.at(-1)).toBe(`127.0.0.9:${port}`);
    }
  });

  bothWays(
    "a local end that is not available is reported and ends s6-tcpclient",
    async (newScene) => {
      await using server = await listen("127.0.0.1");
      await using scene = await newScene();
      const taken = await client(
        scene,
        `-H -i 127.0.0.1 -p ${server.port}`,
        "127.0.0.1",
        server.port,
        ["touch", "ran"],
      );
      taken.exits(EXIT.system);
      taken.stderrIs(
        `${NAME}: fatal: unable to bind to 127.0.0.1 port ${server.port}: Address already in use\n`,
      );
      const strange = await client(scene, "-H -i 192.0.2.1", "127.0.0.1", server.port, [
        "touch",
        "ran",
      ]);
      strange.exits(EXIT.system);
      strange.stderrIs(
        `${NAME}: fatal: unable to bind to 192.0.2.1 port 0: Cannot assign requested address\n`,
      );
      expect(scene.has("ran")).toBe(false);
      expect(server.clients).toEqual([]);
    },
  );
});

describe("the log", () => {
  const hosts = "127.0.0.1,127.0.0.2";
  for (const [options, warns, tells] of [
    ["-q", false, false],
    ["-v -q -q", false, false],
    ["", true, false],
    ["-v -Q", true, false],
    ["-v", true, true],
    ["-vvv", true, true],
  ] as const) {
    bothWays(
      `s6-tcpclient ${JSON.stringify(options)} logs the lines of its verbosity`,
      async (newScene) => {
        await using server = await listen("127.0.0.2");
        await using scene = await newScene();
        const yes = await client(scene, `-H -l me ${options}`, hosts, server.port);
        const connected = `${NAME}: info: connected to 127.0.0.2 port ${server.port}\n`;
        yes.exits(EXIT.ok).stderrIs(tells ? connected : "");
        const port = await deadPort();
        const no = await client(scene, `-H -l me ${options}`, hosts, port, ["touch", "ran"]);
        const warnings = hosts
          .split(",")
          .map(
            (ip) =>
              `${NAME}: warning: unable to connect to ${ip} port ${port}: Connection refused\n`,
          );
        no.exits(EXIT.system).stderrIs(
          `${warns ? warnings.join("") : ""}${NAME}: fatal: unable to connect to a suitable IP address\n`,
        );
        expect(scene.has("ran")).toBe(false);
      },
    );
  }

  bothWays("s6-tcpclient logs the same when no overlapping attempt succeeds", async (newScene) => {
    await using scene = await newScene();
    const port = await deadPort();
    const run = await client(scene, "-H --happy-eyeballs", "127.0.0.1,::1", port, ["touch", "ran"]);
    run
      .exits(EXIT.system)
      .stderrIs(
        `${NAME}: warning: unable to connect to 127.0.0.1 port ${port}: Connection refused\n` +
          `${NAME}: warning: unable to connect to ::1 port ${port}: Connection refused\n` +
          `${NAME}: fatal: unable to connect to a suitable IP address\n`,
      );
  });
});

test("s6-tcpclient -D sets TCP_NODELAY, and -d or neither option leaves it off", async () => {
  await using server = await listen("127.0.0.1");
  await using scene = await newScene();
  // IPPROTO_TCP and TCP_NODELAY are 6 and 1.
  const script =
    'open(my $s, "+<&=", 6); print unpack("i", getsockopt($s, 6, 1)) ? "on\\n" : "off\\n"';
  for (const [options, state] of [
    ["", "off"],
    ["-d", "off"],
    ["-D", "on"],
    ["-D -d", "off"],
    ["-d -D", "on"],
  ] as const) {
    const run = await client(scene, `-H -l me ${options}`, "127.0.0.1", server.port, [
      "perl",
      "-e",
      script,
    ]);
    run.exits(EXIT.ok).stdoutIs(`${state}\n`);
  }
});

// A responder can only listen on port 113, which is root's.
const why = isRoot ? "" : " (skipped: not root)";
describe.skipIf(!isRoot)(`IDENT${why}`, () => {
  /** An address of 127.0.0.0/8 that no other test run uses. */
  const host = `127.114.${process.pid & 255}.${(process.pid >> 8) & 127}`;

  async function respond(reply: string): Promise<AsyncDisposable & { readonly asked: string[] }> {
    const asked: string[] = [];
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      socket.on("data", (data) => {
        const line = data.toString("latin1");
        asked.push(line);
        if (reply !== "silence") socket.end(`${line.trimEnd()} : ${reply}\r\n`);
      });
    });
    await listening(server, host, 113);
    return {
      asked,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, "close");
      },
    };
  }

  bothWays("IDENT gives the user at the other end, with -r alone", async (newScene) => {
    await using server = await listen(host);
    await using responder = await respond("USERID : UNIX : joe");
    await using scene = await newScene();
    (await client(scene, "-H -r", host, server.port, NAMES, STALE))
      .exits(EXIT.ok)
      .stdoutIs("none none joe\n")
      .stderrIs("");
    const [, ourPort] = (server.clients[0] ?? "").split(":");
    expect(responder.asked).toEqual([`${server.port} , ${ourPort}\r\n`]);
    for (const options of ["-H", "-H -r -R"]) {
      const run = await client(scene, options, host, server.port, NAMES, STALE);
      run.exits(EXIT.ok).stdoutIs("none none none\n");
    }
    expect(responder.asked).toHaveLength(1);
  });

  bothWays(
    "an IDENT query that fails sets an empty user, and logs a warning unless -q is given",
    async (newScene) => {
      await using server = await listen(host);
      await using scene = await newScene();
      const show = ["sh", "-c", 'echo "<${TCPREMOTEINFO-none}>"'];
      const refused = await client(scene, "-H -r", host, server.port, show, STALE);
      refused.exits(EXIT.ok).stdoutIs("<>\n");
      refused.stderrIs(`${NAME}: warning: unable to s6net_ident_client: Connection refused\n`);
      await using _ = await respond("ERROR : HIDDEN-USER");
      const hidden = await client(scene, "-H -r", host, server.port, show, STALE);
      hidden.exits(EXIT.ok).stdoutIs("<>\n");
      hidden.stderrIs(`${NAME}: warning: ident server replied: identification denied\n`);
      (await client(scene, "-q -H -r", host, server.port, show, STALE))
        .stdoutIs("<>\n")
        .stderrIs("");
    },
  );

  test("s6-tcpclient waits for IDENT no longer than -t allows", async () => {
    await using server = await listen(host);
    await using _ = await respond("silence");
    await using scene = await newScene();
    const run = await client(scene, "-t 1 -H -r", host, server.port, NAMES, STALE);
    run.exits(EXIT.ok).stdoutIs("none none\n");
    run.stderrMatches(/^s6-tcpclient: warning: unable to s6net_ident_client: [^\n]* timed out\n$/);
  });
});

bothWays(
  "the connection of s6-tcpclient behind a server ends with the program that had it",
  async (newScene) => {
    await using server = await listen("127.0.0.1", { greeting: "hello\n" });
    await using scene = await newScene();
    const relay = [NAME, "-H", "127.0.0.1", String(server.port), "sh", "-c", "cat <&6"];
    const { port } = await startServer(scene, "", relay);
    for (const count of [1, 2]) {
      expect(await ask(port)).toBe("hello\n");
      expect(await server.ended()).toBe(count);
    }
  },
);

test("s6-tcpclient --explain prints the plan and connects to no server", async () => {
  await using server = await listen("127.0.0.1");
  await using scene = await newScene();
  const run = await client(scene, "-H --explain", "127.0.0.1", server.port, ["touch", "ran"]);
  run.exits(EXIT.ok).stdoutMatches(/connects to 127\.0\.0\.1 port \d+/);
  expect(scene.has("ran")).toBe(false);
  expect(server.clients).toEqual([]);
});

test.each(["x", "", "65536", "-1", "80x", "0x50", "smtp"])(
  "s6-tcpclient refuses the port %j",
  async (port) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["-H", "127.0.0.1", port, "touch", "ran"]);
    run.exits(EXIT.usage).stdoutIs("").stderrIs(`${NAME}: fatal: invalid port number: ${port}\n`);
    expect(scene.has("ran")).toBe(false);
  },
);

test.each([
  [[], "missing operand: host"],
  [["127.0.0.1"], "missing operand: port"],
  [["127.0.0.1", "80"], "missing operand: prog"],
  [["-Z", "127.0.0.1", "80", "true"], "unrecognized short option: Z"],
  [["--nosuch", "127.0.0.1", "80", "true"], "unrecognized boolean option: --nosuch"],
  [["-t", "soon", "127.0.0.1", "80", "true"], "-t must be an unsigned integer of seconds: soon"],
  [["-T", "x", "127.0.0.1", "80", "true"], "-T must be an unsigned integer: x"],
  [["-T", "1+", "127.0.0.1", "80", "true"], "-T must be an unsigned integer: 1+"],
  [["-T", "+1", "127.0.0.1", "80", "true"], "-T must be an unsigned integer: +1"],
  [["-T", "1+2+3", "127.0.0.1", "80", "true"], "-T must be x or x+y, in seconds: 1+2+3"],
  [["-i", "localhost", "127.0.0.1", "80", "true"], "-i must be an IP address: localhost"],
  [["-p", "65536", "127.0.0.1", "80", "true"], "-p must be a port number: 65536"],
  [["-i"], "option -i needs an argument"],
])("s6-tcpclient %j is a usage error", async (words, problem) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words);
  const [first, second] = run.exits(EXIT.usage).stdoutIs("").stderr.split("\n");
  expect(first).toBe(`${NAME}: fatal: ${problem}`);
  expect(second).toMatch(/^s6-tcpclient: usage: s6-tcpclient \[-q\|-Q\|-v\] /);
});
