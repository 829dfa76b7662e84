import { readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { bothWays, isRoot, newScene, peer } from "../support/scene.ts";
import { startServer } from "../ucspi/servers.ts";

const NAME = "s6-tcpserver-socketbinder";
const perl = peer("perl");

/** The results of getsockopt and getsockname for descriptor 0. */
const LOOK = `
  use Fcntl; use Socket qw(:all);
  open(S, "<&=0");
  sub o { unpack("i", getsockopt(S, $_[0], $_[1])) }
  my ($port, $ip) = sockaddr_family(getsockname(S)) == AF_INET
    ? sockaddr_in(getsockname(S)) : sockaddr_in6(getsockname(S));
  print join(" ", inet_ntop(length($ip) == 4 ? AF_INET : AF_INET6, $ip),
    o(SOL_SOCKET, SO_TYPE) == SOCK_STREAM ? "tcp" : "udp",
    "reuse", o(SOL_SOCKET, SO_REUSEADDR), "listens", o(SOL_SOCKET, SO_ACCEPTCONN),
    "nonblocking", fcntl(S, F_GETFL, 0) & O_NONBLOCK ? 1 : 0,
    "v6only", length($ip) == 16 ? o(IPPROTO_IPV6, 26) : "-"), "\\n";
`;

describe.skipIf(perl.isMissing)(`the socket${perl.why}`, () => {
  for (const [words, expected] of [
    ["127.0.0.1 0", "127.0.0.1 tcp reuse 1 listens 1 nonblocking 1 v6only -"],
    ["-D 127.0.0.1 0", "127.0.0.1 tcp reuse 0 listens 1 nonblocking 1 v6only -"],
    ["-D -d 127.0.0.1 0", "127.0.0.1 tcp reuse 1 listens 1 nonblocking 1 v6only -"],
    ["--no-reuse-address 0.0.0.0 0", "0.0.0.0 tcp reuse 0 listens 1 nonblocking 1 v6only -"],
    ["-B 127.0.0.1 0", "127.0.0.1 tcp reuse 1 listens 1 nonblocking 0 v6only -"],
    ["--block -b 5 127.0.0.1 0", "127.0.0.1 tcp reuse 1 listens 1 nonblocking 0 v6only -"],
    ["-b 0 127.0.0.1 0", "127.0.0.1 tcp reuse 1 listens 0 nonblocking 1 v6only -"],
    ["-m -b0 127.0.0.1 0", "127.0.0.1 udp reuse 1 listens 0 nonblocking 1 v6only -"],
    ["--udp --backlog=0 ::1 0", "::1 udp reuse 1 listens 0 nonblocking 1 v6only 1"],
    ["-mM ::1 0", "::1 tcp reuse 1 listens 1 nonblocking 1 v6only 1"],
    [":: 0", ":: tcp reuse 1 listens 1 nonblocking 1 v6only 1"],
  ] as const) {
    bothWays(
      `s6-tcpserver-socketbinder ${words} makes the socket with these options`,
      async (newScene) => {
        await using scene = await newScene();
        const run = await scene.run(NAME, [...words.split(" "), perl.path, "-e", LOOK]);
        run.exits(EXIT.ok).stdoutIs(`${expected}\n`).stderrIs("");
      },
    );
  }

  bothWays(
    "s6-tcpserver-socketbinder replaces standard input, and other descriptors stay",
    async (newScene) => {
      await using scene = await newScene();
      const look = "readlink /proc/$$/fd/0 | cut -d: -f1; cat <&3";
      const run = await scene.shell(
        `echo x >in; echo y >three; ${NAME} 127.0.0.1 0 sh -c '${look}' <in 3<three`,
      );
      run.exits(EXIT.ok).stdoutIs("socket\ny\n");
      expect(() => readlinkSync("/proc/self/fd/0")).not.toThrow();
    },
  );
});

bothWays(
  "s6-tcpserver-socketbinder reports an address that is taken with its port",
  async (newScene) => {
    await using scene = await newScene();
    const { port } = await startServer(scene, "", ["cat"]);
    const run = await scene.run(NAME, ["127.0.0.1", String(port), "true"]);
    run
      .exits(EXIT.system)
      .stderrIs(
        `${NAME}: fatal: unable to bind to 127.0.0.1 port ${port} : Address already in use\n`,
      );
  },
);

bothWays(
  "s6-tcpserver-socketbinder reports an address that is not of this machine",
  async (newScene) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, ["192.0.2.1", "80", "true"]);
    run
      .exits(EXIT.system)
      .stderrIs(
        `${NAME}: fatal: unable to bind to 192.0.2.1 port 80 : Cannot assign requested address\n`,
      );
  },
);

test("s6-tcpserver-socketbinder cannot listen on UDP", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, ["-m", "127.0.0.1", "0", "true"]);
  run
    .exits(EXIT.system)
    .stderrMatches(
      /^s6-tcpserver-socketbinder: fatal: unable to listen to 127\.0\.0\.1 port \d+ : Operation not supported\n$/,
    );
});

bothWays(
  "s6-tcpserver-socketbinder reports a program that is missing or cannot be executed",
  async (newScene) => {
    await using scene = await newScene({ files: { plain: "text" } });
    const missing = await scene.run(NAME, ["127.0.0.1", "0", "./missing"]);
    missing
      .exits(EXIT.notFound)
      .stderrIs(`${NAME}: fatal: unable to exec ./missing: No such file or directory\n`);
    const plain = await scene.run(NAME, ["127.0.0.1", "0", "./plain"]);
    plain
      .exits(EXIT.notExecutable)
      .stderrIs(`${NAME}: fatal: unable to exec ./plain: Permission denied\n`);
  },
);

test.skipIf(!isRoot)(
  `s6-tcpserver-socketbinder reports a port that needs root${isRoot ? "" : " (skipped: not root)"}`,
  async () => {
    await using scene = await newScene();
    const words = ["-u", "1234", NAME, "127.0.0.1", "7", "true"];
    const limit = await scene.shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
    const run = await scene.run("s6-applyuidgid", words);
    if (Number(limit.stdout) > 7) {
      run
        .exits(EXIT.system)
        .stderrIs(`${NAME}: fatal: unable to bind to 127.0.0.1 port 7 : Permission denied\n`);
    } else run.exits(EXIT.ok);
  },
);

test.each([
  [[]],
  [["127.0.0.1", "80"]],
  [["127.0.0", "80", "true"]],
  [["127.0.0.1x", "80", "true"]],
  [["127.0.0.1", "65536", "true"]],
  [["127.0.0.1", "http", "true"]],
  [["-b", "x", "127.0.0.1", "0", "true"]],
  [["--nosuch", "127.0.0.1", "0", "true"]],
  [["-z", "127.0.0.1", "0", "true"]],
  [["--also=x", "127.0.0.1", "0", "true"]],
])("s6-tcpserver-socketbinder %j is a usage error", async (words) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words);
  run
    .exits(EXIT.usage)
    .stdoutIs("")
    .stderrMatches(/^s6-tcpserver-socketbinder: (usage|fatal): /);
});
