import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseOptions, UsageError, wordsOf } from "../../../src/options/index.ts";
import type { OptionTable } from "../../../src/options/index.ts";
import {
  namedSni,
  TLSC_IO_OPTIONS,
  TLSC_OPTIONS,
  TLSD_IO_OPTIONS,
  TLSD_OPTIONS,
  UCSPITLSD_OPTIONS,
} from "../../../src/tls/index.ts";
import type { EngineChannel } from "../../../src/tls/index.ts";

function parse<Table extends OptionTable>(options: Table, words: readonly string[]) {
  return parseOptions({ family: "long", options, explains: false }, words).options;
}

/** Both, and then some: what s6-tlsd's engine is told. */
function serverWords(line: string, channel?: EngineChannel): string {
  const options = parse(TLSD_OPTIONS, line.split(" "));
  const sni = namedSni(options.sni.level);
  return wordsOf(TLSD_IO_OPTIONS, { ...options, sni, channel }).join(" ");
}

function clientWords(line: string, channel?: EngineChannel): string {
  const options = parse(TLSC_OPTIONS, line.split(" "));
  return wordsOf(TLSC_IO_OPTIONS, { ...options, channel }).join(" ");
}

const NOTIFICATION = { kind: "notification", fd: 8 } as const;
const CONTROL = { kind: "control", fd: 7 } as const;

describe("the words for an engine", () => {
  // networking.md, section 23; `-K 0` differs.
  test.each([
    ["-v2 -S -J -Y -K 5 -k 7", "-v 2 -d 8 -S -J -Y -K 5 --mandatory-sni"],
    ["-s -S -j -y -k 0", "-d 8 -S -y"],
    ["-k 0 --sni", "-d 8"],
    ["--mandatory-sni -k 1", "-d 8 --sni"],
    ["-k 1 --mandatory-sni", "-d 8 --sni"],
    ["--mandatory-sni --sni", "-d 8 --sni"],
    ["--sni --mandatory-sni", "-d 8 --mandatory-sni"],
    ["-v 0 -Zz", "-v 0 -d 8"],
    ["-v 1 -Z", "-d 8"],
    ["-K 0", "-d 8 -K 0"],
    [
      "--verbosity=2 --close-notify --enforce-close-notify --client-cert --handshake-timeout=5 --sni-level=1",
      "-v 2 -d 8 -S -J -Y -K 5 --sni",
    ],
    [
      "--no-close-notify --no-enforce-close-notify --mandatory-client-cert --no-keep --keep",
      "-d 8 -y",
    ],
  ])("the server's options %s become the words of its engine", (line, expected) => {
    expect(serverWords(line, NOTIFICATION)).toBe(expected);
  });

  test.each([
    ["-v 3 -y --no-verify-cert -6 8 -7 9", "-v 3 -d 8 -y --no-verify-cert"],
    ["-y -Z -K 3 --no-verify-cert -k x -v2", "-v 2 -d 8 -y --no-verify-cert -K 3 -k x"],
    ["-SJ -k host.example.com", "-d 8 -S -J -k host.example.com"],
    ["-yY --no-verify-cert --verify-cert", "-d 8"],
    ["--client-cert --no-client-cert --servername=x --read-fd=8", "-d 8 -k x"],
    ["-k x --no-verify-name", "-d 8 -k x --no-verify-name"],
  ])("the client's options %s become the words of its engine", (line, expected) => {
    expect(clientWords(line, NOTIFICATION)).toBe(expected);
  });

  test("the words for an engine name the descriptor of UCSPI-TLS in the place of -d", () => {
    expect(serverWords("-S", CONTROL)).toBe("--control-fd=7 -S");
    expect(clientWords("-v2 -k x", CONTROL)).toBe("-v 2 --control-fd=7 -k x");
    expect(clientWords("-v2 -k x")).toBe("-v 2 -k x");
  });

  test("the words for an engine end with the options that the C suite lacks", () => {
    const line =
      "--full-close --alpn=h2,http/1.1 --ciphers ECDHE+AESGCM --max-version=1.3 --min-version 1.2 --idle-timeout=60000";
    const told =
      "--idle-timeout=60000 --min-version=1.2 --max-version=1.3 --ciphers=ECDHE+AESGCM --alpn=h2,http/1.1 --full-close";
    expect(serverWords(`${line} -S`)).toBe(`-S ${told}`);
    expect(clientWords(`${line} -k x`)).toBe(`-k x ${told}`);
  });
});

