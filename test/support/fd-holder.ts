/** Fd holders for tests: their rules, a listening socket for them, and clients that send what they like. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { deadlineAfter, systemClock, waitReady } from "../../src/clock/index.ts";
import { formatUnixMessage, UnixMessageReader } from "../../src/net/index.ts";
import type { UnixMessage } from "../../src/net/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { HolderClient } from "../../src/supervise/fdholder/index.ts";
import type { Scene, SceneProcess } from "./scene.ts";

export const posix = loadPosix();

/** The user that the tests run as. */
export const SELF = posix.geteuid();

const RIGHTS = ["STORE_REGEX", "RETRIEVE_REGEX", "LIST", "GETDUMP", "SETDUMP"] as const;

/** The rights of a rule by the last part of their variables' names. */
export type Rights = Readonly<Partial<Record<(typeof RIGHTS)[number], string>>>;

export const ALL_RIGHTS: Rights = Object.fromEntries(RIGHTS.map((right) => [right, "\n"]));

/** The files of a directory of rules with one rule. */
export function ruleFiles(
  rights: Rights = ALL_RIGHTS,
  directory = "rules",
  key = `uid/${SELF}`,
): Record<string, string> {
  const granted = Object.entries(rights).map(([right, text]) => {
    return [`${directory}/${key}/env/S6_FDHOLDER_${right}`, text];
  });
  return { [`${directory}/${key}/allow`]: "", ...Object.fromEntries(granted) };
}

/** A listening socket at a path, for `fds: { 0: ... }`. */
export function listenAt(path: string): Fd {
  const fd = posix.socket("unix", "stream");
  posix.bind(fd, { family: "unix", path });
  posix.listen(fd, 4096);
  return fd;
}

/** The file of s6-fdholderd, ours unless told otherwise. */
export interface HolderOptions {
  readonly words?: readonly string[];
  readonly socket?: string;
  readonly file?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Start a holder at a socket of the scene and wait until it serves. */
export async function startHolder(
  scene: Scene,
  { words = ["-i", "rules"], socket = "s", file, env = {} }: HolderOptions = {},
): Promise<SceneProcess> {
  const listener = listenAt(scene.path(socket));
  const options = { fds: { 0: listener }, env };
  const holder =
    file === undefined
      ? scene.start("s6-fdholderd", ["-1", ...words], options)
      : scene.execute(file, ["-1", ...words], options);
  posix.close(listener);
  await holder.line(/^$/);
  return holder;
}

/** A client of the library, connected to a holder. */
export async function connectClient(path: string, timeoutMs = 10_000): Promise<HolderClient> {
  const deadline = deadlineAfter(systemClock, timeoutMs);
  return await HolderClient.connect(path, { posix, clock: systemClock, deadline });
}

/** A client that sends bytes as it likes. */
export class RawClient implements Disposable {
  readonly fd: Fd;
  readonly #reader = new UnixMessageReader();

  constructor(path: string) {
    this.fd = posix.socket("unix", "stream");
    posix.connect(this.fd, { family: "unix", path });
  }

  /** Send bytes in one piece, with descriptors. */
  send(bytes: Uint8Array | string, fds: readonly number[] = []): void {
    const raw = typeof bytes === "string" ? Buffer.from(bytes.replaceAll(" ", ""), "hex") : bytes;
    posix.sendMessage(this.fd, raw, fds as Fd[]);
  }

  /** Send a message with this body. */
  ask(body: Uint8Array | string, fds: readonly number[] = []): void {
    const raw = typeof body === "string" ? Buffer.from(body.replaceAll(" ", ""), "hex") : body;
    this.send(formatUnixMessage(raw, fds.length), fds);
  }

  /** The next message, its body in hexadecimal digits; undefined at the end of the connection. */
  async receive(timeoutMs = 10_000): Promise<{ body: string; fds: readonly Fd[] } | undefined> {
    const deadline = deadlineAfter(systemClock, timeoutMs);
    const buffer = Buffer.alloc(1 << 16);
    for (;;) {
      const next = this.#reader.next();
      if (next.kind === "invalid") throw new Error(next.why);
      if (next.kind === "message") return inHex(next);
      if (!(await waitReady(posix, this.fd, { readable: true }, deadline))) {
        throw new Error("no message has come");
      }
      const received = receiveOr(this.fd, buffer);
      if (received === undefined || received.bytes === 0) return undefined;
      this.#reader.feed(buffer.subarray(0, received.bytes), received.fds, received.lostFds);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#reader.takeFds()) posix.close(fd);
    posix.close(this.fd);
  }
}

function inHex({ body, fds }: UnixMessage): { body: string; fds: readonly Fd[] } {
  return { body: Buffer.from(body).toString("hex"), fds };
}

/** A connection that was reset has ended. */
function receiveOr(fd: Fd, buffer: Uint8Array): ReturnType<typeof posix.receiveMessage> {
  try {
    return posix.receiveMessage(fd, buffer);
  } catch {
    return undefined;
  }
}

/** The body of a request to store, with a limit in the year 2106. */
export function storeBody(id: string): Buffer {
  const limit = Buffer.from("400000010000000000000000", "hex");
  return Buffer.concat([Buffer.from("S"), limit, Buffer.of(id.length), Buffer.from(`${id}\0`)]);
}

/** The files behind the open descriptors of a process that are pipes, by inode. */
export function openPipes(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
    .filter((target) => target.startsWith("pipe:"))
    .toSorted();
}

/** What /proc calls the pipe behind one of our descriptors. */
export function pipeOf(fd: Fd): string {
  return linkOf(`/proc/self/fd/${fd}`);
}

/** How many descriptors a holder has open once it has answered a client, and has nothing left to do. */
export async function idleCount(pid: number, client: HolderClient): Promise<number> {
  await client.list();
  await client.list();
  return openCount(pid);
}

/** How many descriptors a process has open. */
export function openCount(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The target of a symbolic link; empty where it is gone by now. */
export function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // closed since it was listed
  }
}

/** The processor time of a process so far, in ticks. */
export function processorTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
