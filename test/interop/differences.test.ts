/**
 * Rows of differs.md that can be shown by one command of either suite: what the original does, and ours.
 * A row that is no longer true fails here.
 */

import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { EXIT } from "../../src/chain/index.ts";
import { formatAllow } from "../../src/access/lookup/rule-value.ts";
import { encodeEdits } from "../../src/net/index.ts";
import { cdbBytes } from "../access/samples.ts";
import { newSelfSigned } from "../support/certificates.ts";
import { newScene } from "../support/scene.ts";
import type { Content, Run, RunOptions, Scene } from "../support/scene.ts";
import { original, startOf, withoutSuite } from "./support.ts";
import type { Suite } from "./support.ts";

/** The end of a run, and its words. */
interface Outcome {
  readonly exitCode: number;
  /** Standard output, then the first line of standard error. */
  readonly says: string;
}

function outcomeOf({ exitCode, stdout, stderr }: Run): Outcome {
  const says = `${stdout}${stderr.split("\n")[0] ?? ""}`.replace(/: pid \d+/, "").trim();
  return { exitCode: exitCode ?? -1, says };
}

interface Row {
  readonly title: string;
  readonly command: string;
  readonly words: readonly string[];
  readonly env?: RunOptions["env"];
  readonly input?: Content;
  readonly original: Outcome;
  readonly ours: Outcome;
}

const ACCESS = {
  PROTO: "TCP",
  TCPLOCALIP: "192.0.2.1",
  TCPLOCALPORT: "80",
  TCPREMOTEIP: "192.0.2.7",
  TCPREMOTEPORT: "49152",
};
const BINDER = "s6-tcpserver-socketbinder";
const SHOW = ["sh", "-c", "echo $TCPREMOTEIP"];

