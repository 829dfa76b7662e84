import { Duplex } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CLIENT_HELLO_BYTES_MAX,
  ClientHelloReader,
  OPENING_BYTES_MAX,
  parseClientHello,
} from "../../../src/tls/handshake/client-hello.ts";
import type { HelloProgress } from "../../../src/tls/handshake/client-hello.ts";
import { newSelfSigned } from "../../support/certificates.ts";
import type { Extension } from "./hellos.ts";
import { cutAnew, formatHelloBody, helloOfNode, recordsOf, serverNameExtension } from "./hellos.ts";

/** Everything that a reader says to bytes that come in pieces of these sizes, up to its decision. */
function readInPieces(bytes: Uint8Array, sizes: readonly number[]): HelloProgress {
  const reader = new ClientHelloReader();
  let progress: HelloProgress = { kind: "more" };
  for (let at = 0, index = 0; at < bytes.length && progress.kind === "more"; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    progress = reader.take(bytes.subarray(at, at + size));
    at += size;
    expect(reader.bytes.equals(bytes.subarray(0, at))).toBe(true);
  }
  return progress;
}

function read(bytes: Uint8Array): HelloProgress {
  return new ClientHelloReader().take(bytes);
}

const sizes = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 8 });
const name = fc.stringMatching(/^[!-~]{1,255}$/);

const extension: fc.Arbitrary<Extension> = fc.record({
  type: fc.integer({ min: 1, max: 0xffff }),
  data: fc.uint8Array({ maxLength: 64 }),
});

/** Values that clients mix in so that servers stay tolerant (RFC 8701), and the keys of ML-KEM (1216 bytes). */
const GREASE = { type: 0x2a2a, data: new Uint8Array(0) };
const POST_QUANTUM_SHARES = { type: 51, data: new Uint8Array(1216 * 3) };

describe("the ClientHello of a real client", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a ClientHello of Node in %s tells its name, however it is cut into records and reads",
    async (version) => {
      const versions = { minVersion: version, maxVersion: version };
      const named = await helloOfNode({ ...versions, servername: "www.Example.org" });
      const nameless = await helloOfNode(versions);
      expect(read(nameless)).toEqual({ kind: "done", hello: { serverName: undefined } });
      fc.assert(
        fc.property(sizes, sizes, (records, reads) => {
          expect(readInPieces(cutAnew(named, records), reads)).toEqual({
            kind: "done",
            hello: { serverName: "www.Example.org" },
          });
        }),
        { numRuns: 50 },
      );
    },
  );

  test("a ClientHello is done with its last byte and not before, whatever comes behind it", async () => {
    const hello = await helloOfNode({ servername: "a.example" });
    expect(read(hello.subarray(0, -1))).toEqual({ kind: "more" });
    const done = { kind: "done", hello: { serverName: "a.example" } };
    expect(read(Buffer.concat([hello, Buffer.from("early data")]))).toEqual(done);
  });
});

