import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { isRoot, newScene } from "../support/scene.ts";
import { identAddress, scriptedServer } from "../support/ident.ts";

const NAME = "s6-ident-client";

/** The remote end is the server's machine. */
function words(ip: string): string[] {
  return [ip, "6191", "127.0.0.1", "23"];
}

describe.skipIf(!isRoot)(`${NAME} against a server on port 113 (skipped unless root)`, () => {
  test.each([
    ["6191 , 23 : USERID : UNIX : stjohns\r\n", EXIT.ok, "stjohns\n", ""],
    ["6191,23:USERID:OTHER: é \n", EXIT.ok, "é \n", ""],
    ["6191,23:ERROR:INVALID-PORT\r\n", EXIT.refused, "", "invalid port"],
    ["6191,23:ERROR:NO-USER\r\n", EXIT.refused, "", "no such user"],
    ["6191,23:ERROR:HIDDEN-USER\r\n", EXIT.refused, "", "identification denied"],
    ["6191,23:ERROR:UNKNOWN-ERROR\r\n", EXIT.refused, "", "unknown error"],
    ["6191,23:ERROR:XYZ\r\n", EXIT.refused, "", "X-error-token"],
    ["", EXIT.refused, "", "unknown error"],
  ])("s6-ident-client answers %j", async (reply, code, user, text) => {
    await using scene = await newScene();
    await using server = await scriptedServer(reply);
    const run = await scene.run(NAME, words(server.ip));
    run.exits(code).stdoutIs(user);
    run.stderrIs(text === "" ? "" : `${NAME}: warning: ident server replied: ${text}\n`);
    expect(server.asked).toEqual(["6191 , 23\r\n"]);
  });

  test.each([
    ["6191,24:USERID:UNIX:other\r\n", "Protocol error"],
    ["HTTP/1.1 400 Bad Request\r\n", "Protocol error"],
    [`6191,23:USERID:UNIX:${"x".repeat(512)}\r\n`, "File name too long"],
    ["x".repeat(1_000_000), "Protocol error"],
  ])("s6-ident-client refuses a reply that breaks the rules (%#)", async (reply, text) => {
    await using scene = await newScene();
    await using server = await scriptedServer(reply);
    const run = await scene.run(NAME, words(server.ip));
    run.exits(EXIT.system).stdoutIs("");
    run.stderrIs(`${NAME}: fatal: unable to s6net_ident_client: ${text}\n`);
  });

  test("s6-ident-client gives up at its timeout", async () => {
    await using scene = await newScene();
    await using server = await scriptedServer(undefined);
    const run = await scene.run(NAME, ["-t", "200", ...words(server.ip)]);
    run.exits(EXIT.timedOut).stdoutIs("");
    run.stderrMatches(/^s6-ident-client: fatal: unable to s6net_ident_client: .*timed out\n$/);
  });
});

test("s6-ident-client reports a port where no server listens", async () => {
  await using scene = await newScene();
  const run = await scene.run(NAME, words(identAddress()));
  run.exits(EXIT.system).stdoutIs("");
  run.stderrIs(`${NAME}: fatal: unable to s6net_ident_client: Connection refused\n`);
});

test.each([
  ["x 1 127.0.0.1 2", "invalid IP address: x"],
  ["127.0.0.1x 1 127.0.0.1 2", "invalid IP address: 127.0.0.1x"],
  ["127.0.0.1 y z 2", "invalid port number: y"],
  ["127.0.0.1 1 z 2", "invalid IP address: z"],
  ["127.0.0.1 1 127.0.0.1 65536", "invalid port number: 65536"],
  ["127.0.0.1 70000 ::1 2", "invalid port number: 70000"],
  ["127.0.0.1 1 ::1 2", "address family mismatch"],
])("s6-ident-client %s reports the invalid operand", async (operands, text) => {
  await using scene = await newScene();
  const run = await scene.run(NAME, operands.split(" "));
  run.exits(EXIT.usage).stdoutIs("").stderrIs(`${NAME}: fatal: ${text}\n`);
});

test.each(["", "127.0.0.1 1 127.0.0.1", "127.0.0.1 1 127.0.0.1 2 3", "-t x 127.0.0.1 1 ::1 2"])(
  "s6-ident-client %s is a usage error",
  async (operands) => {
    await using scene = await newScene();
    const run = await scene.run(NAME, operands.split(" ").filter(Boolean));
    run
      .exits(EXIT.usage)
      .stdoutIs("")
      .stderrMatches(/usage: s6-ident-client \[-t ms\] remoteip/);
  },
);
