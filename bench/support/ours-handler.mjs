// Our server with a handler that says hello, behind TLS if there is a CERTFILE. An idle client is one
// that this handler never hears from: it answers at once, so idle connections are those whose "hello" is
// withheld on SIGUSR2.
import { TcpServer } from "../../dist/lib/index.js";

let isIdle = false;

// Before the port is told: whoever knows it may send signals.
process.on("SIGUSR2", () => {
  isIdle = true;
  globalThis.gc();
  process.stdout.write("collected\n");
});
process.on("SIGTERM", () => process.exit(0));

const { CERTFILE: certificate, KEYFILE: key } = process.env;
const server = new TcpServer({
  listen: { host: "127.0.0.1", port: 0 },
  ...(certificate === undefined ? {} : { tls: { certificate, key } }),
  serve({ stream }) {
    stream.resume();
    if (!isIdle) stream.end("hello\n");
  },
});
const [endpoint] = await server.start();
process.stdout.write(`${endpoint.port}\n`);
