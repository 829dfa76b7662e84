import { existsSync, lstatSync, mkdirSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd, SocketType } from "../../src/posix/index.ts";
import { bothWays, isRoot, newScene, peer } from "../support/scene.ts";
import type { Run, Scene } from "../support/scene.ts";
import { askPath } from "../ucspi/dial.ts";
import { announcedLocally } from "../ucspi/servers.ts";

const NAME = "s6-ipcserver-socketbinder";
const perl = peer("perl");
const posix = loadPosix();

/** The results of getsockopt and getsockname for descriptor 0. */
const LOOK = `
  use Fcntl; use Socket qw(:all);
  open(S, "<&=0");
  sub o { unpack("i", getsockopt(S, $_[0], $_[1])) }
  my ($family, $name) = unpack("S a*", getsockname(S));
  $name =~ s/^\\0/@/; $name =~ s/\\0.*//;
  print join(" ", $family == AF_UNIX ? $name : "?",
    o(SOL_SOCKET, SO_TYPE) == SOCK_STREAM ? "stream" : "datagram",
    "listens", o(SOL_SOCKET, SO_ACCEPTCONN),
    "nonblocking", fcntl(S, F_GETFL, 0) & O_NONBLOCK ? 1 : 0), "\\n";
`;

const PERMISSIONS = 0o777;

function modeOf(scene: Scene, name: string): number {
  return lstatSync(scene.path(name)).mode & PERMISSIONS;
}

function bind(scene: Scene, words: string, ...program: string[]): Promise<Run> {
  return scene.run(NAME, [...words.split(" "), ...program]);
}

/** A socket of this process at a path of the scene. */
function holdSocket(scene: Scene, name: string, type: SocketType): Fd {
  const fd = posix.socket("unix", type);
  posix.bind(fd, { family: "unix", path: scene.path(name) });
  return fd;
}

describe.skipIf(perl.isMissing)(`the socket${perl.why}`, () => {
  for (const [words, expected] of [
    ["s", "s stream listens 1 nonblocking 1"],
    ["-B s", "s stream listens 1 nonblocking 0"],
    ["-b0 s", "s stream listens 0 nonblocking 1"],
    ["-b 5 -D s", "s stream listens 1 nonblocking 1"],
    ["-mM s", "s stream listens 1 nonblocking 1"],
    ["-m -b0 s", "s datagram listens 0 nonblocking 1"],
    ["-m -b0 -B -- s", "s datagram listens 0 nonblocking 0"],
  ] as const) {
    test(`s6-ipcserver-socketbinder ${words} makes the socket so`, async () => {
      await using scene = await newScene();
      const run = await bind(scene, words, perl.path, "-e", LOOK);
      run.exits(EXIT.ok).stdoutIs(`${expected}\n`).stderrIs("");
    });
  }

  bothWays("s6-ipcserver-socketbinder --abstract binds a name of no file", async (newScene) => {
    await using scene = await newScene();
    const name = `ucspi ${scene.directory}`;
    const run = await scene.run(NAME, ["--abstract", name, perl.path, "-e", LOOK]);
    run.exits(EXIT.ok).stdoutIs(`@${name} stream listens 1 nonblocking 1\n`).stderrIs("");
    expect(existsSync(scene.path(`${name}.lock`))).toBe(false);
  });

  bothWays(
    "s6-ipcserver-socketbinder replaces standard input, and leaves other descriptors alone",
    async (newScene) => {
      await using scene = await newScene();
      const list = "ls /proc/$$/fd";
      const look = `readlink /proc/$$/fd/0 | cut -d: -f1; cat <&3; ${list}`;
      const run = await scene.shell(
        `echo x >in; echo y >three; exec <in 3<three; ${list}; ${NAME} s sh -c '${look}'`,
      );
      const [before, , after] = run.exits(EXIT.ok).stdout.split(/(socket\ny\n)/);
      expect(after).toBe(before);
    },
  );
});

