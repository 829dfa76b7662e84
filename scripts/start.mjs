// `npm start`: an example service under compiled rules that admit 127.0.0.1 and no other address.
// Everything it makes is in a temporary folder, which goes when it ends.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "bin", name);
const folder = mkdtempSync(join(tmpdir(), "ucspi-start-"));
const rules = join(folder, "rules.cdb");

function compileRules() {
  const stdin = openSync(join(root, "examples", "rules.txt"), "r");
  const { status } = spawnSync(bin("s6-tcprules"), [rules], {
    stdio: [stdin, "ignore", "inherit"],
  });
  if (status !== 0) process.exit(1);
}

function serve() {
  const access = ["s6-tcpserver-access", "-v0", "-H", "--refusals=text", "-x", rules];
  const words = ["-1", "127.0.0.1", "0", ...access, join(root, "examples", "greet.sh")];
  return spawn(bin("s6-tcpserver"), words, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PATH: `${join(root, "bin")}:${process.env.PATH}` },
  });
}

function announce(port) {
  const served = `bash -c 'cat < /dev/tcp/127.0.0.1/${port}'`;
  const refused = `bin/s6-tcpclient -H -i 127.0.0.2 127.0.0.1 ${port} bin/s6-ioconnect </dev/null`;
  console.log(`Serving on 127.0.0.1 port ${port}, under the rules of examples/rules.txt.`);
  console.log(`To be served:   ${served}`);
  console.log(`To be refused:  ${refused}`);
}

compileRules();
const server = serve();
createInterface(server.stdout).once("line", announce);
server.once("exit", (code, signal) => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(signal === null ? (code ?? 0) : 0);
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => server.kill(signal === "SIGHUP" ? "SIGTERM" : signal));
}