describe("a ClientHello of any content", () => {
  test("a ClientHello tells its name among all other extensions, in any order", () => {
    fc.assert(
      fc.property(name, fc.array(extension), fc.nat(10), sizes, (asked, others, place, records) => {
        const unique = others.filter(
          ({ type }, at) => others.findIndex((o) => o.type === type) === at,
        );
        const extensions = unique.toSpliced(place, 0, serverNameExtension(asked));
        const hello = recordsOf(formatHelloBody(extensions), records);
        expect(read(hello)).toEqual({ kind: "done", hello: { serverName: asked } });
      }),
    );
  });

  test("a ClientHello with values of GREASE and post-quantum keys spans several reads, and tells its name", () => {
    const extensions = [GREASE, POST_QUANTUM_SHARES, serverNameExtension("pq.example")];
    const hello = recordsOf(formatHelloBody(extensions), [1, 512]);
    expect(readInPieces(hello, [1400])).toEqual({
      kind: "done",
      hello: { serverName: "pq.example" },
    });
  });

  test("a ClientHello without extensions, or with an empty name, names nothing", () => {
    const bare = formatHelloBody([]).subarray(0, -2);
    const nameless = { kind: "done", hello: { serverName: undefined } };
    for (const body of [bare, formatHelloBody([]), formatHelloBody([serverNameExtension("")])]) {
      expect(read(recordsOf(body))).toEqual(nameless);
    }
  });

  const twice = [serverNameExtension("a.example"), serverNameExtension("b.example")];
  const entry = serverNameExtension("a.example").data;
  test.each([
    ["two names in two extensions", formatHelloBody(twice)],
    ["a name with a NUL", formatHelloBody([serverNameExtension("a\0b")])],
    ["a name of 256 bytes", formatHelloBody([serverNameExtension("a".repeat(256))])],
    [
      "a name of another kind",
      formatHelloBody([{ type: 0, data: Buffer.from(entry).fill(1, 2, 3) }]),
    ],
    ["an empty list of names", formatHelloBody([{ type: 0, data: Buffer.from([0, 0]) }])],
    ["a list that ends early", formatHelloBody([{ type: 0, data: entry.subarray(0, -1) }])],
    ["bytes behind the extensions", Buffer.concat([formatHelloBody([]), Buffer.from([0])])],
    ["an extension that ends early", formatHelloBody([GREASE]).subarray(0, -1)],
  ])("a ClientHello with %s is damaged", (_, body) => {
    expect(read(recordsOf(body))).toEqual({ kind: "invalid", why: "a damaged ClientHello" });
  });

  test.each([
    ["GET / HTTP/1.1\r\n\r\n", "not a record of a handshake"],
    ["\x16\x03\x01\x00\x00", "not a record of a handshake"],
    ["\x16\x03\x01\x40\x01", "not a record of a handshake"],
    ["\x16\x02\x00\x00\x05", "not a record of a handshake"],
    ["\x15\x03\x01\x00\x02\x02\x28", "not a record of a handshake"],
    ["\x16\x03\x01\x00\x04\x02\x00\x00\x00", "not a ClientHello"],
    ["\x16\x03\x01\x00\x04\x01\x00\x80\x01", "a ClientHello of 32769 bytes"],
    ["\x80\x2e\x01\x03\x01", "not a record of a handshake"],
  ])("the bytes %j are no ClientHello, and that is known at once", (text, why) => {
    expect(read(Buffer.from(text, "latin1"))).toEqual({ kind: "invalid", why });
  });

  test("a ClientHello of the longest size is read, in records of any size", () => {
    const room = CLIENT_HELLO_BYTES_MAX - formatHelloBody([GREASE]).length;
    const body = formatHelloBody([{ ...GREASE, data: new Uint8Array(room) }]);
    expect(body.length).toBe(CLIENT_HELLO_BYTES_MAX);
    expect(readInPieces(recordsOf(body, [100]), [1000]).kind).toBe("done");
    expect(readInPieces(recordsOf(body, [1]), [1000])).toEqual({
      kind: "invalid",
      why: `no ClientHello in the first ${OPENING_BYTES_MAX} bytes`,
    });
  });
});

describe("bytes of any kind", () => {
  test("a reader decides about any bytes, the same for all pieces, and keeps a bounded number", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((body) => recordsOf(body, [7])),
    );
    fc.assert(
      fc.property(bytes, sizes, (all, pieces) => {
        expect(readInPieces(all, pieces).kind).toBe(read(all).kind);
        expect(() => parseClientHello(all)).not.toThrow();
      }),
    );
    const endless = new ClientHelloReader();
    let progress: HelloProgress = { kind: "more" };
    const record = Buffer.from([22, 3, 1, 0, 1, 0]);
    while (progress.kind === "more") progress = endless.take(record);
    expect(endless.bytes.length).toBeLessThan(OPENING_BYTES_MAX + record.length);
  });

  test("OpenSSL reads no other name than we do, whatever is changed in a ClientHello", async () => {
    const hello = await helloOfNode({ servername: "www.example.org" });
    const start = hello.indexOf("www.example.org") - 12;
    const place = fc.oneof(
      fc.integer({ min: start, max: start + 30 }),
      fc.integer({ min: 0, max: hello.length - 1 }),
    );
    const changes = fc.array(fc.tuple(place, fc.integer({ min: 0, max: 255 })), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const changed = Buffer.from(hello);
        for (const [at, byte] of all) changed[at] = byte;
        const progress = read(changed);
        const seen = await nameSeenByOpenSsl(changed);
        if (seen === undefined || progress.kind !== "done") return;
        expect(progress.hello.serverName ?? "").toBe(seen);
      }),
      { numRuns: 150 },
    );
    expect(await nameSeenByOpenSsl(hello)).toBe("www.example.org");
  });
});

const certificate = newSelfSigned();
const secureContext = createSecureContext({ cert: certificate.pem, key: certificate.keyPem });

/** Undefined: it refused the ClientHello, or waits for more of it. */
function nameSeenByOpenSsl(hello: Buffer): Promise<string | undefined> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const socket = new TLSSocket(wire, {
      isServer: true,
      secureContext,
      SNICallback(seen, done) {
        resolve(seen);
        done(null, secureContext);
      },
    });
    socket.on("error", () => resolve(undefined));
    socket.on("_tlsError", () => resolve(undefined));
    wire.push(hello);
    setImmediate(() => setImmediate(() => setImmediate(() => resolve(undefined))));
  });
}
