import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatProxy, parseProxy } from "../../src/proxy/index.ts";
import type { Progress, ProxyVersion } from "../../src/proxy/index.ts";
import { facts, header, parsed } from "./samples.ts";

const version = fc.constantFrom<ProxyVersion>(1, 2);
const junk = fc.uint8Array({ maxLength: 300 });

/** Headers, headers with a few bytes changed, and bytes that have nothing to do with any. */
const input = fc.oneof(
  junk,
  fc
    .tuple(header, version, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
    .map(([of, as, changes]) => {
      const bytes = Uint8Array.from(formatProxy(of, { version: as }));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    }),
);

/** The outcome as plain values. */
function outcome(progress: Progress): unknown {
  return progress.kind === "done" ? { ...progress, header: facts(progress.header) } : progress;
}

describe("any header", () => {
  test("any header in the binary form comes back as it was, with a checksum or without", () => {
    fc.assert(
      fc.property(header, fc.boolean(), (of, checksum) => {
        const bytes = formatProxy(of, { version: 2, checksum });
        const { header: back, bytesUsed } = parsed(bytes);
        expect(bytesUsed).toBe(bytes.length);
        if (!checksum) expect(facts(back)).toEqual(facts(of));
        expect(formatProxy(back, { version: 2, checksum })).toEqual(bytes);
      }),
    );
  });

  test("any header in the text form keeps the addresses of TCP", () => {
    fc.assert(
      fc.property(header, (of) => {
        const { header: back } = parsed(formatProxy(of, { version: 1 }));
        const isTcp = of.command === "proxy" && (of.family === "tcp4" || of.family === "tcp6");
        const told = isTcp ? { ...of, tlvs: back } : { command: "proxy", family: "unspecified" };
        expect({ ...back, tlvs: undefined }).toEqual({ ...told, tlvs: undefined });
      }),
    );
  });
});

describe("any bytes", () => {
  test("any bytes give the same header whatever follows them", () => {
    fc.assert(
      fc.property(input, junk, (bytes, rest) => {
        const alone = parseProxy(bytes);
        if (alone.kind === "more") return;
        expect(outcome(parseProxy(Buffer.concat([bytes, rest])))).toEqual(outcome(alone));
      }),
    );
  });

  test("any bytes give the same header in any pieces, and no piece is larger than asked for", () => {
    fc.assert(
      fc.property(input, fc.array(fc.integer({ min: 1, max: 40 })), (bytes, sizes) => {
        const whole = parseProxy(bytes);
        let end = 0;
        for (let piece = 0; ; piece += 1) {
          const progress = parseProxy(bytes.subarray(0, end));
          if (progress.kind !== "more") {
            if (progress.kind === "done") expect(progress.bytesUsed).toBe(end);
            expect(outcome(whole)).toEqual(outcome(progress));
            return;
          }
          if (end === bytes.length) return;
          expect(progress.bytesWanted).toBeGreaterThan(0);
          end += Math.min(progress.bytesWanted, sizes[piece] ?? 1, bytes.length - end);
        }
      }),
    );
  });
});
