/** The common parts of the benches of TLS: a certificate, small programs, clients in C, and servers. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasCommand, peerSuite, resultOf } from "./servers.ts";
import type { Bench, LoadResult, Row, Running, Subject } from "./servers.ts";

/** The output of a program that writes a lot, in millions of bytes. */
export const STREAM_MEGABYTES = 400;

/** Statically linked, so that it is not the start of a program that is measured. */
const PROGRAMS = {
  /** Says a word. */
  hello: `return write(1, "hello\\n", 6) != 6;`,
  /** Writes a lot. */
  pour: `static char b[65536]; long left = ${STREAM_MEGABYTES}000000L, n;
         for (; left > 0; left -= n) if ((n = write(1, b, sizeof b)) <= 0) return 1;
         return 0;`,
  /** Reads everything. */
  drain: `static char b[65536]; while (read(0, b, sizeof b) > 0) ; return 0;`,
  /** Says what it is told. */
  echo: `static char b[4096]; long n;
         while ((n = read(0, b, sizeof b)) > 0) if (write(1, b, n) != n) return 1;
         return 0;`,
  /** Says a word, and stays until its client goes. */
  stay: `char b; return write(1, "hello\\n", 6) != 6 || read(0, &b, 1) != 0;`,
} as const;

/** The names in the certificate of the servers. */
export type KeyType = "p256" | "rsa2048";

type ProgramName = keyof typeof PROGRAMS;
type Words = readonly (string | number)[];

/** The files that a bench needs, in a folder of their own, and who serves and loads with them. */
export class Kit {
  readonly #root: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));

  /** Without a compiler, or without OpenSSL for it, `use` is not called, and a row reports that. */
  static async with(
    bench: Bench,
    use: (kit: Kit) => Promise<Row[]>,
    key: KeyType = "p256",
  ): Promise<Row[]> {
    const kit = new Kit(bench);
    try {
      if (!kit.#compile()) return [row("all of it: there is no cc, or no OpenSSL for it")];
      kit.#makeCertificate(key);
      return await use(kit);
    } finally {
      rmSync(kit.#folder, { recursive: true });
    }
  }

  private constructor({ root }: Bench) {
    this.#root = root;
  }

  /** The words of a client (tls-load.c), without its port. */
  clientWords({ port }: Running, words: Words): string[] {
    return [this.#path("tls-load"), port, ...words].map(String);
  }

  load(server: Running, ...words: Words): Promise<LoadResult> {
    return resultOf(this.clientWords(server, words));
  }

  /** Our server, with a program for each connection. */
  ours(name: ProgramName, limit = 200): Subject {
    return this.#suite("ours", join(this.#root, "bin"), name, limit);
  }

  /** The same of another build of ours, whose root UCSPI_BASE names; none without that. */
  base(name: ProgramName): Subject[] {
    const root = process.env["UCSPI_BASE"] ?? "";
    return root === "" ? [] : [this.#suite("base", join(root, "bin"), name, 200)];
  }

  /** The same of the C suite; none where it is not installed. */
  original(name: ProgramName): Subject[] {
    const folder = peerSuite();
    return folder === undefined ? [] : [this.#suite("C", folder, name, 200)];
  }

  stunnel(name: ProgramName): Subject[] {
    return this.#stunnel(`exec = ${this.#path(name)}`);
  }

  /** Our server, with a function for each connection. */
  ourHandler(): Subject {
    const handler = join(this.#root, "bench", "support", "ours-handler.mjs");
    return {
      name: "ours",
      words: [process.execPath, "--expose-gc", handler],
      variables: this.#variables(),
    };
  }

  /** The same without us: nothing but node:tls. */
  bareHandler(): Subject {
    const handler = join(this.#root, "bench", "support", "bare-handler.mjs");
    return { name: "node:tls", words: [process.execPath, handler], variables: this.#variables() };
  }

  stunnelTo(backend: number): Subject[] {
    return this.#stunnel(`connect = 127.0.0.1:${backend}`);
  }

  hitchTo(backend: number): Subject[] {
    if (!hasCommand("hitch")) return [];
    const pem = this.#path("both.pem");
    const { KEYFILE, CERTFILE } = this.#variables();
    writeFileSync(pem, `${readFileSync(KEYFILE, "latin1")}${readFileSync(CERTFILE, "latin1")}`);
    const options = ["--workers=1", "--backlog=1000", "--quiet", "--user=nobody"];
    const ends = ["--frontend=[127.0.0.1]:PORT", `--backend=[127.0.0.1]:${backend}`];
    return [{ name: "hitch", words: ["hitch", ...options, ...ends, pem], isSilent: true }];
  }

  #suite(name: string, path: string, program: ProgramName, limit: number): Subject {
    const counts = ["-c", limit, "-C", limit, "-b", 1000].map(String);
    const words = ["s6-tlsserver", "-q", "-1", "-H", ...counts, "127.0.0.1", "0"];
    return { name, path, words: [...words, this.#path(program)], variables: this.#variables() };
  }

  #stunnel(service: string): Subject[] {
    if (!hasCommand("stunnel4")) return [];
    const { KEYFILE, CERTFILE } = this.#variables();
    const settings = [
      "foreground = yes",
      "pid =",
      "debug = emerg",
      "socket = l:TCP_NODELAY=1",
      "[bench]",
      "accept = 127.0.0.1:PORT",
      `cert = ${CERTFILE}`,
      `key = ${KEYFILE}`,
      service,
    ];
    // Its settings come by a descriptor, for the port is known no earlier.
    const script = `exec stunnel4 -fd 0 <<end\n$1\nend`;
    const words = ["sh", "-c", script, "sh", settings.join("\n")];
    return [{ name: "stunnel4", words, isSilent: true }];
  }

  #variables(): { readonly CERTFILE: string; readonly KEYFILE: string } {
    return { CERTFILE: this.#path("localhost.pem"), KEYFILE: this.#path("localhost.key") };
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #compile(): boolean {
    const source = join(this.#root, "bench", "support", "tls-load.c");
    const clients = ["-O2", "-o", this.#path("tls-load"), source, "-lssl", "-lcrypto"];
    return (
      isDone("cc", clients) &&
      Object.entries(PROGRAMS).every(([name, body]) => {
        const file = this.#path(name);
        writeFileSync(`${file}.c`, `#include <unistd.h>\nint main(void) { ${body} }\n`);
        return isDone("cc", ["-O2", "-static", "-o", file, `${file}.c`]);
      })
    );
  }

  #makeCertificate(key: KeyType): void {
    const words = ["-t", key, "server", this.#folder, "localhost"];
    if (!isDone(join(this.#root, "bin", "ucspi-cert"), words)) throw new Error("no certificate");
  }
}

function row(what: string): Row {
  return { what, ours: "-", peer: "absent", ratio: "-", goal: "-" };
}

function isDone(command: string, words: readonly string[]): boolean {
  return spawnSync(command, words, { stdio: "ignore" }).status === 0;
}
