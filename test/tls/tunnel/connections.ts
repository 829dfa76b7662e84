/** Descriptors for tunnels, and streams of Node at their other ends. */

import { connect } from "node:net";
import type { Socket } from "node:net";
import type { Fd, Posix } from "../../../src/posix/index.ts";

/** A pipe for a tunnel at one end and a stream of Node at the other. */
export function openNonblockingPipe(posix: Posix): readonly [Fd, Fd] {
  const pipe = posix.pipe();
  for (const fd of pipe) posix.setNonblocking(fd, true);
  return pipe;
}

/** A TCP connection: our end as a descriptor, the peer's as a socket that keeps its half open. */
export async function openConnection(posix: Posix): Promise<{ fd: Fd; plain: Socket }> {
  const listener = posix.socket("inet", "stream");
  posix.bind(listener, { family: "inet", bytes: Buffer.from([127, 0, 0, 1]), port: 0, scope: 0 });
  posix.listen(listener, 1);
  const address = posix.getsockname(listener);
  const plain = connect({
    port: "port" in address ? address.port : 0,
    host: "127.0.0.1",
    allowHalfOpen: true,
  });
  await new Promise((resolve) => plain.once("connect", resolve));
  const [accepted] = posix.accept(listener, 1);
  posix.close(listener);
  if (accepted === undefined) throw new Error("no connection");
  posix.setNonblocking(accepted.fd, true);
  return { fd: accepted.fd, plain };
}
