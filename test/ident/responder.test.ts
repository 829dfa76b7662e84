import { createHmac } from "node:crypto";
import { describe, expect, test, vi } from "vitest";

import { FakeClock } from "../support/fake-clock.ts";
import { connectionNames } from "../../src/ident/connection-table.ts";
import { IdentResponder, pseudonym } from "../../src/ident/index.ts";
import { parseIp } from "../../src/net/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { row } from "./tables.ts";

import type { IdentQuery, IdentResponderOptions } from "../../src/ident/index.ts";
import type { IpAddress } from "../../src/net/index.ts";

const SERVER = ip("192.0.2.1");
const ASKER = ip("192.0.2.7");
const QUERY: IdentQuery = { kind: "ports", ports: { remote: 6193, local: 23 } };
const SECRET = Buffer.from("0123456789abcdef");

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new TypeError(`Not an IP address: ${text}`);
  return address;
}

/** A machine on which joe, 1000, and a user without an account, 1001, have connections. */
function machine(): FakePosix {
  const posix = new FakePosix();
  const table = [
    [6193, 1000],
    [6194, 1001],
    [6195, 1002],
  ].map(([port = 0, uid = 0]) => {
    const local = { address: SERVER, port };
    const [name = ""] = connectionNames({ local, remote: { address: ASKER, port: 23 } });
    return row(name, uid);
  });
  posix.putFile("/proc/net/tcp", table.join(""));
  const rest = { gid: 100, shell: "/bin/sh" };
  posix.accounts.push({ name: "joe", uid: 1000, home: "/home/joe", ...rest });
  posix.accounts.push({ name: "evil\r\n", uid: 1002, home: "", ...rest });
  return posix;
}

async function say(
  options: IdentResponderOptions,
  query: IdentQuery = QUERY,
  { remote = ASKER, posix = machine() } = {},
): Promise<string> {
  const responder = new IdentResponder(posix, new FakeClock(), options);
  const { bytes } = await responder.respond(query, { local: SERVER, remote });
  return Buffer.from(bytes).toString();
}

function ports(remote: number): IdentQuery {
  return { kind: "ports", ports: { remote, local: 23 } };
}

describe("the answer", () => {
  test("the answer is the name of the account", async () => {
    expect(await say({})).toBe("6193 , 23 : USERID : UNIX : joe\r\n");
    expect(await say({ operatingSystem: "OTHER" })).toBe("6193 , 23 : USERID : OTHER : joe\r\n");
  });

  test("the answer is the number of a user who has no account, or a name that cannot be sent", async () => {
    expect(await say({}, ports(6194))).toBe("6194 , 23 : USERID : UNIX : 1001\r\n");
    expect(await say({}, ports(6195))).toBe("6195 , 23 : USERID : UNIX : 1002\r\n");
  });

  test("the answer is NO-USER for a connection that does not exist", async () => {
    expect(await say({}, ports(6196))).toBe("6196 , 23 : ERROR : NO-USER\r\n");
  });

  test("the answer is NO-USER for a connection with another machine than the client", async () => {
    expect(await say({}, QUERY, { remote: ip("192.0.2.8") })).toBe(
      "6193 , 23 : ERROR : NO-USER\r\n",
    );
  });

  test("the answer is INVALID-PORT for an invalid query, even where all users are hidden", async () => {
    const query = { kind: "invalid", ports: { remote: 0, local: 70_000 } } as const;
    const expected = "0 , 70000 : ERROR : INVALID-PORT\r\n";
    expect(await say({}, query)).toBe(expected);
    expect(await say({ naming: { kind: "hidden" } }, query)).toBe(expected);
  });

  test("the answer may be the number, for every user", async () => {
    expect(await say({ naming: { kind: "uid" } })).toBe("6193 , 23 : USERID : UNIX : 1000\r\n");
  });

  test.each([
    [{ kind: "fixed", user: "someone" }, "USERID : UNIX : someone"],
    [{ kind: "hidden" }, "ERROR : HIDDEN-USER"],
  ] as const)(
    "the answer may be the same for every user, %j, and then nothing is looked up",
    async (...of) => {
      const [naming, expected] = of;
      const posix = machine();
      const open = vi.spyOn(posix, "open");
      expect(await say({ naming }, ports(9), { posix })).toBe(`9 , 23 : ${expected}\r\n`);
      expect(open).not.toHaveBeenCalled();
    },
  );

  test("the answer may be a pseudonym", async () => {
    const expected = createHmac("sha256", SECRET).update("1000 192.0.2.7").digest("hex");
    expect(await say({ naming: { kind: "hash", secret: SECRET } })).toBe(
      `6193 , 23 : USERID : UNIX : ${expected.slice(0, 32)}\r\n`,
    );
  });
});

test("a pseudonym differs by user, by machine and by secret, and nothing else", () => {
  const here = pseudonym(SECRET, 1000, ASKER);
  expect(here).toMatch(/^[0-9a-f]{32}$/);
  expect(pseudonym(SECRET, 1000, ip("::ffff:192.0.2.7"))).toBe(here);
  expect(pseudonym(SECRET, 1001, ASKER)).not.toBe(here);
  expect(pseudonym(SECRET, 1000, SERVER)).not.toBe(here);
  expect(pseudonym(Buffer.from("another secret of"), 1000, ASKER)).not.toBe(here);
});

describe("a file .noident", () => {
  const hidden = "6193 , 23 : ERROR : HIDDEN-USER\r\n";

  test("a file .noident hides its user, however users are reported", async () => {
    const posix = machine();
    posix.putFile("/home/joe/.noident", "");
    const naming = { kind: "uid" } as const;
    expect(await say({ respectsNoident: true }, QUERY, { posix })).toBe(hidden);
    expect(await say({ respectsNoident: true, naming }, QUERY, { posix })).toBe(hidden);
    expect(await say({}, QUERY, { posix })).toContain("joe");
  });

  test("a file .noident that cannot be checked hides its user", async () => {
    const posix = machine();
    const filesOfNames = ["ENOENT", "ENOENT", "ENOENT"];
    for (const code of [...filesOfNames, "EACCES"]) posix.failNext("fileVersion", code);
    expect(await say({ respectsNoident: true }, QUERY, { posix })).toBe(hidden);
  });

  test("a file .noident that does not exist hides no user", async () => {
    expect(await say({ respectsNoident: true })).toContain("joe");
    expect(await say({ respectsNoident: true }, ports(6194))).toContain("1001");
  });
});
