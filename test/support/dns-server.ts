/**
 * A small DNS server for tests: real packets over UDP and TCP on a loopback port of its own, with
 * answers that the test writes down. It is authoritative for everything and forwards nothing.
 *
 *     await using dns = await startDnsServer();
 *     dns.records("www.example.com", "A", ["192.0.2.1", "192.0.2.2"]);
 *     dns.records("1.2.0.192.in-addr.arpa", "PTR", ["www.example.com"]);
 *     dns.answer("broken.example.com", "AAAA", { kind: "rcode", rcode: "SERVFAIL" });
 *     env.DNSCACHEIP = dns.address; // "127.0.0.1:40123"
 *
 * A question is answered by what the test said about its name and type; else, for a name about which
 * the test said anything at all, with no records (NODATA); else with NXDOMAIN. Names are compared
 * without regard to case. `queries` tells what was asked, in order.
 */

import { createSocket } from "node:dgram";
import { createServer } from "node:net";

import * as packet from "dns-packet";

import type { Answer, DecodedPacket, Question } from "dns-packet";
import type { RemoteInfo, Socket as UdpSocket } from "node:dgram";
import type { AddressInfo, Server, Socket } from "node:net";

type RecordType = "A" | "AAAA" | "PTR" | "CNAME";

/** The reaction of the server to a query. */
type DnsAnswer =
  /** Answer with these records: addresses in text form, or names. */
  | { readonly kind: "records"; readonly data: readonly string[] }
  /** Answer with an error and no records. */
  | {
      readonly kind: "rcode";
      readonly rcode: "NXDOMAIN" | "SERVFAIL" | "REFUSED" | "FORMERR" | "NOTIMP";
    }
  /** Do not answer. The client's timeouts and deadlines are up to the test. */
  | { readonly kind: "silence" }
  /** Over UDP, an empty answer with the TC bit; over TCP, these records. */
  | { readonly kind: "truncated"; readonly data: readonly string[] }
  /** Answer with these bytes after the two of the id, whatever they are. */
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

/** A question that arrived. */
interface DnsQuery {
  /** Lower-case, without a trailing dot. */
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp";
}

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:PORT`, an entry for DNSCACHEIP. */
  readonly address: string;
  readonly queries: readonly DnsQuery[];
  /** Decide the answer to a name and type, in place of an earlier decision. */
  answer(name: string, type: RecordType, answer: DnsAnswer): void;
  /** Short for an answer of records. */
  records(name: string, type: RecordType, data: readonly string[]): void;
  /** Resolves as soon as `count` questions have arrived, counted from the start. */
  received(count: number): Promise<void>;
}

const HOST = "127.0.0.1";
const TTL_SECONDS = 60;
const RCODES = { NXDOMAIN: 3, SERVFAIL: 2, REFUSED: 5, FORMERR: 1, NOTIMP: 4 } as const;

/** Start a server on a free port, the same for UDP and TCP. */
export async function startDnsServer(): Promise<DnsServer> {
  const server = new ScriptedServer();
  await server.listen();
  return server;
}

class ScriptedServer implements DnsServer {
  readonly #udp: UdpSocket = createSocket("udp4");
  readonly #tcp: Server = createServer((socket) => this.#serve(socket));
  readonly #connections = new Set<Socket>();
  readonly #answers = new Map<string, Map<string, DnsAnswer>>();
  readonly #queries: DnsQuery[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  get queries(): readonly DnsQuery[] {
    return this.#queries;
  }

  get port(): number {
    return this.#udp.address().port;
  }

  get address(): string {
    return `${HOST}:${this.port}`;
  }

  answer(name: string, type: RecordType, answer: DnsAnswer): void {
    const key = canonicalName(name);
    const types = this.#answers.get(key) ?? new Map<string, DnsAnswer>();
    this.#answers.set(key, types.set(type, answer));
  }

  records(name: string, type: RecordType, data: readonly string[]): void {
    this.answer(name, type, { kind: "records", data });
  }

  async received(count: number): Promise<void> {
    if (this.#queries.length >= count) return;
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** TCP first, whose free port is then almost surely free for UDP too. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#tcp.once("error", reject).listen(0, HOST, resolve);
    });
    const { port } = this.#tcp.address() as AddressInfo;
    await new Promise<void>((resolve, reject) => {
      this.#udp.once("error", reject).bind(port, HOST, resolve);
    });
    this.#udp.on("message", (message, from) => this.#datagram(message, from));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(resolve)),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
    ]);
  }

  #datagram(message: Buffer, from: RemoteInfo): void {
    const reply = this.#reply(packet.decode(message), "udp");
    if (reply !== undefined) this.#udp.send(reply, from.port, from.address);
  }

  /** One or more questions over TCP, each after its length in two bytes. */
  #serve(socket: Socket): void {
    let pending = Buffer.alloc(0);
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy()); // the client may leave as it likes
    socket.on("data", (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const reply = this.#reply(packet.decode(pending.subarray(2, end)), "tcp");
        if (reply !== undefined) socket.write(framed(reply));
        pending = pending.subarray(end);
      }
    });
  }

  #reply(query: DecodedPacket, transport: "udp" | "tcp"): Buffer | undefined {
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    const name = canonicalName(question.name);
    this.#queries.push({ name, type: question.type, transport });
    for (const { count, resolve } of this.#waiting) if (this.#queries.length >= count) resolve();
    return formatReply(query, question, this.#decide(name, question.type), transport);
  }

  #decide(name: string, type: string): DnsAnswer {
    const types = this.#answers.get(name);
    if (types === undefined) return { kind: "rcode", rcode: "NXDOMAIN" };
    return types.get(type) ?? types.get("CNAME") ?? { kind: "records", data: [] };
  }
}

function formatReply(
  query: DecodedPacket,
  question: Question,
  answer: DnsAnswer,
  transport: "udp" | "tcp",
): Buffer | undefined {
  const id = query.id ?? 0;
  switch (answer.kind) {
    case "silence":
      return undefined;
    case "raw":
      return Buffer.concat([Buffer.from([id >> 8, id & 0xff]), answer.bytes]);
    case "rcode":
      return encode({ id, question, flags: RCODES[answer.rcode], data: [] });
    case "truncated":
      if (transport === "tcp") return encode({ id, question, flags: 0, data: answer.data });
      return encode({ id, question, flags: packet.TRUNCATED_RESPONSE, data: [] });
    case "records":
      return encode({ id, question, flags: 0, data: answer.data });
  }
}

function encode(reply: {
  readonly id: number;
  readonly question: Question;
  readonly flags: number;
  readonly data: readonly string[];
}): Buffer {
  const { id, question, data } = reply;
  const flags = packet.AUTHORITATIVE_ANSWER | packet.RECURSION_AVAILABLE | reply.flags;
  const answers = data.map((text) => record(question, text));
  return packet.encode({ id, type: "response", flags, questions: [question], answers });
}

/** A CNAME where the text is a name and an address was asked for: what it leads to is not added. */
function record(question: Question, data: string): Answer {
  const isName = !/^[0-9.]+$|:/.test(data);
  const type = isName && question.type !== "PTR" ? "CNAME" : question.type;
  return { type, name: question.name, ttl: TTL_SECONDS, class: "IN", data } as Answer;
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
