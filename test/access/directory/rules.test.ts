import { mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { DirectoryRules } from "../../../src/access/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import { mustParseIp, NodeFiles, TemporaryDirectory } from "../samples.ts";

const CLIENT = mustParseIp("192.0.2.1");
const KEY = "ip4/192.0.2.1_32";

function opened(files: Readonly<Record<string, string | Uint8Array>>) {
  const directory = new TemporaryDirectory();
  directory.write(files);
  const kernel = new NodeFiles();
  const rules = new DirectoryRules(kernel, directory.path);
  return { directory, kernel, rules, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("a host name from the network", () => {
  const everywhere = {
    allow: "",
    "reversedns/allow": "",
    "reversedns/a/allow": "",
    "reversedns/b/c/allow": "",
    "ip4/0.0.0.0_0/allow": "",
  };

  test.each(["a\0", "b/c", "a/../../ip4/0.0.0.0_0", "a/", "/", "/a", "..", "...", "../", "../."])(
    "a host name from the network cannot be a path to another rule: %j",
    (name) => {
      using it = opened(everywhere);
      expect(it.rules.checkReverseDns(name)).toEqual({ kind: "notFound" });
    },
  );

  test("a host name from the network is a key like any other where it has no slash and is not of dots alone", () => {
    using it = opened({ ...everywhere, "reversedns/..a/deny": "" });
    expect(it.rules.checkReverseDns("a")).toMatchObject({ kind: "allow", rule: "reversedns/a" });
    expect(it.rules.checkReverseDns("..a")).toMatchObject({ kind: "deny" });
  });
});

describe("a rule in a directory", () => {
  test("a rule that has both an allow and a deny file allows", () => {
    using it = opened({ [`${KEY}/allow`]: "", [`${KEY}/deny`]: "" });
    expect(it.rules.checkIp(CLIENT).kind).toBe("allow");
  });

  test("a rule in a directory applies, and stops applying, as soon as it is changed", () => {
    using it = opened({ [`${KEY}/allow`]: "" });
    expect(it.rules.checkIp(CLIENT).kind).toBe("allow");
    unlinkSync(it.directory.file(`${KEY}/allow`));
    expect(it.rules.checkIp(CLIENT).kind).toBe("notFound");
    writeFileSync(it.directory.file(`${KEY}/deny`), "");
    expect(it.rules.checkIp(CLIENT).kind).toBe("deny");
  });

  test.each(["allow", "deny", "exec", "env/A"])(
    "a rule whose %s file is unreadable denies, and reports the error, whatever a wider rule says",
    (name) => {
      const others = name === "deny" ? {} : { [`${KEY}/allow`]: "", [`${KEY}/env/`]: "" };
      using it = opened({ ...others, [`${KEY}/${name}`]: "x", "ip4/0.0.0.0_0/allow": "" });
      it.kernel.forbidden.add(it.directory.file(`${KEY}/${name}`));
      const path = it.directory.file(`${KEY}/${name.replace("/A", "")}`);
      const fault = { kind: "error", why: `unable to read ${path}`, code: "EACCES" };
      expect(it.rules.checkIp(CLIENT)).toEqual({ kind: "deny", rule: KEY, fault });
    },
  );

  test.each([
    ["its deny", `${KEY}/deny`],
    ["its allow", `${KEY}/allow`],
    ["its variables", `${KEY}/env`],
    ["one of its variables", `${KEY}/env/A`],
    ["its script", `${KEY}/exec`],
    ["the rule", KEY],
    ["all rules of its kind", "ip4"],
  ])("a symbolic link to nowhere in the place of %s denies", (_, name) => {
    for (const [target, code] of [
      ["/nonexistent", "ENOENT"],
      [name.split("/").at(-1) ?? "", "ELOOP"],
    ] as const) {
      using it = opened({ "reversedns/@/allow": "" });
      if (name.startsWith(`${KEY}/e`)) it.directory.write({ [`${KEY}/allow`]: "" });
      mkdirSync(dirname(it.directory.file(name)), { recursive: true });
      symlinkSync(target, it.directory.file(name));
      const verdict = it.rules.checkIp(CLIENT);
      expect(verdict).toMatchObject({ kind: "deny", rule: KEY, fault: { code } });
    }
  });

  test("a symbolic link in the place of all rules of a kind is followed", () => {
    using it = opened({ [`elsewhere/${KEY}/deny`]: "" });
    symlinkSync("elsewhere/ip4", it.directory.file("ip4"));
    expect(it.rules.checkIp(CLIENT)).toEqual({ kind: "deny", rule: KEY });
    expect(it.rules.checkIp(mustParseIp("10.0.0.1")).kind).toBe("notFound");
  });

  test("a rule whose script is removed while it is looked up has none", () => {
    using it = opened({ [`${KEY}/allow`]: "", [`${KEY}/exec`]: "exit 1" });
    it.kernel.beforeOpen = (path) => unlinkSync(path);
    expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "allow", exec: undefined });
  });

  test("a rule in a directory has at most 10,000 variables", () => {
    const files = (count: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`${KEY}/env/V${at}`, "x"]));
    using most = opened({ [`${KEY}/allow`]: "", ...files(10_000) });
    expect(most.rules.checkIp(CLIENT).kind).toBe("allow");
    most.directory.write({ [`${KEY}/env/MORE`]: "x" });
    expect(most.rules.checkIp(CLIENT)).toMatchObject({
      kind: "deny",
      rule: KEY,
      fault: { code: "EFBIG" },
    });
  });

  test("a rule that is a plain file denies", () => {
    using it = opened({ [KEY]: "", "ip4/0.0.0.0_0/allow": "" });
    expect(it.rules.checkIp(CLIENT)).toMatchObject({
      kind: "deny",
      rule: KEY,
      fault: { code: "ENOTDIR" },
    });
  });

  test("a rule in a directory has the variables of its env directory", () => {
    using it = opened({
      [`${KEY}/allow`]: "",
      [`${KEY}/env/FOO`]: "bar  \t\nsecond line\n",
      [`${KEY}/env/GONE`]: "",
      [`${KEY}/env/EMPTY`]: "\n",
      [`${KEY}/env/NUL`]: "a\0b",
      [`${KEY}/env/.hidden`]: "x",
      [`${KEY}/env/A=B`]: "x",
      [`${KEY}/env/LONG`]: "x".repeat(5000),
    });
    const verdict = it.rules.checkIp(CLIENT);
    expect(verdict.kind).toBe("allow");
    const edits = verdict.kind === "allow" ? verdict.edits : [];
    expect(new Map(edits.map(({ name, value }) => [name, value]))).toEqual(
      new Map([
        ["FOO", "bar"],
        ["GONE", undefined],
        ["EMPTY", ""],
        ["NUL", "a\nb"],
        ["LONG", "x".repeat(4095)],
      ]),
    );
  });

  test("a rule with a directory in its env, or with a file in its place, denies", () => {
    using it = opened({ [`${KEY}/allow`]: "", [`${KEY}/env/X/`]: "" });
    const fault = (code: string) => ({ kind: "deny", rule: KEY, fault: { code } });
    expect(it.rules.checkIp(CLIENT)).toMatchObject(fault("EISDIR"));
    rmSync(it.directory.file(`${KEY}/env`), { recursive: true });
    it.directory.write({ [`${KEY}/env`]: "" });
    expect(it.rules.checkIp(CLIENT)).toMatchObject(fault("ENOTDIR"));
  });

  test("a rule in a directory has the first 4096 bytes of its script", () => {
    using it = opened({ [`${KEY}/allow`]: "", [`${KEY}/exec`]: "x".repeat(5000) });
    const verdict = it.rules.checkIp(CLIENT);
    expect(verdict.kind === "allow" && verdict.exec?.length).toBe(4096);
    writeFileSync(it.directory.file(`${KEY}/exec`), "");
    expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "allow", exec: undefined });
    rmSync(it.directory.file(`${KEY}/exec`));
    mkdirSync(it.directory.file(`${KEY}/exec`));
    expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "deny", fault: { code: "EISDIR" } });
  });

  test.each([["exec"], ["env/X"]])(
    "a rule that has a fifo, a socket or a device for its %s refuses the client, at once",
    (name) => {
      using it = opened({ [`${KEY}/allow`]: "", [`${KEY}/env/`]: "" });
      const path = it.directory.file(`${KEY}/${name}`);
      const posix = loadPosix();
      posix.mkfifo(path, 0o600);
      expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "deny", fault: { code: "EINVAL" } });
      posix.unlink(path);
      const socket = posix.socket("unix", "stream");
      posix.bind(socket, { family: "unix", path });
      expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "deny", fault: { code: "ENXIO" } });
      posix.close(socket);
      posix.unlink(path);
      posix.symlink("/dev/zero", path);
      expect(it.rules.checkIp(CLIENT)).toMatchObject({ kind: "deny", fault: { code: "EINVAL" } });
    },
  );

  test("a rule whose deny file is a fifo denies, as its content is not read", () => {
    using it = opened({ [`${KEY}/`]: "" });
    loadPosix().mkfifo(it.directory.file(`${KEY}/deny`), 0o600);
    expect(it.rules.checkIp(CLIENT).kind).toBe("deny");
  });

  test("a rule is not found below a directory that does not exist", () => {
    const rules = new DirectoryRules(new NodeFiles(), "/nonexistent");
    expect(rules.checkIp(CLIENT)).toEqual({ kind: "notFound" });
  });
});
