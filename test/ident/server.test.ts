import { beforeAll, describe, expect, test } from "vitest";

import { FakeClock } from "../support/fake-clock.ts";
import { IDENT_QUERIES_MAX, IdentResponder, serveIdent } from "../../src/ident/index.ts";
import { parseIp } from "../../src/net/index.ts";
import { FakePosix } from "../support/posix/fake-posix.ts";
import { loadPosix } from "../../src/posix/index.ts";

import type { IdentConversation, IdentEnd } from "../../src/ident/index.ts";
import type { Fd, Posix } from "../../src/posix/index.ts";

const IDLE_MS = 1000;
const ANSWER = "USERID : UNIX : someone\r\n";

let posix: Posix;

beforeAll(() => {
  posix = loadPosix();
});

/** A client and a server at the two ends of a socket, which are closed with it. */
class Talk implements Disposable {
  readonly clock = new FakeClock();
  readonly client: Fd;
  readonly server: Fd;

  constructor() {
    [this.client, this.server] = posix.socketPair("stream");
    posix.setNonblocking(this.client, true);
  }

  serve(
    facts: Partial<IdentConversation> = {},
    responder = new IdentResponder(posix, this.clock, {
      naming: { kind: "fixed", user: "someone" },
    }),
  ): Promise<IdentEnd> {
    const address = parseIp("127.0.0.1");
    if (address === undefined) throw new TypeError("Not an IP address");
    const asking = { local: address, remote: address };
    const fds = { input: this.server, output: this.server };
    return serveIdent(posix, this.clock, responder, { ...fds, asking, idleMs: IDLE_MS, ...facts });
  }

  send(text: string): void {
    posix.write(this.client, Buffer.from(text));
  }

  /** The bytes received so far. */
  received(): string {
    const bytes = new Uint8Array(65_536);
    return Buffer.from(bytes.subarray(0, posix.read(this.client, bytes) ?? 0)).toString();
  }

  [Symbol.dispose](): void {
    posix.close(this.client);
    posix.close(this.server);
  }
}

describe("a conversation", () => {
  test("a conversation goes on until the client has no more queries", async () => {
    using talk = new Talk();
    talk.send("1 , 2\r\n3,4\n5 , ");
    posix.shutdown(talk.client, "write");
    expect(await talk.serve()).toEqual({ kind: "ended" });
    expect(talk.received()).toBe(`1 , 2 : ${ANSWER}3 , 4 : ${ANSWER}`);
    expect(talk.clock.pendingTimers).toBe(0);
    expect(posix.isNonblocking(talk.server)).toBe(false);
  });

  test("a conversation waits for the rest of a query", async () => {
    using talk = new Talk();
    talk.send("1 ,");
    const ending = talk.serve({
      onAnswer: () => posix.shutdown(talk.client, "write"),
    });
    setImmediate(() => talk.send(" 2\r\n"));
    expect(await ending).toEqual({ kind: "ended" });
    expect(talk.received()).toBe(`1 , 2 : ${ANSWER}`);
  });

  test("a conversation ends with the first line that is no query", async () => {
    using talk = new Talk();
    talk.send("GET / HTTP/1.1\r\n1 , 2\r\n");
    expect(await talk.serve()).toEqual({ kind: "ended" });
    expect(talk.received()).toBe("0 , 0 : ERROR : INVALID-PORT\r\n");
  });

  test("a conversation ends without an answer to a line without an end", async () => {
    using talk = new Talk();
    talk.send("1".repeat(2000));
    expect(await talk.serve()).toEqual({ kind: "ended" });
    expect(talk.received()).toBe("");
  });

  test("a conversation ends after the maximum number of queries", async () => {
    using talk = new Talk();
    talk.send("1 , 2\r\n".repeat(IDENT_QUERIES_MAX + 1));
    expect(await talk.serve()).toEqual({ kind: "ended" });
    expect(talk.received()).toBe(`1 , 2 : ${ANSWER}`.repeat(IDENT_QUERIES_MAX));
  });

  test("a conversation ends when the client is silent, or slow", async () => {
    using talk = new Talk();
    talk.send("1 ,");
    const ending = talk.serve();
    talk.clock.advance(IDLE_MS - 1);
    expect(talk.clock.pendingTimers).toBe(1);
    talk.clock.advance(1);
    expect(await ending).toEqual({ kind: "timedOut" });
    expect(talk.clock.pendingTimers).toBe(0);
  });

  test("a conversation ends when the client does not read", async () => {
    using talk = new Talk();
    posix.setNonblocking(talk.server, true);
    const filler = new Uint8Array(65_536);
    while (posix.write(talk.server, filler) !== undefined);
    talk.send("1 , 2\r\n");
    const ending = talk.serve({ onAnswer: () => setImmediate(() => talk.clock.advance(IDLE_MS)) });
    expect(await ending).toEqual({ kind: "timedOut" });
  });

  test("a conversation that the client resets is no error of the server", async () => {
    using talk = new Talk();
    talk.send("1 , 2\r\n");
    const ending = talk.serve({ onAnswer: () => posix.shutdown(talk.server, "write") });
    expect(await ending).toEqual({ kind: "failed", code: "EPIPE" });
  });

  test("an IDENT server answers UNKNOWN-ERROR, and logs why, where the kernel does not show the owner", async () => {
    using talk = new Talk();
    talk.send("1 , 2\r\n");
    posix.shutdown(talk.client, "write");
    const failures: string[] = [];
    const responder = new IdentResponder(new FakePosix(), talk.clock); // has no tables
    await talk.serve({ onFailure: ({ code }) => failures.push(code) }, responder);
    expect(talk.received()).toBe("1 , 2 : ERROR : UNKNOWN-ERROR\r\n");
    expect(failures).toEqual(["ENOENT"]);
  });
});
