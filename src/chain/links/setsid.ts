/** s6-setsid: a new session or process group for the program (supervision.md, 11.2). */

import { defineLink, descriptorAt, end, EXIT, goOn } from "../index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../index.ts";
import { choice, descriptorNumber, value } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";

const NAME = "s6-setsid";

const OPTIONS = {
  kind: choice<"session" | "background" | "foreground" | "grab">("session", [
    { short: "s", long: "session", value: "session", help: "a new session (the default)" },
    {
      short: "b",
      long: "background-process-group",
      value: "background",
      help: "a new background process group",
    },
    { long: "process-group", value: "background", help: "the same as -b" },
    {
      short: "f",
      long: "foreground-process-group",
      value: "foreground",
      help: "a new process group, made the foreground one of the terminal",
    },
    { long: "foreground", value: "foreground", help: "the same as -f" },
    {
      short: "g",
      long: "foreground-process-group-grab",
      value: "grab",
      help: "as -f, even from a background process group, which would be stopped",
    },
    { long: "grab", value: "grab", help: "the same as -g" },
  ]),
  onFailure: choice<"fail" | "warn" | "ignore">("warn", [
    { short: "i", long: "strict", value: "fail", help: "do not run the program on failure" },
    { short: "I", long: "no-strict", value: "warn", help: "warn of a failure (the default)" },
    { short: "q", long: "quiet", value: "ignore", help: "do not even warn of a failure" },
  ]),
  terminal: value(
    {
      short: "d",
      long: "ctty",
      argument: "fd",
      help: "the descriptor of the terminal, instead of /dev/tty",
    },
    descriptorNumber,
  ),
};

type Words = LinkWords<typeof OPTIONS>;

export const setsid = defineLink({
  name: NAME,
  summary: "run a program in a new session or process group",
  family: "long",
  options: OPTIONS,
  operands: [],
  program: "required",
  reach: "anywhere",
  reachFor: (words) => (takesTerminal(words) ? "process" : "anywhere"),
  preview: (launch, words) => goOn(plan(launch, words)),
  describe: (words) =>
    takesTerminal(words) ? ["makes a new process group the foreground one of its terminal"] : [],
  run(launch, words, context) {
    const calls = context.isBecoming
      ? callsFor(launch, words, context)
      : clashesOf(launch, words, context.posix);
    if (calls === undefined) return end(EXIT.system);
    return attempt(calls, words, context) ?? goOn(after(launch, words, context));
  },
});

function takesTerminal({ options }: Words): boolean {
  return options.kind === "foreground" || options.kind === "grab";
}

/** The launch of a child that gets its session or process group from the process that creates it. */
function plan(launch: Launch, { options, program }: Words): Launch {
  const isSession = options.kind === "session";
  return { ...launch, argv: program, session: isSession ? "setsid" : "background" };
}

/** A child that leads a group or a session already keeps what it has. */
function after(launch: Launch, words: Words, { isBecoming }: LinkContext): Launch {
  if (isBecoming || launch.session !== undefined) return { ...launch, argv: words.program };
  return plan(launch, words);
}

type Call = () => void;

/** The calls to make when this process itself becomes the program; undefined without a terminal. */
function callsFor(launch: Launch, words: Words, context: LinkContext): Call[] | undefined {
  const { posix } = context;
  if (words.options.kind === "session") return [() => posix.setsid()];
  const background = (): void => posix.setpgid(0, 0);
  if (!takesTerminal(words)) return [background];
  const terminal = openTerminal(launch, words, context);
  if (terminal === undefined) return undefined;
  return [background, () => takeTerminal(terminal, words, posix)];
}

/** The calls that the kernel would refuse to a child whose session or group an earlier link has made. */
function clashesOf({ session }: Launch, { options }: Words, posix: Posix): Call[] {
  if (session === undefined) return [];
  const syscall = options.kind === "session" ? "setsid" : "setpgid";
  if (session === "background" && syscall === "setpgid") return [];
  const text = posix.strerror("EPERM");
  return [
    () => {
      throw new SystemError("EPERM", EPERM, syscall, text);
    },
  ];
}

const EPERM = 1;

interface Terminal {
  readonly fd: Fd;
  readonly isOurs: boolean;
}

/** The terminal to take; undefined, and told, when there is no /dev/tty to open. */
function openTerminal(
  launch: Launch,
  { options }: Words,
  { posix, report }: LinkContext,
): Terminal | undefined {
  if (options.terminal !== undefined) {
    return { fd: descriptorAt(launch, options.terminal), isOurs: false };
  }
  try {
    return { fd: posix.open("/dev/tty", "readwrite"), isOurs: true };
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(NAME, "fatal", `unable to open /dev/tty: ${error.message}`);
    return undefined;
  }
}

function takeTerminal({ fd, isOurs }: Terminal, { options }: Words, posix: Posix): void {
  try {
    posix.tcsetpgrp(fd, posix.getpid(), options.kind === "grab");
  } finally {
    if (isOurs) posix.close(fd);
  }
}

/** Make the calls; failures end the chain, are told or are not, as the options have it. */
function attempt(calls: readonly Call[], words: Words, context: LinkContext): Outcome | undefined {
  const { onFailure } = words.options;
  for (const call of calls) {
    try {
      call();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (onFailure === "ignore") continue;
      const kind = onFailure === "fail" ? "fatal" : "warning";
      context.report(NAME, kind, `unable to ${error.syscall}: ${error.message}`);
      if (onFailure === "fail") return end(EXIT.system);
    }
  }
  return undefined;
}
