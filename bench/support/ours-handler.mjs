// Our server with a handler that says hello. An idle client is one that this handler never hears from:
// it answers at once, so idle connections are those whose "hello" is withheld on SIGUSR2.
import { TcpServer } from "../../dist/lib/index.js";

let isIdle = false;
const server = new TcpServer({
  listen: { host: "127.0.0.1", port: 0 },
  serve({ stream }) {
    stream.resume();
    if (!isIdle) stream.end("hello\n");
  },
});
const [endpoint] = await server.start();
process.stdout.write(`${endpoint.port}\n`);
process.on("SIGUSR2", () => {
  isIdle = true;
  globalThis.gc();
  process.stdout.write("collected\n");
});
process.on("SIGTERM", () => process.exit(0));