const ROWS: readonly Row[] = [
  {
    title: "a group of five digits in an IPv6 address is refused",
    command: BINDER,
    words: ["00000::1", "0", "echo", "ran"],
    original: { exitCode: 0, says: "ran" },
    ours: { exitCode: 100, says: `${BINDER}: fatal: not an address: 00000::1 0` },
  },
  {
    title: "a group of five digits in a PROXY header is refused",
    command: "proxy-server",
    words: SHOW,
    input: "PROXY TCP6 00001::1 ::2 1 2\r\n",
    original: { exitCode: 0, says: "1::1" },
    ours: { exitCode: 1, says: "proxy-server: fatal: invalid remote ip in PROXY line" },
  },
  {
    title: "the wrong part of a version 1 header is named",
    command: "proxy-server",
    words: SHOW,
    input: "PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n",
    original: { exitCode: 1, says: "proxy-server: fatal: invalid PROXY line" },
    ours: { exitCode: 1, says: "proxy-server: fatal: invalid local port in PROXY line" },
  },
  {
    title: "a version 1 line of less than 15 bytes that is wrong is refused as such",
    command: "proxy-server",
    words: SHOW,
    input: "PROXY UNKNO\r\n",
    original: {
      exitCode: 111,
      says: "proxy-server: fatal: unable to read from stdin: Broken pipe",
    },
    ours: { exitCode: 1, says: "proxy-server: fatal: invalid protocol in PROXY line" },
  },
  {
    title: "an end within a header is always told as a broken pipe",
    command: "proxy-server",
    words: SHOW,
    input: "PROXY TCP4 192.0.2.7 192.0.2.1 1 2",
    original: { exitCode: 111, says: "proxy-server: fatal: unable to read from stdin: Success" },
    ours: { exitCode: 111, says: "proxy-server: fatal: unable to read from stdin: Broken pipe" },
  },
  {
    title: "an option's wrong value is told with its unit",
    command: "proxy-server",
    words: ["-t", "x", "true"],
    original: {
      exitCode: 100,
      says: "proxy-server: fatal: timeout must be an unsigned integer",
    },
    ours: {
      exitCode: 100,
      says: "proxy-server: fatal: timeout must be an unsigned integer of milliseconds: x",
    },
  },
  {
    title: "a time of more than 24 days is refused",
    command: "s6-tcpserver-access",
    words: ["-v0", "-H", "-t", "2147483648", "echo", "ran"],
    env: ACCESS,
    original: { exitCode: 0, says: "ran" },
    ours: {
      exitCode: 100,
      says:
        "s6-tcpserver-access: fatal: -t must be an unsigned integer of milliseconds up to " +
        "2147483647: 2147483648",
    },
  },
  {
    title: "an address that cannot be bound to is told as addresses are printed",
    command: BINDER,
    words: ["::FFFF:127.0.0.1", "0", "true"],
    original: {
      exitCode: 111,
      says: `${BINDER}: fatal: unable to bind to ::FFFF:127.0.0.1 port 0 : Invalid argument`,
    },
    ours: {
      exitCode: 111,
      says: `${BINDER}: fatal: unable to bind to ::ffff:7f00:1 port 0 : Invalid argument`,
    },
  },
  {
    title: "a local address that a client cannot bind to is named",
    command: "s6-tcpclient",
    words: ["-H", "-l", "me", "-i", "203.0.113.9", "127.0.0.1", "9", "true"],
    original: {
      exitCode: 111,
      says: "s6-tcpclient: fatal: unable to bind socket: Cannot assign requested address",
    },
    ours: {
      exitCode: 111,
      says:
        "s6-tcpclient: fatal: unable to bind to 203.0.113.9 port 0: " +
        "Cannot assign requested address",
    },
  },
  {
    title: "a label of 64 bytes is a name that does not exist",
    command: "s6-tcpclient",
    words: ["-t", "5", "-l", "me", "x".repeat(64), "9", "true"],
    env: { DNSCACHEIP: "127.0.0.1" },
    original: {
      exitCode: 111,
      says: `s6-tcpclient: fatal: unable to resolve ${"x".repeat(64)}: File name too long`,
    },
    ours: {
      exitCode: 111,
      says: `s6-tcpclient: fatal: unable to resolve ${"x".repeat(64)}: no such domain`,
    },
  },
  {
    title: "two dashes end the options of a command that has none",
    command: "s6-getservbyname",
    words: ["--", "smtp", "tcp"],
    original: { exitCode: 1, says: "" },
    ours: { exitCode: 0, says: "25" },
  },
  {
    title: "s6-ucspitlsd without a key says so before it is asked for TLS",
    command: "s6-ucspitlsd",
    words: ["echo", "ran"],
    original: { exitCode: 0, says: "ran" },
    ours: { exitCode: 0, says: "ran\ns6-tlsd-io: fatal: KEYFILE not set" },
  },
  {
    title: "the key is missed before the certificate",
    command: "s6-tlsd",
    words: ["true"],
    original: { exitCode: 100, says: "s6-tlsd-io: fatal: CERTFILE not set" },
    ours: { exitCode: 100, says: "s6-tlsd-io: fatal: KEYFILE not set" },
  },
  {
    title: "an offset with a second of nanoseconds is refused",
    command: "s6-clockadd",
    words: ["-e", "0"],
    input: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 3, 0x3b, 0x9a, 0xca, 0),
    original: {
      exitCode: 1,
      says: "s6-clockadd: fatal: time discrepancy bigger than 0 milliseconds",
    },
    ours: {
      exitCode: 111,
      says:
        "s6-clockadd: fatal: stdin holds no offset: 00000000000000033b9aca00 has a second of " +
        "nanoseconds or more",
    },
  },
];

/** A key is written to the FIFO as long as the command runs. */
const WITH_FIFO = 'mkfifo fifo; cat key >fifo & "$0" "$@" </dev/null; code=$?; kill $!; exit $code';

/** A certificate and its key, and files that are nearly that. */
function writeMaterial(scene: Scene): void {
  const certificate = newSelfSigned({ key: "p256" });
  const { pem, keyPem } = certificate;
  scene.write("crt", pem);
  scene.write("key", keyPem);
  scene.write("crlf", keyPem.replaceAll("\n", "\r\n"));
  scene.write("x509", pem.replaceAll("CERTIFICATE", "X509 CERTIFICATE"));
  scene.write("empty", "");
  scene.write("long", pem.repeat(33));
  newSelfSigned({ key: "ed25519" }).write(scene.path("ed25519"));
}

