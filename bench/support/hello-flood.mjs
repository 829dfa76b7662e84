// Sends ClientHellos to a server on this machine and never goes on. Words: the port, how many a second, from
// how many addresses (127.0.1.1 and so on), for how many milliseconds, and the milliseconds between two bursts.
// Each connection is held to the end of the flood or of the server's patience. Says "flooding" once it has begun,
// and at its end, as JSON, how many were sent, and how many of them were answered by at least one byte.

import { connect } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";

const [port = 0, perSecond = 0, sources = 1, durationMs = 0, tickMs = 4] = process.argv
  .slice(2)
  .map(Number);

const hello = await clientHello();
const counts = { sent: 0, answered: 0 };
const open = new Set();
const startedMs = performance.now();
process.stdout.write("flooding\n");
const timer = setInterval(() => {
  const elapsedMs = performance.now() - startedMs;
  if (elapsedMs >= durationMs) finish();
  else while (counts.sent < (elapsedMs * perSecond) / 1000) attack(counts.sent++);
}, tickMs);

function attack(number) {
  const localAddress = `127.0.1.${1 + (number % sources)}`;
  const socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
  open.add(socket);
  socket.on("connect", () => socket.write(hello));
  socket.once("data", () => (counts.answered += 1));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => open.delete(socket));
}

function finish() {
  clearInterval(timer);
  for (const socket of open) socket.destroy();
  process.stdout.write(`${JSON.stringify(counts)}\n`);
}

/** The first flight of a client of node:tls. */
function clientHello() {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk) => resolve(chunk),
    });
    connectTls({ socket: wire, servername: "localhost" }).on("error", () => undefined);
  });
}
