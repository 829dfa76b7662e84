/** The fd holder against that of the C suite, with one and the same client, a program in C. */

import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadPosix } from "../src/posix/index.ts";
import { median, nextLine, peerSuite, ratioOf } from "./support/servers.ts";
import type { Bench, Row } from "./support/servers.ts";

export const question = "Held descriptors";

const ROUNDS = 5;
const PAIRS = 20_000;
const VISITS = 3000;
const TRANSFERRED = 1000;
const MANY = 10_000;
const CLIENTS = 1000;

/** One holder that runs. */
interface Holder {
  readonly socket: string;
  readonly stop: () => void;
}

export async function measure({ root }: Bench): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "ucspi-bench-"));
  try {
    return await new Comparison(root, folder).rows();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Comparison {
  readonly #folder: string;
  readonly #load: string;
  readonly #bins: ReadonlyMap<string, string>;
  #sockets = 0;

  constructor(root: string, folder: string) {
    this.#folder = folder;
    this.#load = join(folder, "load");
    const source = join(root, "bench", "support", "fd-holder-load.c");
    const compiled = spawnSync("cc", ["-O2", "-o", this.#load, source], { encoding: "utf8" });
    if (compiled.status !== 0) throw new Error(compiled.stderr);
    writeRules(join(folder, "rules"));
    const suite = peerSuite();
    const both: [string, string | undefined][] = [
      ["ours", join(root, "bin")],
      ["C", suite],
    ];
    this.#bins = new Map(both.filter((one): one is [string, string] => one[1] !== undefined));
  }

  async rows(): Promise<Row[]> {
    const pairs = await this.#alternate([], (holder) => this.#rate("pairs", holder.socket, PAIRS));
    const visits = await this.#alternate([], (holder) =>
      this.#rate("visits", holder.socket, VISITS),
    );
    const full = await this.#alternate(["-n", String(MANY + 10)], (holder) => {
      this.#rate("fill", holder.socket, MANY);
      return this.#rate("pairs", holder.socket, PAIRS);
    });
    const transfer = await this.#alternate(["-n", "2000"], (from, to) => {
      this.#rate("fill", from.socket, TRANSFERRED);
      return this.#rate("transfer", from.socket, to.socket, 1);
    });
    const crowd = await this.#alternate(
      ["-c", String(CLIENTS)],
      (holder) => this.#rate("crowd", holder.socket, PAIRS, CLIENTS),
      ["ours"],
    );
    const many = `pairs a second with ${CLIENTS} clients, against one client`;
    return [
      row("store and retrieve, pairs a second over one connection", pairs, "at least 0.8"),
      row("store and retrieve, each over a connection of its own", visits, "at least 0.8"),
      row(`the same over one connection, with ${MANY} descriptors held`, full, "at least 0.8"),
      row(`a transfer of ${TRANSFERRED} descriptors, transfers a second`, transfer, "at least 1"),
      row(
        many,
        new Map([
          ["ours", crowd.get("ours")],
          ["C", pairs.get("ours")],
        ]),
        "",
      ),
    ];
  }

  /** The median of some rounds for each holder, new ones each time, in turn. */
  async #alternate(
    words: readonly string[],
    run: (holder: Holder, other: Holder) => number,
    names: readonly string[] = [...this.#bins.keys()],
  ): Promise<Map<string, number | undefined>> {
    const results = new Map<string, number[]>(names.map((name) => [name, []]));
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, rates] of results) {
        const bin = this.#bins.get(name);
        if (bin === undefined) continue;
        const holders = [await this.#start(bin, words), await this.#start(bin, words)] as const;
        rates.push(run(...holders));
        for (const { stop } of holders) stop();
      }
    }
    return new Map([...results].map(([name, rates]) => [name, median(rates)]));
  }

  async #start(bin: string, words: readonly string[]): Promise<Holder> {
    const posix = loadPosix();
    this.#sockets += 1;
    const socket = join(this.#folder, `s${this.#sockets}`);
    const listener = posix.socket("unix", "stream");
    posix.bind(listener, { family: "unix", path: socket });
    posix.listen(listener, 4096);
    const holder = spawn(join(bin, "s6-fdholderd"), ["-1", "-i", "rules", ...words], {
      cwd: this.#folder,
      stdio: [listener, "pipe", "inherit"],
    });
    posix.close(listener);
    await nextLine(holder);
    return { socket, stop: () => void holder.kill("SIGKILL") };
  }

  #rate(...words: readonly (string | number)[]): number {
    const input = openSync("/dev/null", "r");
    const { status, stdout, stderr } = spawnSync(this.#load, words.map(String), {
      encoding: "utf8",
      stdio: [input, "pipe", "pipe"],
    });
    loadPosix().close(input as never);
    if (status !== 0) throw new Error(stderr);
    return Number(stdout);
  }
}

function writeRules(folder: string): void {
  const rule = join(folder, "uid", String(process.getuid?.() ?? 0));
  mkdirSync(join(rule, "env"), { recursive: true });
  writeFileSync(join(rule, "allow"), "");
  for (const right of ["STORE_REGEX", "RETRIEVE_REGEX", "LIST", "GETDUMP", "SETDUMP"]) {
    writeFileSync(join(rule, "env", `S6_FDHOLDER_${right}`), "\n");
  }
  chmodSync(folder, 0o755);
}

function row(what: string, rates: ReadonlyMap<string, number | undefined>, goal: string): Row {
  const [ours, peer] = [rates.get("ours"), rates.get("C")];
  const format = (rate: number | undefined): string => (rate === undefined ? "-" : rate.toFixed(0));
  return { what, ours: format(ours), peer: format(peer), ratio: ratioOf(ours, peer), goal };
}