/** A file rather than a pipe as standard input: the original needs its reads to be complete. */
async function play(suite: Suite, { command, words, env = {}, input }: Row): Promise<Outcome> {
  await using scene = await newScene({ files: { input: input ?? "" } });
  const path = suite === "ours" ? command : original(command).path;
  const PATH = suite === "ours" ? {} : { PATH: `${dirname(path)}:${process.env["PATH"] ?? ""}` };
  const script = ["-c", 'exec "$0" "$@" <input', path, ...words];
  return outcomeOf(await scene.execute("/bin/sh", script, { env: { ...PATH, ...env } }).finished());
}

describe.skipIf(withoutSuite !== "")(`differences from the C suite${withoutSuite}`, () => {
  test.each(ROWS)("$title, where the original does something else", async (row) => {
    expect({ original: await play("C", row), ours: await play("ours", row) }).toEqual({
      original: row.original,
      ours: row.ours,
    });
  });

  test.each([
    { list: ",127.0.0.1", C: EXIT.usage, ours: EXIT.system },
    { list: "127.0.0.1,x", C: EXIT.system, ours: EXIT.usage },
    { list: "127.0.0.1:::1", C: EXIT.system, ours: EXIT.usage },
  ])("of the list of addresses $list, either suite makes something else", async (row) => {
    for (const suite of ["C", "ours"] as const) {
      await using scene = await newScene();
      // Nobody listens on port 1: whoever takes the list fails to connect.
      const words = ["-q", "-H", "-l", "me", "--", row.list, "1", "true"];
      (await startOf(suite, scene, "s6-tcpclient", words).finished()).exits(row[suite]);
    }
  });

  test.each([
    {
      title: "a FIFO as the key file is refused",
      KEYFILE: "fifo",
      CERTFILE: "crt",
      C: 98,
      ours: 96,
    },
    {
      title: "a key with lines that end in CRLF is read",
      KEYFILE: "crlf",
      CERTFILE: "crt",
      C: 96,
      ours: 98,
    },
    {
      title: "the label X509 CERTIFICATE is refused",
      KEYFILE: "key",
      CERTFILE: "x509",
      C: 98,
      ours: 96,
    },
    {
      title: "a certificate file without any is refused at the start",
      KEYFILE: "key",
      CERTFILE: "empty",
      C: 98,
      ours: 96,
    },
    {
      title: "an Ed25519 key is used",
      KEYFILE: "ed25519.key",
      CERTFILE: "ed25519.crt",
      C: 96,
      ours: 98,
    },
    {
      title: "a chain of more than 32 certificates is refused",
      KEYFILE: "key",
      CERTFILE: "long",
      C: 98,
      ours: 96,
    },
  ])(
    "$title by s6-tlsd, where the original does something else",
    async ({ KEYFILE, CERTFILE, ...row }) => {
      for (const suite of ["C", "ours"] as const) {
        await using scene = await newScene();
        writeMaterial(scene);
        const path = suite === "ours" ? "s6-tlsd" : original("s6-tlsd").path;
        const env = { PATH: `${dirname(path)}:${process.env["PATH"] ?? ""}`, KEYFILE, CERTFILE };
        // 98 is a handshake that fails, for there is no client: the files are good enough for that.
        const run = await scene
          .execute("/bin/sh", ["-c", WITH_FIFO, path, "-K", "2000", "true"], {
            env: suite === "ours" ? { KEYFILE, CERTFILE } : env,
          })
          .finished();
        run.exits(row[suite]);
      }
    },
  );

  test("a value with a newline comes back from an unpacked rule, where the original loses it", async () => {
    const env = encodeEdits([{ name: "FOO", value: "a\nb" }]);
    const files = {
      "rules.cdb": cdbBytes([["ip4/192.0.2.1_32", formatAllow(env, new Uint8Array(0))]]),
    };
    async function unpacked(suite: Suite): Promise<string> {
      await using scene = await newScene({ files });
      const words = ["out", "rules.cdb"];
      (await startOf(suite, scene, "s6-accessrules-fs-from-cdb", words).finished()).exits(EXIT.ok);
      return readFileSync(scene.path("out/ip4/192.0.2.1_32/env/FOO"), "latin1");
    }
    expect({ C: await unpacked("C"), ours: await unpacked("ours") }).toEqual({
      C: "a\nb\n",
      ours: "a\0b\n",
    });
  });
});
