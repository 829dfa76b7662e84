import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { loadPosix } from "../../src/posix/index.ts";
import {
  formatIp,
  HOSTS_BYTES_MAX,
  HOSTS_PATH,
  HOSTS_REMEMBERED_BYTES_MAX,
  isHostName,
  parseHosts,
  readHosts,
  rememberedHosts,
} from "../../src/net/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { mustParse } from "./samples.ts";

const HOSTS = parseHosts(`
# addresses first
127.0.0.1\tlocalhost localhost.localdomain
::1 localhost ip6-localhost # comment
192.0.2.1 WWW.Example.com www
192.0.2.2   www.example.com
2001:db8::6 v6only.example.com
fe80::1%lo zoned
127.0.0.999 nonsense
192.0.2.9 ../../etc good.name bad/name
192.0.2.10
`);

describe("a hosts file", () => {
  const addresses = (name: string, family?: 4 | 6) => HOSTS.addresses(name, family).map(formatIp);

  test("gives the addresses of a name, IPv6 before IPv4", () => {
    expect(addresses("localhost")).toEqual(["::1", "127.0.0.1"]);
    expect(addresses("localhost", 4)).toEqual(["127.0.0.1"]);
    expect(addresses("localhost", 6)).toEqual(["::1"]);
    expect(addresses("www.example.com")).toEqual(["192.0.2.1", "192.0.2.2"]);
  });

  test("finds a name that has only an IPv6 address", () => {
    expect(addresses("v6only.example.com")).toEqual(["2001:db8::6"]);
    expect(addresses("v6only.example.com", 4)).toEqual([]);
  });

  test("minds neither case nor one trailing dot", () => {
    expect(addresses("wWw.eXample.COM.")).toEqual(["192.0.2.1", "192.0.2.2"]);
    expect(addresses("www.example.com..")).toEqual([]);
  });

  test("gives the names of an address as DNS would", () => {
    expect(HOSTS.names(mustParse("127.0.0.1"))).toEqual(["localhost.", "localhost.localdomain."]);
    expect(HOSTS.names(mustParse("192.0.2.1"))).toEqual(["www.example.com.", "www."]);
    expect(HOSTS.names(mustParse("0:0:0:0:0:0:0:1"))).toEqual(["localhost.", "ip6-localhost."]);
    expect(HOSTS.names(mustParse("192.0.2.10"))).toEqual([]);
    expect(HOSTS.names(mustParse("203.0.113.1"))).toEqual([]);
  });

  test("passes over what makes no sense", () => {
    expect(addresses("zoned")).toEqual([]);
    expect(addresses("nonsense")).toEqual([]);
    expect(addresses("comment")).toEqual([]);
    expect(HOSTS.names(mustParse("192.0.2.9"))).toEqual(["good.name."]);
    expect(addresses("constructor")).toEqual([]);
  });

  test("may hold anything", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        parseHosts(text).addresses(text);
      }),
    );
  });

  test("is read from a path, and its absence is an error", () => {
    const directory = mkdtempSync(join(tmpdir(), "hosts-"));
    try {
      const path = join(directory, "hosts");
      writeFileSync(path, "192.0.2.1 here\n");
      expect(readHosts(loadPosix(), path).addresses("here")).toEqual([mustParse("192.0.2.1")]);
      expect(() => readHosts(loadPosix(), join(directory, "none"))).toThrow(
        expect.objectContaining({ code: "ENOENT" }),
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("the hosts of a server", () => {
  test("are read again when the file has changed, and only then", () => {
    const posix = new FakePosix();
    posix.nowNs = 1_000_000_000_000n; // long after the changes below
    expect(() => rememberedHosts(posix)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    posix.putFile(HOSTS_PATH, "192.0.2.1 here\n");
    const first = rememberedHosts(posix);
    expect(first.addresses("here")).toEqual([mustParse("192.0.2.1")]);
    expect(rememberedHosts(posix)).toBe(first);
    posix.files.get(HOSTS_PATH)?.change(Buffer.from("192.0.2.2 here\n"));
    expect(rememberedHosts(posix).addresses("here")).toEqual([mustParse("192.0.2.2")]);
  });

  test("are not kept in memory when they are many", () => {
    const posix = new FakePosix();
    posix.nowNs = 1_000_000_000_000n;
    posix.putFile(HOSTS_PATH, "192.0.2.1 here\n".padEnd(HOSTS_REMEMBERED_BYTES_MAX, "#"));
    expect(rememberedHosts(posix)).toBe(rememberedHosts(posix));
    posix.files.get(HOSTS_PATH)?.change(Buffer.alloc(HOSTS_REMEMBERED_BYTES_MAX + 1, "#"));
    expect(rememberedHosts(posix)).not.toBe(rememberedHosts(posix));
  });
});

test("a hosts file that is longer than the ceiling is refused, and so is a fifo", () => {
  const directory = mkdtempSync(join(tmpdir(), "hosts-"));
  try {
    const posix = loadPosix();
    const path = join(directory, "hosts");
    const fd = posix.open(path, "write", { create: 0o600 });
    posix.truncate(fd, HOSTS_BYTES_MAX + 1); // a hole, which takes no room
    posix.close(fd);
    expect(() => readHosts(posix, path)).toThrow(expect.objectContaining({ code: "EFBIG" }));
    posix.mkfifo(join(directory, "fifo"), 0o600);
    expect(() => readHosts(posix, join(directory, "fifo"))).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.each([
  ["www.example.com.", true],
  ["_srv.x-1.", true],
  ["www", false],
  [".", false],
  ["a..b.", false],
  ["../x.", false],
  ["a b.", false],
  ["a\n.", false],
  [`${"a".repeat(64)}.`, false],
  ["a.".repeat(127), true],
  ["a.".repeat(128), false],
])("%j as the name of a host: %s", (name, fit) => {
  expect(isHostName(name)).toBe(fit);
});
