import { expect, test } from "vitest";
import { parseIp } from "../../src/net/index.ts";
import type { Endpoint } from "../../src/net/index.ts";
import { formatRefusal, formatStatus, joinEndpoint } from "../../src/ucspi/log.ts";

function endpoint(ip: string, port: number): Endpoint {
  const address = parseIp(ip);
  if (address === undefined) throw new TypeError(`Not an IP address: ${ip}`);
  return { address, port };
}

test("address and port are joined in the log as in the C suite", () => {
  expect(joinEndpoint(endpoint("127.0.0.1", 4000))).toBe("127.0.0.1_4000");
  expect(joinEndpoint(endpoint("::1", 51538))).toBe("::1_51538");
});

test("the end of a program is logged as an exit code or a signal", () => {
  expect(formatStatus({ kind: "exited", exitCode: 0 })).toBe("exitcode 0");
  expect(formatStatus({ kind: "killed", signal: 9, coreDumped: false })).toBe("signal 9");
  expect(formatStatus({ kind: "killed", signal: 11, coreDumped: true })).toBe("signal 11");
});

const refusal = {
  remote: endpoint("2001:db8::7", 50_000),
  local: endpoint("2001:db8::1", 80),
  by: "rule",
  reason: "ip6/2001:db8::_32",
} as const;

test("a refusal as text names the client, the kind of decision and the reason", () => {
  expect(formatRefusal(refusal, "text")).toBe(
    "refused ip 2001:db8::7 port 50000 by rule: ip6/2001:db8::_32",
  );
});

test("a refusal as JSON is one line, whatever the reason contains", () => {
  const text = formatRefusal({ ...refusal, reason: 'a "b"\nc' }, "json");
  expect(text).not.toContain("\n");
  expect(JSON.parse(text)).toEqual({
    event: "refused",
    remoteIp: "2001:db8::7",
    remotePort: 50_000,
    localIp: "2001:db8::1",
    localPort: 80,
    by: "rule",
    reason: 'a "b"\nc',
  });
});

const local = {
  uid: 1000,
  gid: 100,
  remotePath: "",
  localPath: "/run/x",
  by: "limit",
  reason: "2 of at most 2 connections of this user",
} as const;

test("a refusal of a local client names its user and group", () => {
  expect(formatRefusal(local, "text")).toBe(
    "refused uid 1000 gid 100 by limit: 2 of at most 2 connections of this user",
  );
  expect(JSON.parse(formatRefusal(local, "json"))).toEqual({
    event: "refused",
    remoteUid: 1000,
    remoteGid: 100,
    remotePath: "",
    localPath: "/run/x",
    by: "limit",
    reason: "2 of at most 2 connections of this user",
  });
});

test("a refusal of a client without ids says so", () => {
  const unknown = { ...local, uid: undefined, gid: undefined };
  expect(formatRefusal(unknown, "text")).toMatch(/^refused uid \? gid \? by limit: /);
  expect(JSON.parse(formatRefusal(unknown, "json"))).not.toHaveProperty("remoteUid");
});
