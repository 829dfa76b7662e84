import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { ADDRESSES4, ssl, tlv, v2, withTlvs } from "../proxy/samples.ts";
import { bothWays, HELD_OPEN, newScene } from "../support/scene.ts";
import type { Content, Run, Scene } from "../support/scene.ts";
import { ask, dial } from "../ucspi/dial.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "proxy-server";

const LINE = "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n";

/** Prints the variables that a header sets, and then what is left of the input. */
const SHOW = [
  "sh",
  "-c",
  'env | grep -E "^(PROTO|TCPREMOTE|TCPLOCAL|IPC|SSL_|tlsbak_)" | sort; echo --; cat',
];

const SHOWN =
  "PROTO=TCP\nTCPLOCALIP=192.0.2.1\nTCPLOCALPORT=80\nTCPREMOTEIP=192.0.2.7\nTCPREMOTEPORT=49152\n";

function receive(
  scene: Scene,
  options: string,
  input: Content,
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const words = [...options.split(" ").filter(Boolean), ...SHOW];
  return scene.run(NAME, words, { input, env });
}

describe("a header on standard input", () => {
  bothWays(
    "a header on standard input sets the variables, and no byte behind it is read",
    async (newScene) => {
      await using scene = await newScene();
      (await receive(scene, "", `${LINE}HELO\n`))
        .exits(0)
        .stdoutIs(`${SHOWN}--\nHELO\n`)
        .stderrIs("");
      const binary = await receive(scene, "", withTlvs(tlv(2, "www.example.com"), Buffer.alloc(0)));
      binary
        .exits(0)
        .stdoutIs(
          "PROTO=TCP\nSSL_TLS_SNI_SERVERNAME=www.example.com\nTCPLOCALIP=5.6.7.8\nTCPLOCALPORT=222\n" +
            "TCPREMOTEIP=1.2.3.4\nTCPREMOTEPORT=111\n--\n",
        );
      const env = { PROTO: "TCP", TCPREMOTEIP: "192.0.2.99" };
      const unknown = await receive(scene, "", "PROXY UNKNOWN\r\nHELO\n", env);
      unknown.exits(0).stdoutIs("PROTO=TCP\nTCPREMOTEIP=192.0.2.99\n--\nHELO\n");
      const local = await receive(scene, "", v2(0x20, 0x11, ADDRESSES4), env);
      local.exits(0).stdoutIs("PROTO=TCP\nTCPREMOTEIP=192.0.2.99\n--\n").stderrIs("");
    },
  );

  bothWays(
    "a value of a header that no variable may have removes its variable, with a warning",
    async (newScene) => {
      await using scene = await newScene();
      const env = { SSL_TLS_SNI_SERVERNAME: "proxy.example" };
      for (const name of ["a.example\0.evil.example", "a\nroot", "\x1b[2J", "a".repeat(256)]) {
        const run = await receive(scene, "", withTlvs(tlv(2, name)), env);
        run
          .exits(0)
          .stderrMatches(/: warning: .*unfit value for SSL_TLS_SNI_SERVERNAME: not set\n$/);
        expect(run.stdout).not.toContain("SSL_");
      }
    },
  );

  bothWays("an invalid header ends the chain", async (newScene) => {
    await using scene = await newScene();
    for (const [options, input, code, text] of [
      ["", "GET / HTTP/1.0\r\n\r\n", EXIT.refused, "invalid magic"],
      ["-2", LINE, EXIT.refused, "invalid magic"],
      ["--only-v1", withTlvs(), EXIT.refused, "invalid magic"],
      ["", withTlvs(tlv(3, "abcd")), EXIT.refused, "invalid checksum"],
      ["", v2(0x21, 0x12, ADDRESSES4), 2, "unsupported transport protocol: datagram"],
      ["", LINE.slice(0, 20), EXIT.system, "unable to read from stdin: Broken pipe"],
      ["", "", EXIT.system, "unable to read from stdin: Broken pipe"],
    ] as const) {
      const run = await receive(scene, options, input);
      run.exits(code).stdoutIs("");
      expect(run.stderr.replace(/pid \d+/, "pid P")).toBe(`${NAME}: pid P: fatal: ${text}\n`);
    }
  });

  test("a header on standard input has to arrive before the deadline", async () => {
    await using scene = await newScene();
    const waiting = scene.start(NAME, ["-t", "50", "touch", "ran"], { input: HELD_OPEN });
    waiting.write("PROXY TCP4");
    const run = await waiting.finished();
    run
      .exits(EXIT.system)
      .stderrMatches(
        /^proxy-server: pid \d+: fatal: unable to read from stdin: Connection timed out\n$/,
      );
    expect(scene.has("ran")).toBe(false);
  });

  test("proxy-server -t 0 waits for a header without a deadline", async () => {
    await using scene = await newScene();
    const waiting = scene.start(NAME, ["-t", "0", ...SHOW], { input: HELD_OPEN });
    waiting.write(LINE.slice(0, 11));
    waiting.write(`${LINE.slice(11)}HELO\n`);
    waiting.endInput();
    (await waiting.finished()).exits(0).stdoutIs(`${SHOWN}--\nHELO\n`);
  });
});

