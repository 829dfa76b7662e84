/** The fd holder and its clients: storing, retrieving, listing, deleting, and dumps. */

import { describe, expect, test } from "vitest";
import {
  ALL_RIGHTS,
  connectClient,
  listenAt,
  posix,
  ruleFiles,
  SELF,
  startHolder,
} from "../support/fd-holder.ts";
import { bothWays, newScene, withoutOthers } from "../support/scene.ts";

bothWays(
  "s6-fdholder-retrieve gives its program what s6-fdholder-store has stored",
  async (scenes) => {
    await using scene = await scenes({ files: { ...ruleFiles(), file: "stored\n" } });
    await startHolder(scene);
    const stored = await scene.shell("s6-fdholder-store s a <file");
    stored.exits(0).stdoutIs("").stderrIs("");
    const kept = await scene.run("s6-fdholder-store", ["s", "b"]);
    kept.exits(0);
    const read = await scene.run("s6-fdholder-retrieve", ["s", "a", "cat"]);
    read.exits(0).stdoutIs("stored\n").stderrIs("");
    const again = await scene.run("s6-fdholder-retrieve", ["-D", "s", "a", "cat"]);
    again.exits(0).stdoutIs("");
    const list = await scene.run("s6-fdholder-list", ["s"]);
    list.exits(0).stdoutIs("b\n");
  },
);

test("s6-fdholder-list quotes what is not printable, and --json writes every identifier", async () => {
  await using scene = await newScene({ files: ruleFiles() });
  await startHolder(scene);
  const id = `'a b\\'"$(printf '\\t\\001\\303\\251\\377')"`;
  (await scene.shell(`s6-fdholder-store s ${id}`)).exits(0);
  const list = await scene.run("s6-fdholder-list", ["s"]);
  list.exits(0).stdoutIs("a b\\\\\\t\\0x01\\0xc3\\0xa9\\0xff\n");
  const json = await scene.run("s6-fdholder-list", ["--json", "s"]);
  json.exits(0).stdoutIs(`${JSON.stringify([{ id: "a b\\\t\u0001é\udcff" }])}\n`);
});

describe("a client of a holder", () => {
  test.each([
    ["s6-fdholder-store", ["s", "taken"], "unable to store fd: Device or resource busy"],
    ["s6-fdholder-store", ["-d", "9", "s", "new"], "unable to store fd: Bad file descriptor"],
    ["s6-fdholder-store", ["s", "x".repeat(256)], "unable to store fd: File name too long"],
    ["s6-fdholder-store", ["s", ""], "unable to store fd: Invalid argument"],
    [
      "s6-fdholder-retrieve",
      ["s", "none", "true"],
      "unable to retrieve fd for id none: No such file",
    ],
    ["s6-fdholder-delete", ["s", "none"], "unable to delete fd for id none: No such file"],
  ])("%s %j exits 1 and says what it could not do", async (command, words, message) => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    (await scene.run("s6-fdholder-store", ["s", "taken"])).exits(0);
    const run = await scene.run(command, words);
    run
      .exits(1)
      .stdoutIs("")
      .stderrMatches(new RegExp(`^${command}: fatal: ${message}`));
  });

  test.each([
    ["s6-fdholder-store", ["nowhere", "a"], ""],
    ["s6-fdholder-retrieve", ["nowhere", "a", "true"], ""],
    ["s6-fdholder-delete", ["nowhere", "a"], ""],
    ["s6-fdholder-list", ["nowhere"], ""],
    ["s6-fdholder-getdump", ["nowhere", "true"], ""],
    ["s6-fdholder-transferdump", ["nowhere", "s"], "source "],
  ])("%s exits 111 where there is no holder", async (command, words, which) => {
    await using scene = await newScene();
    const run = await scene.run(command, words);
    const message = `unable to connect to a ${which}fd-holder daemon at nowhere: No such file`;
    run.exits(111).stderrMatches(new RegExp(`^${command}: fatal: ${message}`));
  });

  test("gives up after the time of -t", async () => {
    await using scene = await newScene();
    const listener = listenAt(scene.path("mute"));
    const run = await scene.run("s6-fdholder-list", ["-t", "50", "mute"]);
    posix.close(listener);
    run.exits(1).stderrMatches(/unable to get fd list: Connection timed out/);
  });

  test("that no rule allows is disconnected and exits 1", async () => {
    await using scene = await newScene({ files: ruleFiles(ALL_RIGHTS, "rules", "uid/4294967000") });
    await startHolder(scene);
    const run = await scene.run("s6-fdholder-list", ["s"]);
    run.exits(1).stderrMatches(/get fd list: (Broken pipe|Connection reset by peer)/);
  });

  test.skipIf(withoutOthers !== "")(
    `gets the rights of the user and group that it runs as${withoutOthers}`,
    async () => {
      const files = {
        ...ruleFiles({ LIST: "\n" }, "rules", "gid/77"),
        ...ruleFiles({ ...ALL_RIGHTS }, "rules", "uid/66"),
      };
      await using scene = await newScene({ files });
      await startHolder(scene);
      (await scene.shell("chmod 755 . && chmod 777 s")).exits(0);
      const by = (user: string, group: string, words: string): ReturnType<typeof scene.shell> =>
        scene.shell(`s6-applyuidgid -u ${user} -g ${group} -G ${group} ${words}`);
      const stored = await by("66", "1", "s6-fdholder-store s a");
      const listed = await by("55", "77", "s6-fdholder-list s");
      const refused = await by("55", "77", "s6-fdholder-store s b");
      const unknown = await by("55", "78", "s6-fdholder-list s");
      expect([stored, listed, refused, unknown].map(({ exitCode }) => exitCode)).toEqual([
        0, 0, 1, 1,
      ]);
      refused.stderrMatches(/Operation not permitted/);
    },
  );
});

