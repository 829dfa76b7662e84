// The same with nothing but node:net, or node:tls if there is a CERTFILE.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";

function serve(stream) {
  stream.on("error", () => undefined);
  stream.resume();
  stream.end("hello\n");
}

const { CERTFILE, KEYFILE } = process.env;
const server =
  CERTFILE === undefined
    ? createServer(serve)
    : createTlsServer({ cert: readFileSync(CERTFILE), key: readFileSync(KEYFILE) }, serve);
server.on("tlsClientError", () => undefined);
server.listen(0, "127.0.0.1", 4096, () => process.stdout.write(`${server.address().port}\n`));
process.on("SIGTERM", () => process.exit(0));
