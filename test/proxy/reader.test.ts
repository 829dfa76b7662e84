import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/clock/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { formatProxy, readProxyHeader } from "../../src/proxy/index.ts";
import type { Arrived, ProxyVersion } from "../../src/proxy/index.ts";
import { facts, header, parsed, tlv, withTlvs } from "./samples.ts";

const posix = loadPosix();
const LINE = Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\n");
const HEADER = parsed(LINE).header;
const PATIENT = { clock: systemClock, timeoutMs: undefined, only: undefined };

/** A connection, blocking as those of a server are: its far end and ours. */
function connection(): readonly [Fd, Fd] {
  const pair = posix.socketPair("stream");
  onTestFinished(() => pair.forEach((fd) => posix.isOpen(fd) && posix.close(fd)));
  return pair;
}

/** The bytes that are left in a connection, without waiting for more. */
function rest(fd: Fd): string {
  const bytes = Buffer.alloc(100_000);
  return bytes.toString("latin1", 0, posix.peek(fd, bytes) ?? 0);
}

describe("a header on a socket", () => {
  test("a header that has arrived on a socket is read at once, and nothing behind it", () => {
    const [far, near] = connection();
    posix.write(far, Buffer.concat([LINE, Buffer.from("HELO\r\n")]));
    expect(readProxyHeader(posix, near, PATIENT)).toEqual({ kind: "header", header: HEADER });
    expect([rest(near), posix.isNonblocking(near)]).toEqual(["HELO\r\n", false]);
  });

  test("a header may arrive byte by byte", async () => {
    const [far, near] = connection();
    const arriving = readProxyHeader(posix, near, PATIENT);
    for (const byte of LINE) {
      posix.write(far, Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    posix.write(far, Buffer.from("HELO"));
    expect(await arriving).toEqual({ kind: "header", header: HEADER });
    expect(rest(near)).toBe("HELO");
  });

  test("a header may be as long as its form allows", async () => {
    const [far, near] = connection();
    const bytes = withTlvs(tlv(4, Buffer.alloc(0xffff - 15)));
    const arriving = readProxyHeader(posix, near, PATIENT);
    for (let at = 0; at < bytes.length; at += 5000) {
      posix.write(far, bytes.subarray(at, at + 5000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    posix.write(far, Buffer.from("HELO"));
    expect(await arriving).toMatchObject({ kind: "header", header: { family: "tcp4" } });
    expect(rest(near)).toBe("HELO");
  });

  test("bytes that are no header are left on the socket", () => {
    const [far, near] = connection();
    posix.write(far, Buffer.from("GET / HTTP/1.0\r\n"));
    expect(readProxyHeader(posix, near, PATIENT)).toEqual({
      kind: "invalid",
      why: "invalid magic",
    });
    expect(rest(near)).toBe("GET / HTTP/1.0\r\n");
  });

  test.each([1, 2] as const)(
    "a header of the other version is refused where only v%i is accepted",
    (only) => {
      const [far, near] = connection();
      posix.write(far, only === 1 ? withTlvs() : LINE);
      expect(readProxyHeader(posix, near, { ...PATIENT, only })).toMatchObject({ kind: "invalid" });
    },
  );

  test("a header that is cut off is a broken pipe, at once or later", async () => {
    const [far, near] = connection();
    posix.write(far, LINE.subarray(0, 20));
    const arriving = readProxyHeader(posix, near, PATIENT);
    posix.close(far);
    expect(await arriving).toEqual({ kind: "failed", code: "EPIPE" });
    const [gone, other] = connection();
    posix.close(gone);
    expect(readProxyHeader(posix, other, PATIENT)).toEqual({ kind: "failed", code: "EPIPE" });
  });

  test("a header on a socket has to arrive whole before the deadline", async () => {
    const [far, near] = connection();
    const clock = new FakeClock();
    const arriving = readProxyHeader(posix, near, { clock, timeoutMs: 1000, only: undefined });
    posix.write(far, LINE.subarray(0, 20));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(999);
    expect(clock.pendingTimers).toBe(1);
    clock.advance(1);
    expect(await arriving).toEqual({ kind: "failed", code: "ETIMEDOUT" });
    expect(clock.pendingTimers).toBe(0);
    posix.watch(near, { readable: true }, () => {}).close(); // EEXIST if it were watched still
  });

  test("a header on a socket leaves no timer behind when it arrives before the deadline", async () => {
    const [far, near] = connection();
    const clock = new FakeClock();
    const arriving = readProxyHeader(posix, near, { clock, timeoutMs: 1000, only: undefined });
    posix.write(far, LINE);
    expect((await arriving).kind).toBe("header");
    expect(clock.pendingTimers).toBe(0);
  });

  test("a header is read whole from any pieces, with the following bytes left behind", async () => {
    const version = fc.constantFrom<ProxyVersion>(1, 2);
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(header, version, sizes, async (of, as, cuts) => {
        const bytes = formatProxy(of, { version: as });
        const all = Buffer.concat([bytes, Buffer.from("what follows")]);
        const [far, near] = posix.socketPair("stream");
        try {
          const arriving = readProxyHeader(posix, near, PATIENT);
          for (let at = 0, cut = 0; at < all.length; cut += 1) {
            const size = cuts[cut % cuts.length] ?? 1;
            posix.write(far, all.subarray(at, at + size));
            at += size;
            if (cut % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
          }
          const arrived = await arriving;
          expect(kindOf(arrived)).toEqual(facts(parsed(bytes).header));
          expect(rest(near)).toBe("what follows");
        } finally {
          posix.close(far);
          posix.close(near);
        }
      }),
      { numRuns: 200 },
    );
  });
});

function kindOf(arrived: Arrived): unknown {
  return arrived.kind === "header" ? facts(arrived.header) : arrived;
}

describe("a header elsewhere", () => {
  test("a header is read from a pipe as far as it goes", async () => {
    for (const bytes of [LINE, withTlvs(tlv(2, "www.example.com"))]) {
      const [reader, writer] = posix.pipe();
      posix.write(writer, Buffer.concat([bytes, Buffer.from("HELO")]));
      expect(await readProxyHeader(posix, reader, PATIENT)).toMatchObject({ kind: "header" });
      const left = Buffer.alloc(100);
      expect(left.toString("latin1", 0, posix.read(reader, left))).toBe("HELO");
      posix.close(reader);
      posix.close(writer);
    }
  });

  test("a header is read from a file as far as it goes", async () => {
    const path = join(tmpdir(), `ucspi-proxy-${process.pid}`);
    writeFileSync(path, Buffer.concat([LINE, Buffer.from("HELO")]));
    const file = openSync(path, "r");
    rmSync(path);
    const arrived = await readProxyHeader(posix, file as Fd, PATIENT);
    expect(arrived).toEqual({ kind: "header", header: HEADER });
    expect(readFileSync(file, "latin1")).toBe("HELO");
    closeSync(file);
  });

  test("a header that is cut off in a file is a broken pipe", async () => {
    const [reader, writer] = posix.pipe();
    posix.write(writer, LINE.subarray(0, 30));
    posix.close(writer);
    expect(await readProxyHeader(posix, reader, PATIENT)).toEqual({
      kind: "failed",
      code: "EPIPE",
    });
    posix.close(reader);
  });

  test("a header cannot be read from a descriptor that is closed", () => {
    const [reader, writer] = posix.pipe();
    posix.close(reader);
    posix.close(writer);
    expect(readProxyHeader(posix, reader, PATIENT)).toEqual({ kind: "failed", code: "EBADF" });
  });
});
