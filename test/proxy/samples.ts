/** Headers for tests: arbitrary ones, and bytes that were damaged a little. */

import fc from "fast-check";
import { parseIp } from "../../src/net/index.ts";
import type { Endpoint, IpAddress } from "../../src/net/index.ts";
import { parseProxy, Tlvs } from "../../src/proxy/index.ts";
import type { Progress, ProxyHeader, Tlv } from "../../src/proxy/index.ts";

/** The address of a text that is known to be one. */
export function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new TypeError(`Not an IP address: ${text}`);
  return address;
}

/** `end("192.0.2.7", 80)` */
export function end(address: string, port: number): Endpoint {
  return { address: ip(address), port };
}

/** The header at the start of these bytes, and how long it is. */
export function parsed(bytes: Uint8Array | string): Progress & { readonly kind: "done" } {
  const progress = parseProxy(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  if (progress.kind !== "done") throw new Error(`not a header: ${JSON.stringify(progress)}`);
  return progress;
}

/** The fault in these bytes; "more" or "done" if there is none. */
export function problemOf(bytes: Uint8Array | string): string {
  const progress = parseProxy(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  return progress.kind === "invalid" ? progress.why : progress.kind;
}

/** Signature, these two bytes, the length of the body, the body. */
export function v2(command: number, family: number, body: Uint8Array): Buffer {
  const length = Uint8Array.of(body.length >> 8, body.length);
  const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
  return Buffer.concat([signature, Uint8Array.of(command, family), length, body]);
}

/** 1.2.3.4:111 to 5.6.7.8:222, the vector of the specification. */
export const ADDRESSES4 = Buffer.from("0102030405060708006f00de", "hex");

/** A TCP4 header with these TLVs, however malformed. */
export function withTlvs(...parts: readonly Uint8Array[]): Buffer {
  return v2(0x21, 0x11, Buffer.concat([ADDRESSES4, ...parts]));
}

/** One TLV. */
export function tlv(type: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([Uint8Array.of(type, bytes.length >> 8, bytes.length), bytes]);
}

/** An SSL TLV: client, verify, sub-TLVs. */
export function ssl(client: number, verify: number, ...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(client, 0);
  head.writeUInt32BE(verify, 1);
  return tlv(0x20, Buffer.concat([head, ...parts]));
}

const port = fc.integer({ min: 0, max: 0xffff });

function endpoint(family: 4 | 6): fc.Arbitrary<Endpoint> {
  const length = family === 4 ? 4 : 16;
  const bytes = fc.uint8Array({ minLength: length, maxLength: length });
  // Zeros are what the text of IPv6 addresses is difficult about.
  const sparse = bytes.map((all) => all.map((byte) => (byte < 128 ? 0 : byte)));
  return fc.record({
    address: fc.record({ family: fc.constant(family), bytes: fc.oneof(bytes, sparse) }),
    port,
  });
}

const value = fc.uint8Array({ maxLength: 40 });
const plainTlv = fc.record({
  type: fc.constantFrom(0x01, 0x02, 0x04, 0x05, 0x30, 0xe0, 0xea, 0xff),
  value,
});
const subTlvs = fc.array(
  fc.record({ type: fc.constantFrom(0x21, 0x22, 0x23, 0x24, 0x25, 0x40), value }),
  { maxLength: 5 },
);
const sslTlv = fc
  .tuple(fc.constantFrom(0, 1, 3, 5, 7), fc.constantFrom(0, 0, 1), subTlvs)
  .map(([client, verify, tlvs]): Tlv => {
    const head = Uint8Array.of(client, 0, 0, 0, verify);
    return { type: 0x20, value: Buffer.concat([head, Tlvs.of(tlvs).bytes]) };
  });

/** Well-formed TLVs, at most one of them about TLS. */
export const tlvs: fc.Arbitrary<Tlvs> = fc
  .tuple(fc.array(plainTlv, { maxLength: 4 }), fc.option(sslTlv), fc.array(plainTlv))
  .map(([before, tls, after]) => Tlvs.of([...before, ...(tls === null ? [] : [tls]), ...after]));

/** A path that means itself: no NUL in it, and no more than fits. */
const path = fc
  .array(fc.constantFrom("/", "a", "b", ".", "é"), { maxLength: 54 })
  .map((letters) => letters.join(""));

const ip4 = fc.record({
  command: fc.constant("proxy" as const),
  family: fc.constantFrom("tcp4" as const, "udp4" as const),
  source: endpoint(4),
  destination: endpoint(4),
  tlvs,
});
const ip6 = fc.record({
  command: fc.constant("proxy" as const),
  family: fc.constantFrom("tcp6" as const, "udp6" as const),
  source: endpoint(6),
  destination: endpoint(6),
  tlvs,
});
const unix = fc.record({
  command: fc.constant("proxy" as const),
  family: fc.constantFrom("unixStream" as const, "unixDatagram" as const),
  source: path,
  destination: path,
  tlvs,
});

/** Any header that can be formatted. */
export const header: fc.Arbitrary<ProxyHeader> = fc.oneof(
  { arbitrary: ip4, weight: 4 },
  { arbitrary: ip6, weight: 4 },
  { arbitrary: unix, weight: 2 },
  fc.constant<ProxyHeader>({ command: "local" }),
  fc.constant<ProxyHeader>({ command: "proxy", family: "unspecified" }),
);

/** The facts of a header as plain values, to be compared. */
export function facts(of: ProxyHeader): unknown {
  if (of.command === "local" || of.family === "unspecified") return of;
  const { tlvs: vectors, ...rest } = of;
  return { ...rest, tlvs: Buffer.from(vectors.bytes).toString("hex") };
}
