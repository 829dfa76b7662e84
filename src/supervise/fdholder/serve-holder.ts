/**
 * s6-fdholderd as a process: one resident, what it is given, and what the signals of the process ask of it
 * (local-services.md, section 9.1).
 */

import { descriptorAt, EXIT, exitCodeOf } from "../../chain/index.ts";
import type { Launch, LinkContext } from "../../chain/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { announce, NOTIFY_SOCKET, notifyManager } from "../../host/index.ts";
import type { Hosted } from "../../host/index.ts";
import { encodeBytes, SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { FdStore } from "./fd-store.ts";
import type { FdStoreOptions } from "./fd-store.ts";
import { HolderRulesError, openHolderRules } from "./holder-rules.ts";
import { HOLDER_CLIENTS_MAX } from "./options.ts";
import type { FDHOLDERD_OPTIONS } from "./options.ts";

const NAME = "s6-fdholderd";

type FdholderdOptions = OptionsOf<typeof FDHOLDERD_OPTIONS>;

/** Descriptors that are neither held nor clients: Node's own, files of rules, those of one request. */
const RESERVE = 64;

/** Hold descriptors for the clients of the socket on descriptor 0 until a signal ends it; the exit code. */
export async function serveHolder(
  launch: Launch,
  options: FdholderdOptions,
  context: LinkContext,
): Promise<number> {
  const prepared = prepare(launch, options, context);
  if (typeof prepared === "number") return prepared;
  const { host, report } = context;
  const { promise: isReady, resolve: ready } = promiseOfReadiness();
  const hosted = host.run(({ posix, clock }) => new FdStore({ ...prepared, posix, clock, ready }));
  obeySignals(hosted, launch, context);
  // Whoever is told that it is ready may send it signals.
  void isReady.then(() => tellReadiness(launch, options, context));
  try {
    return exitCodeOf(await hosted.ended);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(NAME, "fatal", `unable to take over from the holder on stdin: ${error.message}`);
    return EXIT.system;
  }
}

function promiseOfReadiness(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

/** The options of the holder, or an exit code; why has been reported. */
function prepare(
  launch: Launch,
  options: FdholderdOptions,
  context: LinkContext,
): Omit<FdStoreOptions, "posix" | "clock" | "ready"> | number {
  const { posix, report } = context;
  const fail = (exitCode: number, text: string): number => {
    report(NAME, "fatal", text);
    return exitCode;
  };
  const { rules: source, takesOver, announces, verbosity } = options;
  if (source === undefined) return fail(EXIT.usage, "no access rights specified!");
  const [stdin, stdout] = [descriptorAt(launch, 0), descriptorAt(launch, 1)];
  const problem = problemOf(stdin, takesOver, posix);
  if (problem !== undefined) return fail(EXIT.usage, problem);
  if (announces && !posix.isOpen(stdout)) return fail(EXIT.usage, "stdout is not open");
  const warn = (text: string): void => {
    if (verbosity >= 1) report(NAME, "warning", text);
  };
  const clientsMax = Math.min(options.clientsMax, HOLDER_CLIENTS_MAX);
  const entriesMax = entriesThatFit(options.entriesMax, clientsMax, posix);
  if (entriesMax < 1) {
    const { hard } = posix.getrlimit("nofile");
    return fail(EXIT.system, `a limit of ${hard} open files is too low for ${clientsMax} clients`);
  }
  if (entriesMax < options.entriesMax) {
    warn(
      `only ${entriesMax} descriptors will be held: the limit on open files is too low for more`,
    );
  }
  const socket = takesOver ? { predecessor: stdin } : { listener: stdin };
  try {
    const rules = openHolderRules(source, posix);
    posix.setCloseOnExec(stdin, true);
    return {
      ...{ socket, rules, clientsMax, entriesMax, warn },
      ...{ perUserMax: options.perUserMax, answerMs: options.answerMs },
      ...{ drainMs: options.drainMs, idleMs: options.idleMs },
    };
  } catch (error) {
    if (!(error instanceof HolderRulesError)) throw error;
    return fail(error.fault === "input" ? EXIT.usage : EXIT.system, error.message);
  }
}

/** The reason why the socket on standard input cannot be used; undefined when it can. */
function problemOf(stdin: Fd, takesOver: boolean, posix: Posix): string | undefined {
  if (!posix.isOpen(stdin) || !posix.isSocket(stdin)) return "stdin is not a socket";
  if (posix.getsockname(stdin).family !== "unix") return "stdin is not a Unix socket";
  if (posix.socketType(stdin) !== "stream") return "stdin is not a stream socket";
  const isListening = posix.isListening(stdin);
  if (takesOver && isListening) return "stdin is a listening socket, not a connection to a holder";
  return takesOver || isListening ? undefined : "stdin is not a listening socket";
}

/** The most entries for which there are descriptors, beside those of the clients. */
function entriesThatFit(wanted: number, clientsMax: number, posix: Posix): number {
  const { hard } = posix.getrlimit("nofile");
  return Math.min(wanted, hard - clientsMax - RESERVE);
}

function tellReadiness(
  launch: Launch,
  { announces }: FdholderdOptions,
  context: LinkContext,
): void {
  const { posix, report } = context;
  const stdout = descriptorAt(launch, 1);
  if (posix.isOpen(stdout)) {
    announce(context, {
      fd: stdout,
      bytes: encodeBytes(announces ? "\n" : ""),
      failed: (why) => report(NAME, "warning", `unable to write to stdout: ${why}`),
    });
  }
  tellManager("READY=1", launch, context);
}

function tellManager(notification: string, { environment }: Launch, context: LinkContext): void {
  const socket = environment.get(NOTIFY_SOCKET);
  if (socket === undefined || socket === "") return;
  const why = notifyManager(context.posix, socket, notification);
  if (why !== undefined) {
    context.report(NAME, "warning", `unable to notify the manager at $${NOTIFY_SOCKET}: ${why}`);
  }
}

/** SIGTERM stops it, SIGHUP has it read its rules again. */
function obeySignals(
  { resident, stop }: Hosted<FdStore>,
  launch: Launch,
  context: LinkContext,
): void {
  context.host.signals.on(["SIGTERM"], () => {
    tellManager("STOPPING=1", launch, context);
    stop("drain");
  });
  context.host.signals.on(["SIGHUP"], () => {
    const why = resident.reload();
    if (why !== undefined) context.report(NAME, "warning", `the rules stay as they were: ${why}`);
  });
}
