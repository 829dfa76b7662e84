/** s6-setlock: hold a lock while the program runs (supervision.md, 11.1; local-services.md, 5). */

import { defineLink, end, EXIT, goOn, withDescriptors } from "../index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import { choice, descriptorNumber, milliseconds, value } from "../../options/index.ts";
import { errnoOf, SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";

const NAME = "s6-setlock";

/** The time between two attempts to take the lock while there is a limit to the waiting. */
const RETRY_MS = 20;

const FILE_MODE = 0o666;

const OPTIONS = {
  kind: choice<"shared" | "exclusive">("exclusive", [
    { short: "r", value: "shared", help: "a shared lock" },
    { short: "w", value: "exclusive", help: "an exclusive lock (the default)" },
  ]),
  waits: choice(true, [
    { short: "n", value: false, help: "fail at once when the lock is held by another" },
    { short: "N", value: true, help: "wait for the lock (the default)" },
  ]),
  timeoutMs: value(
    { short: "t", argument: "ms", help: "wait no longer than this; 0 is for ever" },
    milliseconds,
  ),
  descriptor: value(
    { short: "d", argument: "fd", help: "the descriptor of the lock in the program" },
    descriptorNumber,
  ),
};

type Words = LinkWords<typeof OPTIONS>;

export const setlock = defineLink({
  name: NAME,
  summary: "run a program under a lock",
  family: "short",
  options: OPTIONS,
  operands: ["lockfile"],
  program: "required",
  reach: "process",
  describe: ({ options: { kind }, operands: [file] }) => [`takes an ${kind} lock on ${file}`],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  async run(launch, words, context): Promise<Outcome> {
    const fd = openLock(words, context);
    if (fd === undefined) return end(EXIT.system);
    const number = words.options.descriptor ?? fd;
    if (number >= openFilesMax(launch, context.posix)) {
      context.report(
        NAME,
        "fatal",
        `unable to move lock descriptor: ${context.posix.strerror("EBADF")}`,
      );
      return end(EXIT.system);
    }
    if (!(await take(fd, words, context))) return end(EXIT.refused);
    return goOn({ ...withDescriptors(launch, [[number, fd]]), argv: words.program });
  },
});

/** The limit on descriptor numbers that the program will have, as far as it is known already. */
function openFilesMax({ limits }: Launch, posix: Posix): number {
  return (limits.get("nofile") ?? posix.getrlimit("nofile")).soft;
}

function openLock({ options, operands }: Words, context: LinkContext): Fd | undefined {
  const [file = ""] = operands;
  return options.kind === "exclusive" ? openToWrite(file, context) : openToRead(file, context);
}

function openToWrite(file: string, context: LinkContext): Fd | undefined {
  return attempt(`open ${file} for writing`, context, (posix) =>
    posix.open(file, "write", { nonblocking: true, create: FILE_MODE }),
  );
}

/** A file that is not there is made first. */
function openToRead(file: string, context: LinkContext): Fd | undefined {
  const { posix } = context;
  const present = attempt(`open ${file} for reading`, context, () => openPresent(posix, file));
  if (present !== "ENOENT") return present;
  const created = attempt(`create ${file}`, context, () =>
    posix.open(file, "write", { nonblocking: true, create: FILE_MODE }),
  );
  if (created === undefined) return undefined;
  posix.close(created);
  return attempt(`open ${file} for reading`, context, () =>
    posix.open(file, "read", { nonblocking: true }),
  );
}

function openPresent(posix: Posix, file: string): Fd | "ENOENT" {
  try {
    return posix.open(file, "read", { nonblocking: true });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "ENOENT";
    throw error;
  }
}

/**
 * Take the lock; false, and told, when it cannot be had. It belongs to the open file, so that the
 * program has it by whatever number it gets.
 */
async function take(fd: Fd, { options, operands }: Words, context: LinkContext): Promise<boolean> {
  const { waits, timeoutMs } = options;
  const { posix, report } = context;
  const [file = ""] = operands;
  const refuse = (why: string): false => {
    report(NAME, "fatal", `unable to lock ${file}: ${why}`);
    return false;
  };
  try {
    const outcome = tryOnce(fd, options, context);
    if (outcome === "taken") return true;
    if (!waits) return refuse(posix.strerror("EBUSY"));
    if (timeoutMs === undefined) {
      return outcome === "heldHere"
        ? refuse(posix.strerror("EDEADLK"))
        : wait(fd, options, context);
    }
    if (await retry(fd, options, context)) return true;
    report(NAME, "fatal", `lock ${file}: timed out`);
    return false;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return refuse(error.message);
  }
}

/** "heldHere": an earlier link of this very chain has it, which goes on only when we do. */
function tryOnce(
  fd: Fd,
  { kind }: Words["options"],
  { host }: LinkContext,
): "taken" | "heldHere" | "heldElsewhere" {
  return host.locks.take(fd, kind, NAME).kind;
}

/** Wait in the kernel: nothing else lives in a process whose chain is not at its end. */
function wait(fd: Fd, options: Words["options"], context: LinkContext): boolean {
  context.posix.recordLock(fd, options.kind, true);
  return tryOnce(fd, options, context) === "taken";
}

/** Try until the time is over. There is no waiting for a record lock in the event loop. */
async function retry(fd: Fd, options: Words["options"], context: LinkContext): Promise<boolean> {
  const { clock } = context;
  const deadline = deadlineAfter(clock, options.timeoutMs);
  while (deadline?.hasPassed() === false) {
    const delayMs = Math.min(RETRY_MS, deadline.remainingMs());
    await new Promise<void>((resolve) => clock.setTimer(delayMs, resolve));
    if (tryOnce(fd, options, context) === "taken") return true;
  }
  return false;
}

/** The result of a call, or undefined when it failed, which is told. */
function attempt<T>(
  action: string,
  context: LinkContext,
  call: (posix: Posix) => T,
): T | undefined {
  try {
    return call(context.posix);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    context.report(NAME, "fatal", `unable to ${action}: ${error.message}`);
    return undefined;
  }
}
