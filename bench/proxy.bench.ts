/** The speed of parsing PROXY headers, and the cost of the gate for a server. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseIp } from "../src/net/index.ts";
import type { Endpoint } from "../src/net/index.ts";
import { formatExtensions, formatProxy, parseProxy } from "../src/proxy/index.ts";
import type { ProxyFormat, ProxyHeader, Tlvs } from "../src/proxy/index.ts";
import { compare, peerSuite, rateRow } from "./support/servers.ts";
import type { Bench, Row, Subject } from "./support/servers.ts";

export const question = "PROXY headers";

const PARSES = 2_000_000;
const LOAD = { connections: 6000, concurrency: 20, rounds: 5 };
const SERVER = ["s6-tcpserver", "-q", "-1", "-c", "200", "-C", "200", "127.0.0.1", "0"];
const LINE = "PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n";

export async function measure(bench: Bench): Promise<Row[]> {
  return [...measureParsing(), ...(await measureGate(bench))];
}

function measureParsing(): Row[] {
  const plain = formatExtensions({});
  const full = formatExtensions({
    alpn: "h2",
    authority: "www.example.com",
    tls: {
      version: "TLSv1.3",
      cipher: "TLS_AES_256_GCM_SHA384",
      certificate: "none",
      isVerified: false,
    },
  });
  const v2 = "at least 2000000/s";
  const v1 = "at least 1000000/s";
  return [
    parsingRow("v2, IPv4", header4(plain), { version: 2 }, v2),
    parsingRow("v2, IPv6", header6(plain), { version: 2 }, v2),
    parsingRow("v2, IPv4, TLVs about TLS", header4(full), { version: 2 }, v2),
    parsingRow("v2, IPv4, TLVs and a checksum", header4(full), { version: 2, checksum: true }, v2),
    parsingRow("v1, IPv4", header4(plain), { version: 1 }, v1),
    parsingRow("v1, IPv6", header6(plain), { version: 1 }, v1),
  ];
}

function header4(tlvs: Tlvs): ProxyHeader {
  const ends = { source: end("192.0.2.177", 49152), destination: end("192.0.2.1", 443) };
  return { command: "proxy", family: "tcp4", ...ends, tlvs };
}

function header6(tlvs: Tlvs): ProxyHeader {
  const ends = { source: end("2001:db8::7", 49152), destination: end("2001:db8::1", 443) };
  return { command: "proxy", family: "tcp6", ...ends, tlvs };
}

function end(ip: string, port: number): Endpoint {
  const address = parseIp(ip);
  if (address === undefined) throw new TypeError(`Not an IP address: ${ip}`);
  return { address, port };
}

/** The better of two runs: the first one warms up. */
function parsingRow(what: string, header: ProxyHeader, format: ProxyFormat, goal: string): Row {
  const bytes = formatProxy(header, format);
  const rate = Math.max(parseRate(bytes), parseRate(bytes));
  const ours = `${Math.round(rate)}/s`;
  return { what: `parsed: ${what}, ${bytes.length} bytes`, ours, peer: "-", ratio: "-", goal };
}

function parseRate(bytes: Uint8Array): number {
  const beganMs = performance.now();
  for (let run = 0; run < PARSES; run += 1) {
    if (parseProxy(bytes).kind !== "done") throw new Error("not a header");
  }
  return (PARSES * 1000) / (performance.now() - beganMs);
}

async function measureGate(bench: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    const program = join(folder, "drain");
    // Reads to the end: a connection that is closed with bytes in it would be reset.
    const source =
      "#include <unistd.h>\nint main(void) { char b[99]; while (read(0, b, 99) > 0); }\n";
    writeFileSync(`${program}.c`, source);
    const { status } = spawnSync("cc", ["-O2", "-static", "-o", program, `${program}.c`]);
    if (status !== 0) throw new Error("there is no C compiler");
    const results = await compare(bench, subjects(bench, program), LOAD);
    const gate = results.get("ours, proxy-server");
    return [
      rateRow(
        "proxy-server in a server, against the server without it",
        gate,
        results.get("ours"),
        "at least 0.95",
      ),
      rateRow(
        "proxy-server in a server, against the C suite",
        gate,
        results.get("C, proxy-server"),
        "at least 1.5",
      ),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All clients send the same bytes, whoever reads them. */
function subjects({ root }: Bench, program: string): Subject[] {
  const suite = peerSuite();
  const bin = join(root, "bin");
  const gated = [...SERVER, "proxy-server", program];
  const ours: Subject[] = [
    { name: "ours", words: [...SERVER, program], path: bin, send: LINE },
    { name: "ours, proxy-server", words: gated, path: bin, send: LINE },
  ];
  if (suite === undefined) return ours;
  return [...ours, { name: "C, proxy-server", words: gated, path: suite, send: LINE }];
}
