import { once } from "node:events";
import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { awaitClientHello } from "../../../src/tls/handshake/opening.ts";
import type { Opening } from "../../../src/tls/handshake/opening.ts";
import { accepted, serverOf, withAhead } from "./handshakes.ts";
import { helloOfNode } from "./hellos.ts";

function newWire(): Duplex {
  return new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
}

/** The decision about the first bytes of a connection. */
function opened(wire: Duplex): Promise<Opening | "ended"> {
  return new Promise((resolve) => {
    awaitClientHello(withAhead(wire), { opened: resolve, ended: () => resolve("ended") });
  });
}

/** Everything that a stream has to say. */
async function rest(wire: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  wire.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(wire, "end");
  return Buffer.concat(chunks);
}

describe("the opening of a connection", () => {
  test("a ClientHello that comes byte by byte is read, and left in the stream with all that follows", async () => {
    const hello = await helloOfNode({ servername: "a.example" });
    const wire = newWire();
    const opening = opened(wire);
    for (const byte of hello) wire.push(Buffer.from([byte]));
    expect(await opening).toEqual({ kind: "done", hello: { serverName: "a.example" } });
    wire.push(Buffer.from("more"));
    wire.push(null);
    expect(await rest(wire)).toEqual(Buffer.concat([hello, Buffer.from("more")]));
  });

  test("a ClientHello whose client has half-closed behind it is read", async () => {
    const hello = await helloOfNode();
    const wire = newWire();
    wire.push(hello);
    wire.push(null);
    expect(await opened(wire)).toMatchObject({ kind: "done" });
    expect(await rest(wire)).toEqual(hello);
  });

  test("bytes that are no ClientHello are left in the stream, and refused in OpenSSL's words", async () => {
    const wire = newWire();
    wire.push(Buffer.from("GET / HTTP/1.0\r\n\r\n"));
    const { server, serverSaid } = await accepted(serverOf(), wire);
    expect(serverSaid).toBe("http request");
    expect(server.describeError(new Error("http request"))).toBe("http request");
    expect(server.verdict()).toBe("not a record of a handshake");
  });

  test("a client that ends before its ClientHello is whole has ended early", async () => {
    const hello = await helloOfNode();
    for (const bytes of [Buffer.alloc(0), hello.subarray(0, 3), hello.subarray(0, -1)]) {
      const wire = newWire();
      if (bytes.length > 0) wire.push(bytes);
      wire.push(null);
      expect(await opened(wire)).toBe("ended");
    }
  });
});
