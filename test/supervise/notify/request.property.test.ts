import fc from "fast-check";
import { expect, test } from "vitest";
import { FRAME_BYTES_MAX, formatFrame, FrameReader } from "../../../src/supervise/notify/frames.ts";
import { parseFtrigRequest } from "../../../src/supervise/notify/request.ts";

const body = fc.uint8Array({ maxLength: 40 });

test("frames come out as they went in, in whichever pieces they travel", () => {
  fc.assert(
    fc.property(fc.array(body), fc.array(fc.integer({ min: 1, max: 9 })), (bodies, cuts) => {
      const reader = new FrameReader();
      const stream = Buffer.concat(bodies.map(formatFrame));
      const read: string[] = [];
      for (let at = 0, cut = 0; at < stream.length; cut += 1) {
        const end = at + (cuts[cut % Math.max(cuts.length, 1)] ?? 7);
        reader.feed(stream.subarray(at, end));
        at = end;
        for (let next = reader.next(); next.kind === "frame"; next = reader.next()) {
          read.push(next.body.toString("hex"));
        }
      }
      expect(read).toEqual(bodies.map((one) => Buffer.from(one).toString("hex")));
    }),
  );
});

test("a frame that is too long is known by its length", () => {
  const reader = new FrameReader();
  reader.feed(Buffer.from("01000001", "hex"));
  expect(reader.next()).toEqual({ kind: "tooLong", length: FRAME_BYTES_MAX + 1 });
});

test("no bytes crash the parser of requests", () => {
  const start = fc.constantFrom("+", "-", "", "?");
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 48 }), (kind, rest) => {
      const request = parseFtrigRequest(Buffer.concat([Buffer.from(kind), rest]));
      if (request?.kind === "cancel") expect(rest.length).toBe(4);
    }),
  );
});

test("requests are read as the specification captures them", () => {
  const text = "2b00000007000000010000019000000000000000076664 00612e6300".replace(" ", "");
  expect(parseFtrigRequest(Buffer.from(text, "hex"))).toEqual({
    kind: "subscribe",
    id: 7,
    repeats: true,
    timeoutMs: 400,
    wanted: { path: Buffer.from("fd"), regex: Buffer.from("a.c") },
  });
  expect(parseFtrigRequest(Buffer.from("2d00000009", "hex"))).toEqual({ kind: "cancel", id: 9 });
  const unended = "2b000000070000000000000000000000000000000366 6400".replace(" ", "");
  expect(parseFtrigRequest(Buffer.from(unended, "hex"))).toMatchObject({ wanted: undefined });
  const wrongLength = unended.replace("0000000366", "0000000466");
  expect(parseFtrigRequest(Buffer.from(wrongLength, "hex"))).toBeUndefined();
});
