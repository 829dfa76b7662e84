import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { taiAt } from "../../../src/clock/index.ts";
import type { Fd } from "../../../src/posix/index.ts";
import { formatListReply, parseListReply } from "../../../src/supervise/fdholder/wire/replies.ts";
import {
  formatHolderRequest,
  HOLDER_REQUEST_BYTES_MAX,
  parseHolderRequest,
} from "../../../src/supervise/fdholder/wire/requests.ts";
import type { HolderRequest } from "../../../src/supervise/fdholder/wire/requests.ts";
import { quoteHolderId } from "../../../src/supervise/fdholder/index.ts";

const id = fc
  .uint8Array({ minLength: 1, maxLength: 255, min: 1 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"));
const limit = fc.bigInt(-(1n << 61n), 1n << 61n).map((ns) => taiAt(ns));
const fd = fc.integer({ min: 3, max: 99 }).map((number) => number as Fd);
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });

const request: fc.Arbitrary<HolderRequest> = fc.oneof(
  fc.record({ kind: fc.constant("store" as const), id, limit, fd }),
  fc.record({ kind: fc.constant("delete" as const), id }),
  fc.record({ kind: fc.constant("retrieve" as const), id, deletes: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("list" as const, "getDump" as const, "commit" as const) }),
  fc.record({ kind: fc.constant("setDump" as const), total: uint32 }),
  fc.record({ kind: fc.constant("handOver" as const), version: uint32 }),
  fc.record({
    kind: fc.constant("dumpData" as const),
    entries: fc.array(fc.record({ id, limit, fd }), { minLength: 1, maxLength: 20 }),
  }),
);

function fdsOf(one: HolderRequest): readonly Fd[] {
  if (one.kind === "store") return [one.fd];
  return one.kind === "dumpData" ? one.entries.map((entry) => entry.fd) : [];
}

test("a request is the same after it was formatted and parsed", () => {
  fc.assert(
    fc.property(request, (one) => {
      const body = formatHolderRequest(one);
      expect(body.length).toBeLessThanOrEqual(HOLDER_REQUEST_BYTES_MAX);
      expect(parseHolderRequest(body, fdsOf(one))).toEqual(one);
    }),
  );
});

test("a request that is cut, or longer, or has other descriptors, is none", () => {
  fc.assert(
    fc.property(request, fc.nat(), (one, cut) => {
      const [body, fds] = [formatHolderRequest(one), fdsOf(one)];
      expect(parseHolderRequest(body.subarray(0, cut % body.length), fds)).toBeUndefined();
      expect(parseHolderRequest(Buffer.concat([body, Buffer.of(0)]), fds)).toBeUndefined();
      expect(parseHolderRequest(body, [...fds, 3 as Fd])).toBeUndefined();
      if (fds.length > 0) expect(parseHolderRequest(body, fds.slice(1))).toBeUndefined();
    }),
  );
});

test("no bytes make the parsers throw", () => {
  const bytes = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(bytes, fc.array(fd, { maxLength: 3 }), (body, fds) => {
      parseHolderRequest(body, fds);
      parseListReply(body);
    }),
  );
});

test("a list is the same after it was formatted and parsed", () => {
  fc.assert(
    fc.property(fc.array(id), (ids) => {
      expect(parseListReply(formatListReply(ids))).toEqual(ids);
    }),
  );
});

describe("the bytes of captured sessions (local-services.md, section 9.4)", () => {
  test.each([
    ["53600000006b00881d11a72aeb03666f6f00", 1, "store"],
    ["4c", 0, "list"],
    ["5200046e6f706500", 0, "retrieve"],
    ["5201036662617200".replace("66", ""), 0, "retrieve"],
    ["440362617200", 0, "delete"],
    ["3f", 0, "getDump"],
    ["2100000002", 0, "setDump"],
    ["2e600000006b008840114074b402616100400000006b108a7523d6eb2002626200", 2, "dumpData"],
  ])("%s with %i descriptors is a request to %s, and is written so", (hex, count, kind) => {
    const fds = Array.from({ length: count }, (_, index) => (index + 3) as Fd);
    const parsed = parseHolderRequest(Buffer.from(hex, "hex"), fds);
    expect(parsed?.kind).toBe(kind);
    if (parsed !== undefined) expect(formatHolderRequest(parsed).toString("hex")).toBe(hex);
  });
});

test("an identifier is quoted as s6-fdholder-list does", () => {
  expect(quoteHolderId("a b'\"~")).toBe("a b'\"~");
  expect(quoteHolderId("\\\x07\b\t\n\v\f\r")).toBe("\\\\\\a\\b\\t\\n\\v\\f\\r");
  expect(quoteHolderId("\x01\x1f\x7f\xff")).toBe("\\0x01\\0x1f\\0x7f\\0xff");
});