describe("around s6-tlsd", () => {
  const header = withTlvs(
    tlv(2, "www.example.com"),
    ssl(3, 1, tlv(0x21, "TLSv1.3"), tlv(0x22, "joe")),
  );
  const tunnel = { SSL_PROTOCOL: "TLSv1.2", SSL_CIPHER: "the tunnel's" };

  bothWays(
    "proxy-server --before-tlsd sets variables aside, and --after-tlsd restores them",
    async (newScene) => {
      await using scene = await newScene();
      const before = await receive(scene, "--before-tlsd", header, tunnel);
      before.exits(0).stdoutMatches(/^SSL_PROTOCOL=TLSv1\.2$/m);
      before.stdoutMatches(/^tlsbak_SSL_PEER_CERT_CN=joe\ntlsbak_SSL_PROTOCOL=TLSv1\.3$/m);
      const chain = ["--before-tlsd", NAME, "--after-tlsd", ...SHOW];
      const both = await scene.run(NAME, chain, { input: header, env: tunnel });
      both
        .exits(0)
        .stdoutMatches(
          /^SSL_PEER_CERT_CN=joe\nSSL_PROTOCOL=TLSv1\.3\nSSL_TLS_SNI_SERVERNAME=www\.example\.com$/m,
        );
      expect(both.stdout).not.toMatch(/tlsbak_|SSL_CIPHER/);
    },
  );

  bothWays(
    "variables that were not set aside are removed, or kept with --keep-tls",
    async (newScene) => {
      await using scene = await newScene();
      (await receive(scene, "--after-tlsd", "HELO\n", tunnel)).exits(0).stdoutIs("--\nHELO\n");
      (await receive(scene, "--after-tlsd --keep-tls", "HELO\n", tunnel))
        .exits(0)
        .stdoutIs("SSL_CIPHER=the tunnel's\nSSL_PROTOCOL=TLSv1.2\n--\nHELO\n");
    },
  );

  test("proxy-server around s6-tlsd can leave out a name that was not verified", async () => {
    await using scene = await newScene();
    const run = await receive(scene, "--verified-names", header);
    run.exits(0).stdoutMatches(/^SSL_PROTOCOL=TLSv1\.3$/m);
    expect(run.stdout).not.toContain("joe");
  });
});

