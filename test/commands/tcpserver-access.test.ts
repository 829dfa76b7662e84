import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { bothWays, isRoot, newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "s6-tcpserver-access";

/** The variables of a super-server for a client at 192.0.2.7. */
const CLIENT = {
  PROTO: "TCP",
  TCPLOCALIP: "192.0.2.1",
  TCPLOCALPORT: "80",
  TCPREMOTEIP: "192.0.2.7",
  TCPREMOTEPORT: "49152",
};

const SHOW = ["sh", "-c", "echo ${TCPREMOTEHOST-none} ${TCPLOCALHOST-none} ${TCPREMOTEINFO-none}"];

function access(
  scene: Scene,
  options: string,
  program: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Run> {
  const words = [...options.split(" ").filter(Boolean), ...program];
  return scene.run(NAME, words, { env: { ...CLIENT, ...env } });
}

describe("the variables of a client", () => {
  bothWays(
    "the variables of a client are required, and named when they are missing",
    async (newScene) => {
      await using scene = await newScene();
      for (const name of Object.keys(CLIENT)) {
        const run = await access(scene, "-H", ["touch", "ran"], { [name]: undefined });
        run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: ${name} not set\n`);
      }
      expect(scene.has("ran")).toBe(false);
    },
  );

  bothWays("the variables of a client have to be valid", async (newScene) => {
    await using scene = await newScene();
    for (const [name, value] of [
      ["TCPREMOTEIP", "192.0.2"],
      ["TCPREMOTEIP", "192.0.2.7x"],
      ["TCPREMOTEPORT", "65536"],
      ["TCPLOCALIP", ""],
      ["TCPLOCALPORT", "x"],
    ] as const) {
      const run = await access(scene, "-H", ["touch", "ran"], { [name]: value });
      run.exits(EXIT.usage).stderrIs(`${NAME}: fatal: invalid $${name}\n`);
    }
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("the variables of a client may belong to another protocol", async (newScene) => {
    await using scene = await newScene();
    const env = {
      PROTO: "SSL",
      SSLLOCALIP: "::1",
      SSLLOCALPORT: "1",
      SSLREMOTEIP: "::2",
      SSLREMOTEPORT: "2",
    };
    const run = await access(scene, "-H -l here", ["printenv", "SSLLOCALHOST"], env);
    run
      .exits(EXIT.ok)
      .stdoutIs("here\n")
      .stderrMatches(/^s6-tcpserver-access: pid \d+: info: allow pid \d+ ip ::2\n$/);
  });
});

describe("rules", () => {
  const files = {
    "rules/ip4/192.0.2.7_32/allow": "",
    "rules/ip4/192.0.2.0_24/deny": "",
    "rules/ip4/198.51.100.0_24/allow": "",
    "rules/ip4/198.51.100.0_24/env/FOO": "bar  \t\nsecond",
    "rules/ip4/198.51.100.0_24/env/GONE": "",
    "rules/ip6/2001:db8::_32/allow": "",
    "rules/ip4/203.0.113.1_32/allow": "",
    "rules/ip4/203.0.113.1_32/exec": "echo EXEC $0 foo",
  };
  const cases = [
    ["192.0.2.7", "allowed", 0],
    ["192.0.2.8", "denied", 1],
    ["192.0.3.7", "without a rule", 1],
    ["2001:db8::1", "allowed", 0],
    ["2001:db9::1", "without a rule", 1],
  ] as const;

  for (const [kind, option] of [
    ["a directory", "-i rules"],
    ["a CDB file", "-x rules.cdb"],
  ] as const) {
    bothWays(`rules in ${kind} admit and refuse`, async (newScene) => {
      await using scene = await newScene({ files });
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
      for (const [ip, , code] of cases) {
        const run = await access(scene, `-v0 -H ${option}`, ["echo", "in"], { TCPREMOTEIP: ip });
        run
          .exits(code)
          .stdoutIs(code === 0 ? "in\n" : "")
          .stderrIs("");
      }
    });

    bothWays(`rules in ${kind} set and unset variables`, async (newScene) => {
      await using scene = await newScene({ files });
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
      const env = { TCPREMOTEIP: "198.51.100.1", GONE: "here" };
      const show = ["sh", "-c", 'echo "<$FOO>" ${GONE-unset}'];
      const run = await access(scene, `-H ${option}`, show, env);
      run.exits(EXIT.ok).stdoutIs("<bar> unset\n");
    });

    const execlineb = peer("execlineb");
    describe.skipIf(execlineb.isMissing)(`scripts${execlineb.why}`, () => {
      bothWays(`scripts in ${kind} run in place of the program`, async (newScene) => {
        await using scene = await newScene({ files });
        (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(EXIT.ok);
        const env = { TCPREMOTEIP: "203.0.113.1" };
        const run = await access(scene, `-H ${option}`, ["touch", "ran"], env);
        run.exits(EXIT.ok).stdoutMatches(/^EXEC \S+ foo\n$/);
        expect(scene.has("ran")).toBe(false);
      });
    });
  }

  bothWays("the last of the options -i and -x applies", async (newScene) => {
    await using scene = await newScene({ files });
    (await access(scene, "-H -x missing.cdb -i rules", ["true"])).exits(EXIT.ok);
    (await access(scene, "-H -i rules -x missing.cdb", ["true"])).exits(EXIT.system);
  });

  bothWays("rules that cannot be read admit no client", async (newScene) => {
    await using scene = await newScene({ files: { "damaged.cdb": "not a cdb", "empty/": "" } });
    const missing = await access(scene, "-H -x missing.cdb", ["touch", "ran"]);
    missing
      .exits(EXIT.system)
      .stderrMatches(
        /^s6-tcpserver-access: pid \d+: fatal: unable to .*missing\.cdb.*: No such file or directory\n$/,
      );
    (await access(scene, "-H -x damaged.cdb", ["touch", "ran"])).exits(EXIT.system);
    (await access(scene, "-H -i empty", ["touch", "ran"])).exits(EXIT.refused).stderrIs("");
    const nowhere = await access(scene, "-H -i nowhere", ["touch", "ran"]);
    nowhere
      .exits(EXIT.refused)
      .stderrMatches(/the directory nowhere does not exist: no client will be admitted/);
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("rules that are not regular files admit no client, at once", async (newScene) => {
    await using scene = await newScene({
      files: {
        "variable/ip4/192.0.2.7_32/allow": "",
        "variable/ip4/192.0.2.7_32/env/": "",
        "script/ip4/192.0.2.7_32/allow": "",
        "directory/": "",
      },
    });
    const fifos = ["variable/ip4/192.0.2.7_32/env/A", "script/ip4/192.0.2.7_32/exec", "rules.cdb"];
    (await scene.shell(`mkfifo ${fifos.join(" ")}`)).exits(EXIT.ok);
    for (const [rules, exitCode, kind] of [
      ["-i variable", EXIT.refused, "warning"],
      ["-i script", EXIT.refused, "warning"],
      ["-x rules.cdb", EXIT.system, "fatal"],
      ["-x directory", EXIT.system, "fatal"],
    ] as const) {
      const run = await access(scene, `-H ${rules}`, ["touch", "ran"]);
      run
        .exits(exitCode)
        .stderrMatches(new RegExp(`^s6-tcpserver-access: pid \\d+: ${kind}: .*\\n$`));
    }
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("rules that are not regular files do not stop a server", async (newScene) => {
    await using scene = await newScene({
      files: {
        "rules/ip4/127.0.0.1_32/allow": "",
        "rules/ip4/127.0.0.2_32/allow": "",
        "rules/ip4/127.0.0.2_32/env/": "",
      },
    });
    (await scene.shell("mkfifo rules/ip4/127.0.0.2_32/env/A")).exits(EXIT.ok);
    const program = [NAME, "-H", "-i", "rules", "cat"];
    const { port, process } = await startServer(scene, "", program);
    expect(await ask(port, "hello", { from: "127.0.0.2" })).toBe("");
    await process.line(
      /: warning: unable to read rules\/ip4\/127\.0\.0\.2_32\/env: Invalid argument$/,
    );
    expect(await ask(port, "hello")).toBe("hello");
  });

  test.skipIf(!isRoot)("a rule that this user cannot read denies, with a warning", async () => {
    await using scene = await newScene({
      files: { "rules/ip4/192.0.2.7_32/deny": "", "rules/ip4/0.0.0.0_0/allow": "" },
    });
    (await scene.shell("chmod 0 rules/ip4/192.0.2.7_32/deny")).exits(EXIT.ok);
    const run = await scene.run(
      "s6-applyuidgid",
      ["-u", "12345", "-g", "12345", "-G", "", NAME, "-H", "-i", "rules", "touch", "ran"],
      { env: CLIENT },
    );
    run
      .exits(EXIT.refused)
      .stderrMatches(
        /^\S+: pid \d+: warning: unable to read rules\/ip4\/\S+: Permission denied\n$/,
      );
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("rules for IPv4 apply to mapped addresses with --unmap alone", async (newScene) => {
    await using scene = await newScene({ files });
    const env = { TCPREMOTEIP: "::ffff:192.0.2.7" };
    (await access(scene, "-H -i rules", ["true"], env)).exits(EXIT.refused);
    (await access(scene, "-H --unmap -i rules", ["true"], env)).exits(EXIT.ok);
  });
});

describe("the log", () => {
  for (const [level, admitted, refused] of [
    [0, "", ""],
    [1, "allow", ""],
    [2, "allow", "deny"],
  ] as const) {
    bothWays(`s6-tcpserver-access logs the lines of level ${level}`, async (newScene) => {
      await using scene = await newScene({ files: { "rules/ip4/192.0.2.7_32/allow": "" } });
      const line = (word: string, ip: string): RegExp =>
        word === ""
          ? /^$/
          : new RegExp(`^s6-tcpserver-access: pid (\\d+): info: ${word} pid \\1 ip ${ip}\n$`);
      const yes = await access(scene, `-H -i rules -v ${level}`, ["true"]);
      yes.exits(EXIT.ok).stderrMatches(line(admitted, "192.0.2.7"));
      const no = await access(scene, `-H -i rules -v${level}`, ["true"], { TCPREMOTEIP: "::1" });
      no.exits(EXIT.refused).stderrMatches(line(refused, "::1"));
    });
  }

  bothWays("s6-tcpserver-access --refusals logs refusals", async (newScene) => {
    await using scene = await newScene({ files: { "rules/ip4/192.0.2.0_24/deny": "" } });
    const text = await access(scene, "-H -i rules --refusals=text", ["true"]);
    text
      .exits(EXIT.refused)
      .stderrMatches(/: info: refused ip 192\.0\.2\.7 port 49152 by rule: ip4\/192\.0\.2\.0_24\n$/);
    const json = await access(scene, "-H -i rules --refusals=json", ["true"]);
    expect(JSON.parse(json.exits(EXIT.refused).stderr)).toEqual({
      event: "refused",
      remoteIp: "192.0.2.7",
      remotePort: 49152,
      localIp: "192.0.2.1",
      localPort: 80,
      by: "rule",
      reason: "ip4/192.0.2.0_24",
    });
  });

  bothWays(
    "s6-tcpserver-access --refusals logs refusals because of rules that cannot be read",
    async (newScene) => {
      await using scene = await newScene();
      const text = await access(scene, "-H -x missing.cdb --refusals=text", ["true"]);
      text
        .exits(EXIT.system)
        .stderrMatches(
          /^\S+: pid \d+: fatal: (.*missing\.cdb: No such file.*)\n.* by error: \1\n$/,
        );
      const json = await access(scene, "-H -x missing.cdb --refusals=json", ["true"]);
      const [, record = ""] = json.exits(EXIT.system).stderr.split("\n");
      expect(JSON.parse(record)).toMatchObject({ event: "refused", by: "error" });
    },
  );
});

describe("the banner", () => {
  bothWays(
    "a banner is sent before everything else, even to clients that are refused",
    async (newScene) => {
      await using scene = await newScene({ files: { "rules/": "" } });
      const run = await access(scene, "-H -i rules -B 220 -B \t-hello", ["echo", "in"]);
      run.exits(EXIT.refused).stdoutIs("220\t-hello");
      (await access(scene, "-H -B x", ["echo", "in"])).exits(EXIT.ok).stdoutIs("xin\n");
    },
  );

  bothWays("a banner has at most 511 bytes in all", async (newScene) => {
    await using scene = await newScene();
    const most = await access(scene, `-H -B ${"x".repeat(500)} -B ${"y".repeat(11)}`, ["true"]);
    most.exits(EXIT.ok);
    expect(most.stdout).toHaveLength(511);
    const more = await access(scene, `-H -B ${"x".repeat(500)} -B ${"y".repeat(12)}`, ["true"]);
    more.exits(EXIT.usage).stderrIs(`${NAME}: fatal: banner too long\n`);
  });

  bothWays("a banner that cannot be written ends s6-tcpserver-access", async (newScene) => {
    await using scene = await newScene();
    const run = await scene.shell(`${NAME} -H -B hello touch ran >/dev/full`, { env: CLIENT });
    run
      .exits(EXIT.system)
      .stderrMatches(
        /^s6-tcpserver-access: pid \d+: fatal: unable to write banner: No space left on device\n$/,
      );
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("a banner reaches the client of a server", async (newScene) => {
    await using scene = await newScene();
    const program = [NAME, "-H", "-B", "220 hello\r\n", "cat"];
    const { port } = await startServer(scene, "", program);
    expect(await ask(port, "QUIT\r\n")).toBe("220 hello\r\nQUIT\r\n");
  });
});

describe("names", () => {
  const stale = { TCPREMOTEHOST: "stale", TCPLOCALHOST: "stale", TCPREMOTEINFO: "stale" };

  bothWays("names that are not looked up are removed", async (newScene) => {
    await using scene = await newScene();
    (await access(scene, "-H", SHOW, stale)).exits(EXIT.ok).stdoutIs("none none none\n");
    (await access(scene, "-H -l me", SHOW, stale)).exits(EXIT.ok).stdoutIs("none me none\n");
  });

  bothWays("names are taken from the DNS, with their final dot", async (newScene) => {
    await using dns = await startDnsServer();
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["Client.Example.com"]);
    dns.records("1.2.0.192.in-addr.arpa", "PTR", ["server.example.com"]);
    await using scene = await newScene();
    const env = { ...stale, DNSCACHEIP: dns.address };
    const run = await access(scene, "", SHOW, env);
    run.exits(EXIT.ok).stdoutIs("client.example.com. server.example.com. none\n");
  });

  bothWays(
    "names that map back are accepted by the paranoid check, others are not",
    async (newScene) => {
      await using dns = await startDnsServer();
      dns.records("7.2.0.192.in-addr.arpa", "PTR", ["good.example.com"]);
      dns.records("good.example.com", "A", ["192.0.2.7"]);
      dns.records("8.2.0.192.in-addr.arpa", "PTR", ["liar.example.com"]);
      dns.records("liar.example.com", "A", ["192.0.2.9"]);
      await using scene = await newScene();
      const env = { DNSCACHEIP: dns.address };
      (await access(scene, "-H -p -l me", SHOW, env))
        .exits(EXIT.ok)
        .stdoutIs("good.example.com. me none\n");
      const liar = { ...env, TCPREMOTEIP: "192.0.2.8" };
      (await access(scene, "-p -w -l me", SHOW, liar)).exits(EXIT.ok).stdoutIs("none me none\n");
      (await access(scene, "-p --require-name -l me", SHOW, liar)).exits(EXIT.refused).stdoutIs("");
    },
  );

  bothWays("a name alone can admit a client", async (newScene) => {
    await using dns = await startDnsServer();
    dns.records("7.2.0.192.in-addr.arpa", "PTR", ["www.example.com"]);
    dns.records("8.2.0.192.in-addr.arpa", "PTR", ["www.example.net"]);
    await using scene = await newScene({ files: { "rules/reversedns/example.com/allow": "" } });
    const env = { DNSCACHEIP: dns.address };
    (await access(scene, "-i rules -l me", ["true"], env)).exits(EXIT.ok);
    const other = { ...env, TCPREMOTEIP: "192.0.2.8" };
    (await access(scene, "-i rules -l me", ["true"], other)).exits(EXIT.refused);
  });

  bothWays("names that take too long are not waited for", async (newScene) => {
    await using dns = await startDnsServer();
    dns.answer("7.2.0.192.in-addr.arpa", "PTR", { kind: "silence" });
    await using scene = await newScene();
    const env = { DNSCACHEIP: dns.address };
    (await access(scene, "-t 30 -l me", SHOW, env)).exits(EXIT.ok).stdoutIs("none me none\n");
    (await access(scene, "-t 30 -w -p -l me", SHOW, env)).exits(EXIT.timedOut).stdoutIs("");
    (await access(scene, "-t 30 --hard-timeout -l me", SHOW, env)).exits(EXIT.timedOut);
  });

  test("s6-tcpserver-access -v3 reports names that cannot be found", async () => {
    await using dns = await startDnsServer();
    await using scene = await newScene();
    const run = await access(scene, "-v 3 -l me", SHOW, { DNSCACHEIP: dns.address });
    run.exits(EXIT.ok).stderrMatches(/: pid \d+: warning: .*no such domain\n.*: info: allow /);
  });
});

// A responder can only listen on port 113, which is root's.
const why = isRoot ? "" : " (skipped: not root)";
describe.skipIf(!isRoot)(`IDENT${why}`, () => {
  /** An address of 127.0.0.0/8 that no other test run uses. */
  const host = `127.113.${process.pid & 255}.${(process.pid >> 8) & 127}`;
  const client = { TCPREMOTEIP: host, TCPLOCALIP: "127.0.0.1" };

  async function respond(reply: string): Promise<AsyncDisposable & { readonly asked: string[] }> {
    const asked: string[] = [];
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.on("data", (line) => {
        asked.push(line.toString("latin1"));
        if (reply === "silence") return;
        socket.end(`49152 , 80 : ${reply}\r\n`);
      });
      sockets.push(socket);
    });
    const sockets: { destroy(): void }[] = [];
    server.listen(113, host);
    await once(server, "listening");
    expect((server.address() as AddressInfo).port).toBe(113);
    return {
      asked,
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, "close");
      },
    };
  }

  bothWays("s6-tcpserver-access -r sets the user from IDENT", async (newScene) => {
    await using responder = await respond("USERID : UNIX : joe");
    await using scene = await newScene();
    const run = await access(scene, "-H -r", SHOW, client);
    run.exits(EXIT.ok).stdoutIs("none none joe\n");
    expect(responder.asked).toEqual(["49152 , 80\r\n"]);
  });

  bothWays(
    "an IDENT server that answers an error is tolerated, or exit code 2 with -w",
    async (newScene) => {
      await using _ = await respond("ERROR : HIDDEN-USER");
      await using scene = await newScene();
      (await access(scene, "-H -r", SHOW, client)).exits(EXIT.ok).stdoutIs("none none none\n");
      const strict = await access(scene, "-H -r -w", SHOW, client);
      strict
        .exits(2)
        .stdoutIs("")
        .stderrMatches(/ident server replied: identification denied\n$/);
    },
  );

  bothWays(
    "an IDENT server that is silent is tolerated, or exit code 99 with -w",
    async (newScene) => {
      await using _ = await respond("silence");
      await using scene = await newScene();
      (await access(scene, "-H -r -t 30", SHOW, client))
        .exits(EXIT.ok)
        .stdoutIs("none none none\n");
      (await access(scene, "-H -r -t 30 -w", SHOW, client)).exits(EXIT.timedOut).stdoutIs("");
    },
  );

  bothWays(
    "an IDENT server that does not listen is tolerated, or exit code 111 with -w",
    async (newScene) => {
      await using scene = await newScene();
      (await access(scene, "-H -r", SHOW, client)).exits(EXIT.ok).stdoutIs("none none none\n");
      const strict = await access(scene, "-H -r -w", SHOW, client);
      strict
        .exits(EXIT.system)
        .stderrMatches(/unable to s6net_ident_client: Connection refused\n$/);
    },
  );
});

describe("behind the server", () => {
  bothWays("a refused client gets no bytes, and the server logs its end", async (newScene) => {
    await using scene = await newScene({ files: { "rules/ip4/127.0.0.1_32/allow": "" } });
    const { port, process } = await startServer(scene, "-v", [
      NAME,
      "-v2",
      "-H",
      "-i",
      "rules",
      "cat",
    ]);
    expect(await ask(port, "hello", { from: "127.0.0.2" })).toBe("");
    await process.line(/: info: deny pid \d+ ip 127\.0\.0\.2$/);
    await process.line(/: end pid \d+ exitcode 1 count 0\/40$/);
    expect(await ask(port, "hello")).toBe("hello");
    await process.line(/: info: allow pid \d+ ip 127\.0\.0\.1$/);
  });

  bothWays("a slow look-up delays its own client only", async (newScene) => {
    await using dns = await startDnsServer();
    dns.answer("2.0.0.127.in-addr.arpa", "PTR", { kind: "silence" });
    dns.records("1.0.0.127.in-addr.arpa", "PTR", ["localhost"]);
    await using scene = await newScene();
    const program = [NAME, "-l", "me", "cat"];
    const { port, process } = await startServer(scene, "-v", program, {
      env: { DNSCACHEIP: dns.address },
    });
    await using slow = await dial(port, { from: "127.0.0.2" });
    await dns.received(1);
    expect(await ask(port, "hello")).toBe("hello");
    process.signal("SIGHUP");
    // The client that waits is turned away too, at the latest when its look-up is over.
    dns.records("2.0.0.127.in-addr.arpa", "PTR", ["localhost"]);
    expect(await slow.rest()).toBe("");
  });
});

test.each([[[]], [["-v", "x", "true"]], [["-t", "-1", "true"]], [["--nosuch", "true"]], [["-i"]]])(
  "s6-tcpserver-access %j is a usage error",
  async (words) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, words, { env: CLIENT });
    run
      .exits(EXIT.usage)
      .stdoutIs("")
      .stderrMatches(/^s6-tcpserver-access: (usage|fatal): /);
  },
);