test("rights are expressions that identifiers match, for storing and for retrieving apart", async () => {
  const rights = { STORE_REGEX: "^ok|^both$\n", RETRIEVE_REGEX: "^(both|other)$\n" };
  await using scene = await newScene({ files: ruleFiles(rights) });
  await startHolder(scene);
  using client = await connectClient(scene.path("s"));
  await client.store(posix.dup(2 as never), "ok1");
  await client.store(2 as never, "both");
  await expect(client.store(2 as never, "no")).rejects.toMatchObject({ code: "EPERM" });
  await expect(client.retrieve("ok1")).rejects.toMatchObject({ code: "EPERM" });
  await expect(client.retrieve("other")).rejects.toMatchObject({ code: "ENOENT" });
  posix.close(await client.retrieve("both"));
  await expect(client.retrieve("other", { deletes: true })).rejects.toMatchObject({
    code: "EPERM",
  });
  posix.close(await client.retrieve("both", { deletes: true }));
  await expect(client.delete("both")).rejects.toMatchObject({ code: "ENOENT" });
  await expect(client.list()).rejects.toMatchObject({ code: "EPERM" });
  await expect(client.getDump()).rejects.toMatchObject({ code: "EPERM" });
  await expect(client.setDump([])).resolves.toBeUndefined();
});

test("a descriptor that expires is closed and gone when its time is over", async () => {
  await using scene = await newScene({ files: ruleFiles() });
  const holder = await startHolder(scene);
  const [reading, writing] = posix.pipe();
  const words = ["-d", "3", "-T", "300", "s", "brief"];
  (await scene.run("s6-fdholder-store", words, { fds: { 3: writing } })).exits(0);
  posix.close(writing);
  expect(posix.waitReady(reading, { readable: true }, 10_000)?.hangup).toBe(true);
  posix.close(reading);
  const run = await scene.run("s6-fdholder-retrieve", ["s", "brief", "true"]);
  run.exits(1).stderrMatches(/No such file/);
  holder.signal("SIGTERM");
  (await holder.finished()).exits(0).stderrIs("");
});

