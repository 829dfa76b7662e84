// The same with nothing but node:net.
import { createServer } from "node:net";

const server = createServer((stream) => {
  stream.on("error", () => undefined);
  stream.resume();
  stream.end("hello\n");
});
server.listen(0, "127.0.0.1", 4096, () => process.stdout.write(`${server.address().port}\n`));
process.on("SIGTERM", () => process.exit(0));