describe("in a super-server", () => {
  const ECHO = ["sh", "-c", "echo $TCPREMOTEIP; cat"];

  bothWays(
    "a program behind proxy-server gets the client's address and the rest of the bytes",
    async (newScene) => {
      await using scene = await newScene();
      const { port } = await startServer(scene, "", [NAME, ...ECHO]);
      expect(await ask(port, `${LINE}HELO\n`)).toBe("192.0.2.7\nHELO\n");
      expect(await ask(port, `${withTlvs().toString("latin1")}HELO\n`)).toBe("1.2.3.4\nHELO\n");
      await using slow = await dial(port);
      for (const byte of LINE) {
        slow.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      slow.end("HELO\n");
      expect(await slow.rest()).toBe("192.0.2.7\nHELO\n");
    },
  );

  bothWays(
    "the connection is blocking when a program behind proxy-server gets it",
    async (newScene) => {
      await using scene = await newScene();
      const flags = ["sh", "-c", "grep ^flags /proc/self/fdinfo/0"];
      const { port } = await startServer(scene, "", [NAME, ...flags]);
      await using client = await dial(port);
      const answer = client.line();
      client.write(LINE.slice(0, 5));
      await new Promise((resolve) => setImmediate(resolve));
      client.write(LINE.slice(5));
      const octal = /([0-7]+)$/.exec(await answer)?.[1] ?? "";
      expect(Number.parseInt(octal, 8) & 0o4000).toBe(0);
    },
  );

  bothWays("a silent client is refused at the deadline", async (newScene) => {
    await using scene = await newScene();
    const { port, process } = await startServer(scene, "-c 1", [NAME, "-t", "100", ...ECHO]);
    await using silent = await dial(port);
    expect(await silent.rest()).toBe("");
    await process.line(
      /proxy-server: pid \d+: fatal: unable to read from stdin: Connection timed out/,
    );
    expect(await ask(port, LINE)).toBe("192.0.2.7\n");
  });

  bothWays("access rules behind proxy-server apply to the announced address", async (newScene) => {
    await using scene = await newScene({ files: { "rules/ip4/192.0.2.7_32/allow": "" } });
    const access = ["s6-tcpserver-access", "-v2", "-H", "-i", "rules"];
    const { port, process } = await startServer(scene, "", [NAME, ...access, ...ECHO]);
    expect(await ask(port, LINE)).toBe("192.0.2.7\n");
    await process.line(/: info: allow pid \d+ ip 192\.0\.2\.7$/);
    expect(await ask(port, LINE.replace("192.0.2.7", "192.0.2.8"))).toBe("");
    await process.line(/: info: deny pid \d+ ip 192\.0\.2\.8$/);
  });

  test("limits behind proxy-server apply to the announced address", async () => {
    await using scene = await newScene();
    const program = [NAME, "s6-connlimit", "sh", "-c", "echo $TCPREMOTEIP $TCPCONNNUM; cat"];
    const { port } = await startServer(scene, "", program, { env: { TCPCONNMAX: "1" } });
    await using one = await dial(port);
    one.write(LINE);
    expect(await one.line()).toBe("192.0.2.7 0");
    await using two = await dial(port);
    two.write(LINE);
    expect(await two.line()).toBe("192.0.2.7 1");
    expect(await ask(port, LINE)).toBe("");
    await using other = await dial(port);
    other.write(LINE.replace("192.0.2.7", "192.0.2.8"));
    expect(await other.line()).toBe("192.0.2.8 0");
    one.end();
    expect(await one.rest()).toBe("");
    await expect.poll(() => ask(port, LINE)).toBe("192.0.2.7 1\n");
  });
});

describe("--trust", () => {
  const ECHO = ["sh", "-c", "echo $TCPREMOTEIP; cat"];

  bothWays(
    "proxy-server --trust refuses a header from an address that is not trusted",
    async (newScene) => {
      await using scene = await newScene();
      const trust = ["--trust=127.0.0.1,2001:db8::/32", "--trust", "127.0.0.4"];
      const { port, process } = await startServer(scene, "", [NAME, ...trust, ...ECHO]);
      expect(await ask(port, LINE, { from: "127.0.0.1" })).toBe("192.0.2.7\n");
      expect(await ask(port, LINE, { from: "127.0.0.4" })).toBe("192.0.2.7\n");
      expect(await ask(port, LINE, { from: "127.0.0.2" })).toBe("");
      await process.line(/^proxy-server: pid \d+: info: refused ip 127\.0\.0\.2: not trusted$/);
    },
  );

  bothWays(
    "proxy-server --untrusted=pass serves other peers under their own addresses",
    async (newScene) => {
      await using scene = await newScene({ files: { "rules/ip4/192.0.2.7_32/allow": "" } });
      const gate = [NAME, "--trust=127.0.0.1", "--untrusted=pass"];
      const { port } = await startServer(scene, "", [...gate, ...ECHO]);
      expect(await ask(port, `${LINE}HELO\n`, { from: "127.0.0.2" })).toBe(
        `127.0.0.2\n${LINE}HELO\n`,
      );
      const access = ["s6-tcpserver-access", "-v0", "-H", "-i", "rules"];
      const ruled = await startServer(scene, "", [...gate, ...access, ...ECHO]);
      expect(await ask(ruled.port, LINE, { from: "127.0.0.1" })).toBe("192.0.2.7\n");
      expect(await ask(ruled.port, LINE, { from: "127.0.0.2" })).toBe("");
    },
  );

  bothWays("proxy-server --trust requires the address of the peer", async (newScene) => {
    await using scene = await newScene();
    const options = "--trust=192.0.2.0/24";
    (await receive(scene, options, LINE))
      .exits(EXIT.usage)
      .stderrIs(`${NAME}: fatal: PROTO not set\n`);
    const env = { PROTO: "TCP", TCPREMOTEIP: "x" };
    (await receive(scene, options, LINE, env))
      .exits(EXIT.usage)
      .stderrIs(`${NAME}: fatal: invalid $TCPREMOTEIP\n`);
    const silent = { PROTO: "TCP", TCPREMOTEIP: "203.0.113.1" };
    (await receive(scene, `${options} -v0`, LINE, silent)).exits(EXIT.refused).stderrIs("");
  });
});

describe("the command line", () => {
  test("proxy-server reports an error in its command line", async () => {
    await using scene = await newScene();
    for (const [options, text] of [
      ["-t x", "timeout must be an unsigned integer of milliseconds: x"],
      ["--foo", "unrecognized boolean option: --foo"],
      ["--disable-v1", "unrecognized boolean option: --disable-v1"],
      ["--trust=192.0.2.7/24", "trust must be networks such as 192.0.2.0/24: 192.0.2.7/24"],
      ["--untrusted=serve", "untrusted must be one of refuse, pass: serve"],
    ] as const) {
      (await receive(scene, options, LINE)).exits(EXIT.usage).stderrIs(`${NAME}: fatal: ${text}\n`);
    }
  });

  test("proxy-server --explain reads nothing", async () => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["--explain", "--trust=10.0.0.0/8", "cat"], { input: LINE });
    run
      .exits(0)
      .stdoutMatches(/^ {2}reads a PROXY header from trusted networks, and refuses others$/m)
      .stdoutMatches(/^ {2}environment: TCPREMOTEIP=<TCPREMOTEIP>$/m);
    const after = await scene.run(NAME, ["--explain", "--after-tlsd", "cat"]);
    after.exits(0).stdoutMatches(/^ {2}environment: unset SSL_PROTOCOL$/m);
  });
});