describe("a dump", () => {
  test("of 300 descriptors comes through the variables of s6-fdholder-getdump and back", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    await startHolder(scene, { socket: "t" });
    using client = await connectClient(scene.path("s"));
    const ids = Array.from({ length: 300 }, (_, index) => `id ${index}`);
    for (const id of ids) await client.store(2 as never, id);
    (await scene.run("s6-fdholder-getdump", ["s", "s6-fdholder-setdump", "t"])).exits(0);
    using other = await connectClient(scene.path("t"));
    expect((await other.list()).toSorted()).toEqual(ids.toSorted());
    const limits = (await client.getDump()).map(({ fd, limit }) => (posix.close(fd), limit));
    expect(new Set(limits).size).toBe(300);
  });

  test("keeps the times at which its entries expire when s6-fdholder-transferdump moves it", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene);
    await startHolder(scene, { socket: "t" });
    (await scene.run("s6-fdholder-store", ["-T", "600000", "s", "a"])).exits(0);
    (await scene.run("s6-fdholder-store", ["s", "b"])).exits(0);
    (await scene.run("s6-fdholder-store", ["t", "a"])).exits(0);
    (await scene.run("s6-fdholder-transferdump", ["-t", "5000:5000", "s", "t"])).exits(0);
    const print = (socket: string): ReturnType<typeof scene.shell> =>
      scene.shell(`s6-fdholder-getdump ${socket} env | grep '^S6_FD[IL#]'`);
    const [before, after] = [await print("s"), await print("t")];
    after.exits(0);
    const lines = (text: Buffer): string[] => text.toString().split("\n").toSorted();
    expect(before.stdoutBytes.toString()).toMatch(/S6_FDLIMIT_0=@4[0-9a-f]{23}\n/);
    expect(lines(after.stdoutBytes)).toEqual(lines(before.stdoutBytes));
  });

  test.each([
    [{}, "S6_FD# not set"],
    [{ "S6_FD#": "x" }, "invalid $S6_FD#"],
    [{ "S6_FD#": "1" }, "S6_FD_0 not set"],
    [{ "S6_FD#": "1", S6_FD_0: "0", S6_FDID_0: "" }, "invalid $S6_FDID_0"],
    [{ "S6_FD#": "1", S6_FD_0: "0", S6_FDID_0: "a", S6_FDLIMIT_0: "@4" }, "invalid $S6_FDLIMIT_0"],
  ])("that the variables %j describe is no dump", async (variables, message) => {
    await using scene = await newScene();
    const text = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    const run = await scene
      .execute("/usr/bin/env", [...text, "s6-fdholder-setdump", "s"])
      .finished();
    run.exits(100).stderrIs(`s6-fdholder-setdump: fatal: ${message}\n`);
  });
});

describe("the limits of a holder", () => {
  test("are -n descriptors in all, and --max-per-user for each user", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene, { words: ["-n", "3", "-i", "rules"] });
    await startHolder(scene, { words: ["--max-per-user=2", "-i", "rules"], socket: "t" });
    using client = await connectClient(scene.path("s"));
    for (const id of ["a", "b", "c"]) await client.store(2 as never, id);
    await expect(client.store(2 as never, "d")).rejects.toMatchObject({ code: "ENFILE" });
    await expect(client.store(2 as never, "a")).rejects.toMatchObject({ code: "ENFILE" });
    using other = await connectClient(scene.path("t"));
    for (const id of ["a", "b"]) await other.store(2 as never, id);
    await expect(other.store(2 as never, "c")).rejects.toMatchObject({ code: "EDQUOT" });
  });

  test("are -c clients: one more waits until another leaves", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene, { words: ["-c", "2", "--idle=0", "-i", "rules"] });
    const clients = await Promise.all([1, 2, 3].map(() => connectClient(scene.path("s"))));
    const [first, second, third] = clients;
    await first?.list();
    await second?.list();
    const waiting = third?.list();
    const early = await Promise.race([waiting, first?.list().then(() => "early")]);
    expect(early).toBe("early");
    second?.close();
    expect(await waiting).toEqual([]);
    first?.close();
    third?.close();
  });

  test("have a client that does nothing make room for one that waits", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene, { words: ["-c", "1", "--idle=200", "-i", "rules"] });
    using idle = await connectClient(scene.path("s"));
    await idle.list();
    using waiting = await connectClient(scene.path("s"));
    expect(await waiting.list()).toEqual([]);
    await holder.line(new RegExp(`warning: uid ${SELF} gid \\d+ was inactive, and makes room`));
    await expect(idle.list()).rejects.toThrow();
  });

  test("are 256 clients at a time by default, and 1,000 where they are asked for", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    await startHolder(scene, { words: ["-c", "1000", "-i", "rules"] });
    await startHolder(scene, { words: ["--idle=0", "-i", "rules"], socket: "t" });
    const connect = (
      path: string,
      count: number,
    ): Promise<Awaited<ReturnType<typeof connectClient>>[]> =>
      Promise.all(Array.from({ length: count }, () => connectClient(scene.path(path))));
    const many = await connect("s", 1000);
    await Promise.all(many.map((client) => client.list()));
    for (const client of many) client.close();
    const served = await connect("t", 256);
    await Promise.all(served.map((client) => client.list()));
    const [late] = await connect("t", 1);
    const lateList = late?.list();
    expect(await Promise.race([lateList, served[0]?.list().then(() => "early")])).toBe("early");
    served[0]?.close();
    expect(await lateList).toEqual([]);
    for (const client of [...served.slice(1), late]) client?.close();
  });
});