describe("permissions", () => {
  test("permissions are those of -a, whatever the umask, from the first moment on", async () => {
    await using scene = await newScene();
    for (const [options, mode] of [
      ["", 0o777],
      ["-a 0700", 0o700],
      ["-a 660", 0o660],
      ["-a 07077", 0o077],
      ["-a0", 0],
    ] as const) {
      const run = await scene.shell(`umask 022; ${NAME} -D ${options} s true`);
      run.exits(EXIT.ok).stderrIs("");
      expect([options, modeOf(scene, "s")]).toEqual([options, mode]);
      posix.unlink(scene.path("s"));
    }
  });

  test("permissions of the lock are for its owner, whatever -a says", async () => {
    await using scene = await newScene();
    (await bind(scene, "-a 077 s", "true")).exits(EXIT.ok);
    expect([modeOf(scene, "s"), modeOf(scene, "s.lock")]).toEqual([0o077, 0o600]);
  });

  test("permissions change no umask", async () => {
    await using scene = await newScene();
    const run = await scene.shell(`umask 027; ${NAME} -a 700 s sh -c umask`);
    run.exits(EXIT.ok).stdoutIs("0027\n");
  });
});

describe("a path that is taken", () => {
  test("a path that a dead server has left is bound again", async () => {
    await using scene = await newScene();
    for (const type of ["stream", "datagram", "seqpacket"] as const) {
      posix.close(holdSocket(scene, "s", type));
      (await bind(scene, "s", "true")).exits(EXIT.ok).stderrIs("");
      posix.unlink(scene.path("s"));
    }
  });

  bothWays("a path whose server is alive is left to it", async (newScene) => {
    await using scene = await newScene();
    const server = scene.start(NAME, ["socket", "s6-ipcserverd", "-1", "echo", "here"]);
    const { path } = await announcedLocally(scene, server);
    for (const options of ["", "-D ", "-m -b0 "]) {
      const run = await bind(scene, `${options}socket`, "touch", "ran");
      const problem =
        /^s6-ipcserver-socketbinder: fatal: unable to bind to socket: (Address already in use|Device or resource busy)[^\n]*\n$/;
      run.exits(EXIT.system).stderrMatches(problem);
      expect(await askPath(path)).toBe("here\n");
    }
    expect(scene.has("ran")).toBe(false);
  });

  test("a path whose socket another process has open is left to it, though no lock is held", async () => {
    await using scene = await newScene();
    for (const [type, backlog] of [
      ["stream", 5],
      ["stream", 0],
      ["datagram", 0],
      ["seqpacket", 5],
    ] as const) {
      const fd = holdSocket(scene, "s", type);
      if (backlog > 0) posix.listen(fd, backlog);
      const run = await bind(scene, "s", "touch", "ran");
      const problem = "Address already in use (a process has this socket open)";
      run.exits(EXIT.system).stderrIs(`${NAME}: fatal: unable to bind to s: ${problem}\n`);
      if (backlog > 0) expect(posix.accept(fd, 8)).toEqual([]);
      posix.close(fd);
      posix.unlink(scene.path("s"));
    }
    expect(scene.has("ran")).toBe(false);
  });

  test("a path that is no socket is left as it is", async () => {
    await using scene = await newScene({ files: { file: "content" } });
    mkdirSync(scene.path("directory"));
    posix.close(holdSocket(scene, "socket", "stream"));
    symlinkSync("socket", scene.path("link"));
    for (const name of ["file", "directory", "link"]) {
      const run = await bind(scene, name, "touch", "ran");
      const problem = "File exists (it is not a socket)";
      run.exits(EXIT.system).stderrIs(`${NAME}: fatal: unable to bind to ${name}: ${problem}\n`);
    }
    expect(scene.read("file")).toBe("content");
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("a path of which a process holds the lock is left to it", async (newScene) => {
    await using scene = await newScene();
    const lock = posix.open(scene.path("s.lock"), "write", { create: 0o600 });
    expect(posix.recordLock(lock, "exclusive", false)).toBe(true);
    const run = await bind(scene, "s", "touch", "ran");
    const problem = "Device or resource busy (another process has locked s.lock)";
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: unable to bind to s: ${problem}\n`);
    expect([scene.has("s"), scene.has("ran")]).toEqual([false, false]);
    (await bind(scene, "-D s", "true")).exits(EXIT.ok);
    posix.recordLock(lock, "unlock", false);
    posix.flock(lock, "exclusive", false);
    (await bind(scene, "s", "true")).exits(EXIT.ok).stderrIs("");
    posix.close(lock);
  });

  test("a path with -D has to be free, and gets no lock", async () => {
    await using scene = await newScene();
    (await bind(scene, "-D s", "true")).exits(EXIT.ok);
    expect(scene.has("s.lock")).toBe(false);
    const run = await bind(scene, "-D s", "touch", "ran");
    const problem = "Address already in use";
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: unable to bind to s: ${problem}\n`);
    expect(scene.has("ran")).toBe(false);
  });

  test.skipIf(!isRoot)(
    `a path whose socket a user may not ask is left as it is${isRoot ? "" : " (skipped: not root)"}`,
    async () => {
      await using scene = await newScene();
      const other = "setpriv --reuid=54321 --regid=54321 --clear-groups";
      (await scene.shell("chmod 777 .")).exits(0);
      (await bind(scene, "-D -a 700 s", "true")).exits(EXIT.ok);
      const run = await scene.shell(`${other} ${NAME} s touch ran`);
      if (/\bexec\b/.test(run.stderr)) return; // the checkout is closed to others
      run.exits(EXIT.system).stderrMatches(/unable to find out whether it is in use: Permission/);
      expect(scene.has("s")).toBe(true);
    },
  );
});

describe("what cannot be bound", () => {
  test.each([
    ["-m s", "unable to listen to s: Operation not supported"],
    [
      "missing/s",
      "unable to bind to missing/s: unable to open missing/s.lock: No such file or directory",
    ],
    ["-D missing/s", "unable to bind to missing/s: No such file or directory"],
  ])("s6-ipcserver-socketbinder %s reports %s", async (words, problem) => {
    await using scene = await newScene();
    const run = await bind(scene, words, "touch", "ran");
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: ${problem}\n`);
    expect([scene.has("s"), scene.has("s.lock"), scene.has("ran")]).toEqual([false, false, false]);
  });

  test("what cannot be bound is a path of 108 bytes, and 107 can", async () => {
    await using scene = await newScene();
    const name = "x".repeat(107);
    (await bind(scene, name, "true")).exits(EXIT.ok);
    for (const long of [`${name}x`, `${name.slice(1)}é`]) {
      const run = await scene.run(NAME, [long, "touch", "ran"]);
      const problem = "File name too long (at most 107 bytes)";
      run.exits(EXIT.system).stderrIs(`${NAME}: fatal: unable to bind to ${long}: ${problem}\n`);
      expect(scene.has(`${long}.lock`)).toBe(false);
    }
    expect(scene.has("ran")).toBe(false);
  });

  test("what cannot be bound is an abstract name that is in use", async () => {
    await using scene = await newScene();
    const name = `ucspi ${scene.directory}`;
    const fd = posix.socket("unix", "stream");
    posix.bind(fd, { family: "unix", path: `\0${name}` });
    const run = await scene.run(NAME, ["--abstract", name, "touch", "ran"]);
    const problem = `unable to bind to @${name}: Address already in use`;
    run.exits(EXIT.system).stderrIs(`${NAME}: fatal: ${problem}\n`);
    posix.close(fd);
    (await scene.run(NAME, ["--abstract", name, "true"])).exits(EXIT.ok);
  });
});

test("s6-ipcserver-socketbinder --explain binds nothing", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, ["--explain", "-a", "700", "s", "touch", "ran"]);
  run.exits(EXIT.ok).stdoutMatches(/^ {2}binds to s$/m);
  expect([scene.has("s"), scene.has("s.lock"), scene.has("ran")]).toEqual([false, false, false]);
});

bothWays(
  "a program that does not exist is exit 127, one that is no program 126",
  async (newScene) => {
    await using scene = await newScene({ files: { plain: "" } });
    (await bind(scene, "s", "./nosuch")).exits(127);
    (await bind(scene, "s", "./plain")).exits(126);
  },
);

test.each([
  [[], "missing operand: path"],
  [["s"], "missing operand: prog"],
  [["", "true"], "the path is empty"],
  [["-a", "999", "s", "true"], "-a must be an octal file mode: 999"],
  [["-a", "", "s", "true"], "-a must be an octal file mode: "],
  [["-b", "-1", "s", "true"], "-b must be an unsigned integer: -1"],
  [["--abstract", "-a", "700", "s", "true"], "a name of the abstract space has no permissions"],
  [["-Z", "s", "true"], "unrecognized short option: Z"],
])("s6-ipcserver-socketbinder %j is a usage error", async (words, problem) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words);
  const [first, second] = run.exits(EXIT.usage).stdoutIs("").stderr.split("\n");
  expect(first).toBe(`${NAME}: fatal: ${problem}`);
  expect(second).toMatch(
    /^s6-ipcserver-socketbinder: usage: s6-ipcserver-socketbinder \[-d\|-D\] /,
  );
  expect([scene.has("s"), scene.has("s.lock")]).toEqual([false, false]);
});
