// `npm start`: an example service over TLS, under compiled rules that admit 127.0.0.1 and no other address.
// Its certificate is made the first time, in build/start; all else is in a temporary folder, which goes
// when it ends.

import { spawn, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const bin = (name) => join(root, "bin", name);
const folder = mkdtempSync(join(tmpdir(), "ucspi-start-"));
const rules = join(folder, "rules.cdb");
const certificates = join(root, "build", "start");
const certificate = join(certificates, "localhost.pem");
const key = join(certificates, "localhost.key");

function compileRules() {
  const stdin = openSync(join(root, "examples", "rules.txt"), "r");
  const { status } = spawnSync(bin("s6-tcprules"), [rules], {
    stdio: [stdin, "ignore", "inherit"],
  });
  if (status !== 0) process.exit(1);
}

/** A certificate for this machine's own name, signed by an authority made for that alone. */
function makeCertificate() {
  if (existsSync(certificate) && existsSync(key) && isValid(certificate)) return;
  const words = ["server", "--force", certificates, "localhost", "127.0.0.1", "::1"];
  const { status } = spawnSync(bin("ucspi-cert"), words, {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) process.exit(1);
}

function isValid(file) {
  return Date.parse(new X509Certificate(readFileSync(file)).validTo) > Date.now();
}

function serve() {
  const words = ["-1", "-H", "-S", "--refusals=text", "-x", rules, "127.0.0.1", "0"];
  return spawn(bin("s6-tlsserver"), [...words, join(root, "examples", "greet.sh")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      PATH: `${join(root, "bin")}:${process.env.PATH}`,
      CERTFILE: certificate,
      KEYFILE: key,
    },
  });
}

function announce(port) {
  const authority = relative(process.cwd(), join(certificates, "ca.pem"));
  const client = `CAFILE=${authority} bin/s6-tlsclient -H`;
  const copy = `127.0.0.1 ${port} bin/s6-ioconnect </dev/null`;
  const openssl = `openssl s_client -quiet -CAfile ${authority} -connect localhost:${port}`;
  console.log(`Serving TLS on 127.0.0.1 port ${port}, under the rules of examples/rules.txt.`);
  console.log(`To be served:   ${openssl}`);
  console.log(`or:             ${client} ${copy}`);
  console.log(`To be refused:  ${client} -i 127.0.0.2 ${copy}`);
}

compileRules();
makeCertificate();
const server = serve();
createInterface(server.stdout).once("line", announce);
server.once("exit", (code, signal) => {
  rmSync(folder, { recursive: true, force: true });
  process.exit(signal === null ? (code ?? 0) : 0);
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => server.kill(signal === "SIGHUP" ? "SIGTERM" : signal));
}