describe("a holder that ends or begins", () => {
  test("exits 0 at SIGTERM and tells how many descriptors it has closed", async () => {
    await using scene = await newScene({ files: ruleFiles() });
    const holder = await startHolder(scene);
    (await scene.run("s6-fdholder-store", ["s", "a"])).exits(0);
    holder.signal("SIGTERM");
    const run = await holder.finished();
    run.exits(0).stderrIs("s6-fdholderd: warning: 1 descriptors that were held are closed\n");
  });

  test("reads a file of rules again at SIGHUP, and keeps the old ones where it cannot", async () => {
    await using scene = await newScene({
      files: {
        ...ruleFiles({ LIST: "\n" }),
        ...ruleFiles({ ...ALL_RIGHTS, STORE_REGEX: "(\n" }, "bad"),
      },
    });
    (await scene.run("s6-accessrules-cdb-from-fs", ["r.cdb", "rules"])).exits(0);
    const holder = await startHolder(scene, { words: ["-x", "r.cdb"] });
    scene.write(`rules/uid/${SELF}/env/S6_FDHOLDER_STORE_REGEX`, "\n");
    (await scene.run("s6-accessrules-cdb-from-fs", ["r.cdb", "rules"])).exits(0);
    (await scene.run("s6-fdholder-store", ["s", "a"])).exits(1).stderrMatches(/not permitted/);
    holder.signal("SIGHUP");
    await expect
      .poll(async () => (await scene.run("s6-fdholder-store", ["s", "a"])).exitCode)
      .toBe(0);
    (await scene.run("s6-accessrules-cdb-from-fs", ["r.cdb", "bad"])).exits(0);
    holder.signal("SIGHUP");
    await holder.line(/the rules stay as they were: r.cdb: rule uid\/\d+: S6_FDHOLDER_STORE_REGEX/);
    (await scene.shell("rm r.cdb")).exits(0);
    holder.signal("SIGHUP");
    await holder.line(/the rules stay as they were: unable to read r.cdb: No such file/);
    (await scene.run("s6-fdholder-store", ["s", "b"])).exits(0);
  });

  test("refuses a file of rules with an expression that it cannot use", async () => {
    await using scene = await newScene({ files: ruleFiles({ RETRIEVE_REGEX: "(a)\\1\n" }) });
    (await scene.run("s6-accessrules-cdb-from-fs", ["r.cdb", "rules"])).exits(0);
    const listener = listenAt(scene.path("s"));
    const run = await scene.run("s6-fdholderd", ["-x", "r.cdb"], { fds: { 0: listener } });
    posix.close(listener);
    const rule = `rule uid/${SELF}: S6_FDHOLDER_RETRIEVE_REGEX is no regular expression`;
    run.exits(100).stderrIs(`s6-fdholderd: fatal: r.cdb: ${rule}: a back-reference\n`);
  });

  test("closes the clients whose rule in a directory has such an expression, with a warning", async () => {
    await using scene = await newScene({ files: ruleFiles({ ...ALL_RIGHTS, STORE_REGEX: "*\n" }) });
    const holder = await startHolder(scene);
    (await scene.run("s6-fdholder-list", ["s"])).exits(1);
    await holder.line(
      /warning: rule uid\/\d+: S6_FDHOLDER_STORE_REGEX is no regular expression: no/,
    );
  });

  test.each([
    [[], "no access rights specified!", 100],
    [["-i", "rules"], "stdin is not a socket", 100],
    [["-x", "none"], "unable to read none: No such file or directory", 111],
  ])("with the words %j says %j and exits %i", async (words, message, exitCode) => {
    await using scene = await newScene();
    const listener = listenAt(scene.path("s"));
    const fds = message.startsWith("stdin") ? {} : { 0: listener };
    const run = await scene.run("s6-fdholderd", words, { fds });
    posix.close(listener);
    run.exits(exitCode).stderrIs(`s6-fdholderd: fatal: ${message}\n`);
  });
});
