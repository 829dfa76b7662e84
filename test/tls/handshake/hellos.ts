/** ClientHellos for tests: of real clients, and of any content. */

import { once } from "node:events";
import { Duplex } from "node:stream";
import { connect } from "node:tls";
import type { ConnectionOptions } from "node:tls";

/** An extension of a ClientHello. */
export interface Extension {
  readonly type: number;
  readonly data: Uint8Array;
}

/** The bytes that a client of node:tls sends first. */
export async function helloOfNode(options: ConnectionOptions = {}): Promise<Buffer> {
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      wire.emit("hello", chunk);
      done();
    },
  });
  const arrived = once(wire, "hello") as Promise<[Buffer]>;
  const client = connect({ rejectUnauthorized: false, ...options, socket: wire });
  client.on("error", () => undefined);
  const [bytes] = await arrived;
  client.destroy();
  return bytes;
}

/** The body of a ClientHello of TLS 1.2 with these extensions. */
export function formatHelloBody(extensions: readonly Extension[]): Buffer {
  const list = extensions.map(({ type, data }) => Buffer.concat([uint16(type), vector16(data)]));
  return Buffer.concat([
    uint16(0x0303),
    Buffer.alloc(32, 7),
    Buffer.from([0]),
    vector16(Buffer.from("c02fc030009c", "hex")),
    Buffer.from([1, 0]),
    vector16(Buffer.concat(list)),
  ]);
}

/** The extension that asks for a name. */
export function serverNameExtension(name: string): Extension {
  const entry = Buffer.concat([Buffer.from([0]), vector16(Buffer.from(name, "latin1"))]);
  return { type: 0, data: vector16(entry) };
}

/** A message of a handshake, in records of so many bytes each; the last number goes on for the rest. */
export function recordsOf(body: Uint8Array, sizes: readonly number[] = [16_384]): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  header[0] = 1;
  return inRecords(Buffer.concat([header, body]), sizes);
}

/** The same message in other records. */
export function cutAnew(hello: Uint8Array, sizes: readonly number[]): Buffer {
  return inRecords(hello.subarray(5), sizes);
}

function inRecords(message: Uint8Array, sizes: readonly number[]): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length;) {
    const size = sizes[Math.min(records.length, sizes.length - 1)] ?? 16_384;
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.concat([Buffer.from([22, 3, 1]), vector16(fragment)]));
    at += fragment.length;
  }
  return Buffer.concat(records);
}

export function vector16(bytes: Uint8Array): Buffer {
  return Buffer.concat([uint16(bytes.length), bytes]);
}

export function uint16(number: number): Buffer {
  return Buffer.from([number >> 8, number & 0xff]);
}
