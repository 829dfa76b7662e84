import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, test } from "vitest";

import { FakeClock } from "../../support/fake-clock.ts";
import { systemClockWith, taiFromUnix, unpackTai64n } from "../../../src/clock/index.ts";
import {
  CLIENTS_MAX,
  formatTaiclockRequest,
  RateLimit,
  slewClock,
  stepClock,
  TaiclockServer,
} from "../../../src/clock/sync/index.ts";
import { ip4FromNumber, parseIp } from "../../../src/net/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";
import { loadPosix, SystemError } from "../../../src/posix/index.ts";
import { NONCE } from "./packets.ts";

import type { Endpoint, IpAddress } from "../../../src/net/index.ts";
import type { Posix, SocketAddress } from "../../../src/posix/index.ts";

const posix = loadPosix();
const REQUEST = formatTaiclockRequest(NONCE);
const HERE: Endpoint = { address: ip("127.0.0.1"), port: 4014 };

/** An address of this host, as the kernel has it. */
function localAddress(port: number): SocketAddress {
  return { family: "inet", bytes: HERE.address.bytes, scope: 0, port };
}

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new TypeError(`Not an IP address: ${text}`);
  return address;
}

/** Send datagrams to a server one after the other, and wait for one answer. */
async function ask(host: string, port: number, packets: readonly Uint8Array[]): Promise<Buffer> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    const answered = once(socket, "message");
    for (const packet of packets) socket.send(packet, port, host);
    const [answer] = (await answered) as [Buffer];
    return answer;
  } finally {
    socket.close();
  }
}

describe("the TAICLOCK server", () => {
  test("the TAICLOCK server gives the time over both families, in as many bytes as it was asked in", async () => {
    const clock = systemClockWith(() => posix.realtimeNs());
    const server = new TaiclockServer(posix, clock);
    try {
      for (const host of ["127.0.0.1", "::1"]) {
        const { port } = server.listen({ address: ip(host), port: 0 });
        const ignored = [Buffer.from("ctai"), Buffer.alloc(40), Buffer.alloc(0)];
        const answer = await ask(host, port, [...ignored, REQUEST]);
        expect(answer).toHaveLength(28);
        const told = unpackTai64n(answer.subarray(4)) ?? taiFromUnix(0n);
        const passed = taiFromUnix(posix.realtimeNs()) - told;
        expect(passed >= 0n && passed < 10_000_000_000n).toBe(true);
        expect(await ask(host, port, [REQUEST.subarray(0, 20)])).toHaveLength(20);
        expect(await ask(host, port, [Buffer.alloc(300, "ctai")])).toHaveLength(256);
      }
    } finally {
      server.stop();
    }
  });

  test("the TAICLOCK server leaves no socket behind, be it stopped or never bound", () => {
    const fake = new FakePosix();
    const before = fake.openFds;
    const server = new TaiclockServer(fake, new FakeClock());
    server.listen(HERE);
    const serving = fake.openFds;
    expect(() => server.listen(HERE)).toThrow(SystemError);
    expect(fake.openFds).toEqual(serving);
    server.stop();
    expect(fake.openFds).toEqual(before);
  });

  test("the TAICLOCK server reports a failure once, and goes on", () => {
    const fake = new FakePosix();
    const failures: string[] = [];
    const server = new TaiclockServer(fake, new FakeClock(), {
      onError: (action, { message }) => failures.push(`${action} ${message}`),
    });
    server.listen(HERE);
    const [socket] = fake.openFds.slice(-1);
    if (socket === undefined) return expect.unreachable();
    const client = fake.socket("inet", "datagram");
    fake.bind(client, localAddress(5000));
    for (const [call, code] of [
      ["receiveMessage", "ENETDOWN"],
      ["receiveMessage", "ENETDOWN"],
      ["receiveMessage", "ENOMEM"],
    ] as const) {
      fake.failNext(call, code);
      fake.fire(socket, { readable: true });
    }
    fake.sendMessage(client, REQUEST, [], localAddress(4014));
    fake.failNext("sendMessage", "EPERM");
    fake.turn();
    fake.sendMessage(client, REQUEST, [], localAddress(4014));
    fake.turn();
    expect(failures).toEqual(["receive ENETDOWN", "receive ENOMEM", "send EPERM"]);
    expect(fake.receiveMessage(client, new Uint8Array(99))?.bytes).toBe(28);
    server.stop();
  });

  test("the TAICLOCK server answers a client as often as it may be asked", () => {
    const clock = new FakeClock();
    const fake = new FakePosix();
    const server = new TaiclockServer(fake, clock, { ratePerClient: 2 });
    server.listen(HERE);
    const client = fake.socket("inet", "datagram");
    fake.bind(client, localAddress(5000));
    const answers = (): number => {
      for (let count = 0; count < 5; count += 1) {
        fake.sendMessage(client, Buffer.alloc(40), [], localAddress(4014));
        fake.sendMessage(client, REQUEST, [], localAddress(4014));
      }
      fake.turn();
      let count = 0;
      while (fake.receiveMessage(client, new Uint8Array(99)) !== undefined) count += 1;
      return count;
    };
    expect(answers()).toBe(2);
    expect(answers()).toBe(0);
    clock.advance(500);
    expect(answers()).toBe(1);
    clock.advance(60_000);
    expect(answers()).toBe(2);
  });
});

describe("the limit of a rate", () => {
  test("the rate limit counts IPv4 clients by address, IPv6 clients by /64", () => {
    const limit = new RateLimit(new FakeClock(), 1);
    const admitted = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
    expect(admitted.map((client) => limit.admits(ip(client)))).toEqual([
      true,
      true,
      true,
      false,
      true,
    ]);
  });

  test("the rate limit remembers a bounded number of clients", () => {
    const limit = new RateLimit(new FakeClock(), 1);
    for (let client = 0; client < 3 * CLIENTS_MAX; client += 1) limit.admits(ip4FromNumber(client));
    expect(limit.size).toBe(CLIENTS_MAX);
    expect(limit.admits(ip4FromNumber(3 * CLIENTS_MAX - 1))).toBe(false);
    expect(limit.admits(ip4FromNumber(0))).toBe(true);
  });
});

describe("the system clock", () => {
  test("the system clock is stepped by an offset, either way", () => {
    const fake = new FakePosix();
    fake.nowNs = 5_000_000_000n;
    stepClock(fake, -1_500_000_000n);
    expect(fake.nowNs).toBe(3_500_000_000n);
    stepClock(fake, 1n);
    expect(fake.nowNs).toBe(3_500_000_001n);
  });

  test("the system clock is not stepped to a time that no clock can have", () => {
    const fake = new FakePosix();
    for (const offset of [-1n, 1n << 63n])
      expect(() => stepClock(fake, offset)).toThrow(RangeError);
    expect(fake.nowNs).toBe(0n);
  });

  test("the system clock is slewed by microseconds", () => {
    const slewed: bigint[] = [];
    const fake: Pick<Posix, "adjtime"> = { adjtime: (us) => (slewed.push(us), 0n) };
    slewClock(fake as Posix, 1_500_999n);
    slewClock(fake as Posix, -2_000_000n);
    expect(slewed).toEqual([1500n, -2000n]);
  });

  test("the system clock is left alone without the right", () => {
    const fake = new FakePosix();
    fake.identity = { uid: 1000, gid: 1000, groups: [] };
    for (const adjust of [stepClock, slewClock]) {
      expect(() => adjust(fake, 1_000_000n)).toThrow(expect.objectContaining({ code: "EPERM" }));
    }
    expect(fake.nowNs).toBe(0n);
  });
});
