/** Functions on real sockets, where something fails before a function has its connection. */

import { once } from "node:events";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { parseIp } from "../../../src/net/index.ts";
import type { Endpoint } from "../../../src/net/index.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import type { Posix } from "../../../src/posix/index.ts";
import type { TlsAcceptor } from "../../../src/tls/index.ts";
import { carry } from "../../../src/tls/tunnel/handled-stream.ts";
import { handlerService } from "../../../src/ucspi/serving/handler-service.ts";
import { tcpView } from "../../../src/ucspi/serving/tcp-connection.ts";
import { LiveConnection } from "../../../src/ucspi/serving/live-connection.ts";

const posix = loadPosix();

function loopback(): Endpoint {
  const address = parseIp("127.0.0.1");
  if (address === undefined) throw new TypeError("not an address");
  return { address, port: 7000 };
}

test("a handshake that cannot begin drops its connection, and closes its socket once", async () => {
  const [fd, other] = posix.socketPair("stream");
  const client = new Socket({ fd: other, readable: true, writable: true });
  const acceptor: Pick<TlsAcceptor, "carry" | "accept"> = {
    carry: (given) => carry(posix, given),
    accept() {
      throw new TypeError("a bug");
    },
  };
  const closed: number[] = [];
  const told: string[] = [];
  const calls: Partial<Posix> = {
    getpid: () => posix.getpid(),
    close: (closing) => void closed.push(closing),
  };
  const live = new LiveConnection<Endpoint, Endpoint>(
    { fd, local: loopback(), peer: loopback(), key: "127.0.0.1", number: 0, total: 1 },
    {
      posix: calls as Posix,
      accepted: () => told.push("accepted"),
      ended: () => told.push("ended"),
      dropped: (_, why) => told.push(`dropped ${why}`),
      free: () => told.push("freed"),
      recount: () => 0,
      faulted: (error) => told.push(`faulted ${String(error)}`),
    },
  );
  live.start(
    handlerService(() => void told.push("handled"), {
      view: tcpView,
      allowHalfOpen: false,
      tls: { acceptor: acceptor as TlsAcceptor, address: ({ address }) => address },
      refused: () => told.push("refused"),
      failed: () => told.push("failed"),
    }),
  );
  expect(told).toEqual(["accepted", "dropped TypeError: a bug", "freed"]);
  client.resume();
  await once(client, "close");
  expect(closed).toEqual([]); // the stream has closed it
});
