/** s6-fghack: stay in the foreground for a program that goes to the background (supervision.md, 6.5). */

import { Children, defineLink, end, EXIT, isOwnDescriptor, Spawner } from "../index.ts";
import { withDescriptors } from "../index.ts";
import type { Launch, LinkContext, SpawnResult } from "../index.ts";
import type { Child, Fd, Posix, WaitStatus } from "../../posix/index.ts";

const NAME = "s6-fghack";

/** How many descriptors of the pipe the program gets: daemons close some, rarely as many. */
const WRITERS = 31;

/** The program wrote to the pipe. */
const EXIT_WROTE = 102;

/** A program's exit code as far as ours can tell it: above, codes tell of signals. */
const EXIT_CODE_MAX = 128;

export const fghack = defineLink({
  name: NAME,
  summary: "wait for a program that puts itself into the background",
  family: "none",
  options: {},
  operands: [],
  program: "required",
  reach: "process",
  inner: ({ program }, launch) => ({ ...launch, argv: program }),
  describe: () => ["waits until no process holds the descriptors that the program was given"],
  async run(launch, { program }, context) {
    context.report(
      NAME,
      "warning",
      "this program is obsolescent, please use s6-background-watch instead",
    );
    const [word = ""] = program;
    const [reader, writer] = context.posix.pipe();
    const result = await spawn({ ...launch, argv: program }, writer, context);
    context.posix.close(writer);
    if (result.kind === "failed") {
      context.report(NAME, "fatal", `unable to spawn ${word}: ${result.error.message}`);
      return end(EXIT.system);
    }
    if (result.kind === "ended") return end(result.exitCode);
    return end(await outlast(result.child, { reader, word }, context));
  },
});

async function spawn(launch: Launch, writer: Fd, context: LinkContext): Promise<SpawnResult> {
  const taken = new Set(launch.descriptors.keys());
  const writers = freeNumbers(context.posix, taken).map((fd): [number, Fd] => [fd, writer]);
  const spawner = new Spawner(NAME, { ...context, isBecoming: false });
  return spawner.spawn(withDescriptors(launch, writers));
}

/** Numbers above 2 that the program would find closed. */
function freeNumbers(posix: Posix, taken: ReadonlySet<number>): number[] {
  const free: number[] = [];
  for (let fd = 3; free.length < WRITERS; fd += 1) {
    if (!taken.has(fd) && (!posix.isOpen(fd) || isOwnDescriptor(fd))) free.push(fd);
  }
  return free;
}

interface Hold {
  readonly reader: Fd;
  readonly word: string;
}

/** The exit code, once the pipe has no writer left and the program has ended. */
async function outlast(
  child: Child,
  { reader, word }: Hold,
  context: LinkContext,
): Promise<number> {
  const ended = new Promise<WaitStatus>((resolve) => {
    new Children(context.posix, context.signals).watch(child, resolve);
  });
  if (await hasData(reader, context.posix)) {
    context.report(NAME, "fatal", `${word} wrote on hackpipe`);
    return EXIT_WROTE;
  }
  return approximateCode(await ended);
}

/** Does anything arrive before the end of file? */
function hasData(reader: Fd, posix: Posix): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const watch = posix.watch(reader, { readable: true }, () => {
      watch.close();
      try {
        resolve(posix.read(reader, new Uint8Array(1)) !== 0);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

/** As the C suite has it: 128 + N for signal N, and no other code above 128. */
function approximateCode(status: WaitStatus): number {
  if (status.kind === "killed") return EXIT_CODE_MAX + status.signal;
  return Math.min(status.exitCode, EXIT_CODE_MAX);
}
