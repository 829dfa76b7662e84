/** s6-fghack: stay in the foreground for a program that goes to the background (supervision.md, 6.5). */

import { defineLink, end, EXIT, exitCodeOf, isOwnDescriptor, Spawner } from "../index.ts";
import { withDescriptors } from "../index.ts";
import type { Launch, LinkContext, Spawned } from "../index.ts";
import { runTask } from "../../host/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix, WaitStatus } from "../../posix/index.ts";

const NAME = "s6-fghack";

/** The program gets so many descriptors of the pipe: daemons close some, rarely as many. */
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
    const ended = await runTask(context.host, NAME, (faces) =>
      stay({ ...launch, argv: program }, { ...context, ...faces }),
    );
    return end(exitCodeOf(ended));
  },
});

/** Run the program of the launch, and stay until everything it has started is over; the exit code. */
async function stay(launch: Launch, context: LinkContext): Promise<number> {
  const [word = ""] = launch.argv;
  const [reader, writer] = context.posix.pipe();
  const spawner = new Spawner(NAME, { ...context, isBecoming: false });
  const result = await spawner.spawn(withWriters(launch, writer, context));
  context.posix.close(writer);
  if (result.kind === "ended") return result.exitCode;
  const hold: Hold = { reader, word };
  if (result.kind === "child") return outlast(result, spawner, hold, context);
  return reportFailure(result.error, hold, context);
}

function withWriters(launch: Launch, writer: Fd, { posix }: LinkContext): Launch {
  const taken = new Set(launch.descriptors.keys());
  const writers = freeNumbers(posix, taken).map((fd): [number, Fd] => [fd, writer]);
  return withDescriptors(launch, writers);
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
  spawned: Spawned,
  spawner: Spawner,
  hold: Hold,
  context: LinkContext,
): Promise<number> {
  const ended = new Promise<WaitStatus | SystemError>((resolve) => {
    spawner.follow(spawned, { ended: resolve });
  });
  if (await hasData(hold.reader, context.posix)) {
    context.report(NAME, "fatal", `${hold.word} wrote on hackpipe`);
    return EXIT_WROTE;
  }
  const end = await ended;
  return end instanceof SystemError ? reportFailure(end, hold, context) : approximateCode(end);
}

function reportFailure(error: SystemError, { word }: Hold, { report }: LinkContext): number {
  report(NAME, "fatal", `unable to spawn ${word}: ${error.message}`);
  return EXIT.system;
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