test("application protocols are names of 1 to 255 bytes with commas between", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(fc.array(name, { minLength: 1 }), (names) => {
      const list = names.join(",");
      const parts = list.split(",");
      const isGood = parts.every((part) => part !== "" && Buffer.byteLength(part) <= 255);
      const read = () => parse(TLSD_OPTIONS, [`--alpn=${list}`]).alpn;
      if (isGood) expect(read()).toEqual(parts);
      else expect(read).toThrow(UsageError);
    }),
  );
});

describe("defaults", () => {
  test("the options of the server have their defaults", () => {
    expect(parse(TLSD_OPTIONS, [])).toEqual({
      sendsCloseNotify: false,
      enforcesCloseNotify: false,
      clientCertificate: "none",
      sni: { level: 0, isNumber: false },
      verbosity: 1,
      handshakeTimeoutMs: undefined,
      keepsVariables: false,
      idleTimeoutMs: undefined,
      versions: { min: undefined, max: undefined },
      ciphers: undefined,
      alpn: undefined,
      closesBothWays: false,
      certificateRules: undefined,
    });
  });

  test("the options of the client have their defaults", () => {
    expect(parse(TLSC_OPTIONS, [])).toMatchObject({
      sendsCertificate: false,
      verifiesCertificate: true,
      verifiesName: true,
      serverName: undefined,
      readFd: 6,
      writeFd: 7,
    });
  });
});

test("the notification descriptor may be none, and the last one given applies", () => {
  const channelOf = (...words: string[]) => parse(TLSD_IO_OPTIONS, words).channel;
  expect(channelOf("-d", "8")).toEqual(NOTIFICATION);
  expect(channelOf("-d", "8", "-d", "0")).toBeUndefined();
  expect(channelOf("-d", "8", "--control-fd=7")).toEqual(CONTROL);
  expect(channelOf("--control-fd=7", "--notification-fd=8")).toEqual(NOTIFICATION);
});

test("the last of the two kinds of rules applies", () => {
  const rulesOf = (...words: string[]) => parse(TLSD_OPTIONS, words).certificateRules;
  expect(rulesOf("--rules-file=f", "--rules-directory=d")).toEqual({ directory: "d" });
  expect(rulesOf("--rules-directory=d", "--rules-file=f")).toEqual({ cdb: "f" });
});

/** The complaint about words that cannot be understood. */
function complaintOf(options: OptionTable, line: string): string {
  try {
    parse(options, line.split(" "));
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  throw new Error(`${line} was understood`);
}

describe("refused options", () => {
  test.each([
    ["-v x", "verbosity must be an unsigned integer: x"],
    ["-K -1", "handshake-timeout must be an unsigned integer of milliseconds: -1"],
    ["-k x", "sni-level must be an unsigned integer: x"],
    ["--min-version=1.1", "min-version must be one of 1.2, 1.3: 1.1"],
    [
      "--min-version=1.3 --max-version=1.2",
      "max-version must be such that the oldest version is not newer than the newest: 1.2",
    ],
    ["--ciphers=", "ciphers must be a list of ciphers: "],
    ["--alpn=", "alpn must be names of 1 to 255 bytes, with commas between: "],
    ["--alpn=h2,,imap", "alpn must be names of 1 to 255 bytes, with commas between: h2,,imap"],
    ["--no-client-cert", "unrecognized boolean option: --no-client-cert"],
    ["--notification-fd=8", "unrecognized option with argument: --notification-fd=8"],
    ["-6 8", "unrecognized short option: 6"],
    ["-K", "option -K needs an argument"],
  ])("s6-tlsd refuses %s", (line, text) => {
    expect(complaintOf(TLSD_OPTIONS, line)).toBe(text);
  });

  test.each([
    ["-6 2", "read-fd must be a descriptor number of at least 3: 2"],
    ["--write-fd=x", "write-fd must be a descriptor number: x"],
    ["--servername=", "servername must be a name or an address: "],
    ["--sni", "unrecognized boolean option: --sni"],
    ["--mandatory-client-cert", "unrecognized boolean option: --mandatory-client-cert"],
  ])("s6-tlsc refuses %s", (line, text) => {
    expect(complaintOf(TLSC_OPTIONS, line)).toBe(text);
  });

  test("the engines and s6-ucspitlsd refuse the options of other commands", () => {
    expect(() => parse(TLSD_IO_OPTIONS, ["--keep"])).toThrow(UsageError);
    expect(() => parse(TLSC_IO_OPTIONS, ["-Z"])).toThrow(UsageError);
    expect(() => parse(TLSD_IO_OPTIONS, ["--control-fd=2"])).toThrow(UsageError);
    expect(() => parse(UCSPITLSD_OPTIONS, ["--rules-file=f"])).toThrow(UsageError);
  });
});
