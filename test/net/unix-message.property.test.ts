import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatUnixMessage, UNIX_MESSAGE_FDS_MAX, UnixMessageReader } from "../../src/net/index.ts";
import type { UnixMessageLimits } from "../../src/net/index.ts";
import type { Fd } from "../../src/posix/index.ts";

interface Sent {
  readonly body: Uint8Array;
  readonly fds: readonly Fd[];
}

const bodies = fc.uint8Array({ maxLength: 40 });

/** Messages whose descriptors are numbered through. */
const conversations = fc
  .array(fc.tuple(bodies, fc.nat(3)), { maxLength: 12 })
  .map((drafts): Sent[] => {
    let last = 2;
    return drafts.map(([body, count]) => ({
      body,
      fds: Array.from({ length: count }, () => (last += 1) as Fd),
    }));
  });

/** All messages that have come by now, with copies of their bodies. */
function drain(reader: UnixMessageReader): { body: number[]; fds: readonly Fd[] }[] {
  const messages: { body: number[]; fds: readonly Fd[] }[] = [];
  for (;;) {
    const progress = reader.next();
    if (progress.kind === "more") return messages;
    if (progress.kind === "invalid") throw new Error(progress.why);
    messages.push({ body: [...progress.body], fds: progress.fds });
  }
}

/** One buffer for everything that is received, as the readers of sockets have. */
function feedPieces(
  reader: UnixMessageReader,
  pieces: readonly (Sent & { readonly lostFds?: boolean })[],
) {
  const buffer = new Uint8Array(1000);
  return pieces.flatMap(({ body, fds, lostFds }) => {
    buffer.fill(0xff);
    buffer.set(body);
    reader.feed(buffer.subarray(0, body.length), fds, lostFds);
    return drain(reader);
  });
}

/** Cut at some places; each message's descriptors come with its first byte. */
function cut(sent: readonly Sent[], cuts: readonly number[]): Sent[] {
  let start = 0;
  const starts = new Map<number, readonly Fd[]>();
  const whole = Buffer.concat(
    sent.map(({ body, fds }) => {
      starts.set(start, fds);
      start += body.length + 6;
      return formatUnixMessage(body, fds.length);
    }),
  );
  const ends = [...new Set([...cuts.map((at) => at % (whole.length + 1)), whole.length])];
  let from = 0;
  return ends
    .toSorted((a, b) => a - b)
    .map((end) => {
      const fds = [...starts].filter(([at]) => at >= from && at < end).flatMap(([, some]) => some);
      const piece = { body: whole.subarray(from, end), fds };
      from = end;
      return piece;
    });
}

function only(progress: ReturnType<UnixMessageReader["next"]>): string {
  return progress.kind === "invalid" ? progress.why : progress.kind;
}

function read(bytes: Uint8Array, fds: readonly Fd[] = [], limits?: UnixMessageLimits): string {
  const reader = new UnixMessageReader(limits);
  reader.feed(bytes, fds);
  return only(reader.next());
}

test("messages come whole and in order with their descriptors, however their bytes are cut", () => {
  fc.assert(
    fc.property(conversations, fc.array(fc.nat(600), { maxLength: 30 }), (sent, cuts) => {
      const reader = new UnixMessageReader();
      const messages = feedPieces(reader, cut(sent, cuts));
      expect(messages).toEqual(sent.map(({ body, fds }) => ({ body: [...body], fds })));
      expect(reader.isAmid).toBe(false);
      expect(reader.takeFds()).toEqual([]);
    }),
  );
});

test("descriptors that came early wait for the message that they are for", () => {
  const [plain, bearing] = [
    formatUnixMessage(Buffer.from("L")),
    formatUnixMessage(Buffer.from("S"), 1),
  ];
  const reader = new UnixMessageReader();
  reader.feed(Buffer.concat([plain, bearing.subarray(0, 3)]), [9 as Fd]);
  expect(drain(reader)).toEqual([{ body: [76], fds: [] }]);
  reader.feed(bearing.subarray(3));
  expect(drain(reader)).toEqual([{ body: [83], fds: [9] }]);
});

test("no input makes the reader throw, and every descriptor is given out once", () => {
  const pieces = fc.array(
    fc.record({
      body: bodies,
      fds: fc.array(
        fc.nat(99).map((fd) => fd as Fd),
        { maxLength: 4 },
      ),
      lostFds: fc.boolean(),
    }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(pieces, (received) => {
      const reader = new UnixMessageReader({ bytesMax: 50, fdsMax: 5 });
      const given: Fd[] = [];
      for (const { body, fds, lostFds } of received) {
        reader.feed(body, fds, lostFds);
        for (let next = reader.next(); next.kind === "message"; next = reader.next()) {
          given.push(...next.fds);
        }
      }
      given.push(...reader.takeFds());
      expect(given).toEqual(received.flatMap(({ fds }) => fds));
    }),
  );
});

describe("a message", () => {
  test("of which the kernel has dropped descriptors says so, and the next one does not", () => {
    const reader = new UnixMessageReader();
    const message = formatUnixMessage(Buffer.from("x"), 3);
    reader.feed(message, [5 as Fd], true);
    expect(reader.next()).toMatchObject({ kind: "message", fds: [5], lostFds: true });
    reader.feed(message, [6, 7, 8] as Fd[]);
    expect(reader.next()).toMatchObject({ kind: "message", fds: [6, 7, 8], lostFds: false });
  });

  test("that is longer than 2^28 bytes or has more than 253 descriptors is invalid at its header", () => {
    expect(read(Buffer.from("100000010000", "hex"))).toBe("a message of 268435457 bytes");
    expect(read(Buffer.from("0000000100fe", "hex"))).toBe("a message with 254 descriptors");
    expect(read(Buffer.from("100000000000", "hex"))).toBe("more");
  });

  test("that is longer than the reader allows is invalid", () => {
    expect(read(formatUnixMessage(new Uint8Array(4)), [], { bytesMax: 3 })).toMatch("4 bytes");
    expect(read(formatUnixMessage(new Uint8Array(3)), [], { bytesMax: 3 })).toBe("message");
  });

  test("whose descriptors have not come with its bytes is invalid", () => {
    expect(read(formatUnixMessage(Buffer.from("S"), 1))).toMatch("without its descriptors");
  });

  test("cannot be made of too many bytes or descriptors", () => {
    expect(() => formatUnixMessage(new Uint8Array(0), UNIX_MESSAGE_FDS_MAX + 1)).toThrow(
      RangeError,
    );
  });
});

test("descriptors that no message asks for are not gathered without end", () => {
  const reader = new UnixMessageReader({ fdsMax: 3 });
  reader.feed(Buffer.from([0]), [3, 4, 5] as Fd[]);
  expect(only(reader.next())).toBe("more");
  reader.feed(Buffer.from([0]), [6 as Fd]);
  expect(only(reader.next())).toMatch("belong to no message");
  expect(reader.takeFds()).toEqual([3, 4, 5, 6]);
});

test("a long message that comes byte by byte is put together", () => {
  const body = Buffer.alloc(70_000, "ab");
  const reader = new UnixMessageReader();
  const byte = new Uint8Array(1);
  for (const value of formatUnixMessage(body)) {
    expect(reader.isAmid || byte[0] === 0).toBe(true);
    byte[0] = value;
    reader.feed(byte);
    const next = reader.next();
    if (next.kind === "message") expect(Buffer.from(next.body).equals(body)).toBe(true);
  }
  expect(reader.isAmid).toBe(false);
});
