/** ucspi-listenfds: a listening socket that a service manager has passed as stdin (sd_listen_fds(3)). */

import {
  defineLink,
  descriptorAt,
  end,
  EXIT,
  goOn,
  withDescriptors,
  withEnvironment,
} from "../../chain/index.ts";
import type { Launch, LinkContext, Source } from "../../chain/index.ts";
import { LISTEN_FDS_REMOVED, readListenFds, VariableError } from "../../net/index.ts";
import type { PassedFd } from "../../net/index.ts";
import { list, text } from "../../options/index.ts";
import { extraListenersEdit } from "../index.ts";

const NAME = "ucspi-listenfds";

export const ucspiListenfds = defineLink({
  name: NAME,
  summary: "give a program the listening sockets that systemd has opened",
  family: "long",
  options: {
    names: list(
      {
        long: "only",
        argument: "name",
        help: "take the sockets of this name only (LISTEN_FDNAMES); may be repeated",
        ours: true,
      },
      text,
    ),
  },
  operands: [],
  program: "required",
  reach: "process",
  describe: () => ["takes the first socket of LISTEN_FDS as descriptor 0"],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  run(launch, { options: { names }, program }, context) {
    const passed = passedTo(launch, context);
    if (passed === undefined) return end(EXIT.usage);
    const wanted = passed.filter(({ name = "unknown" }) => {
      return names.length === 0 || names.includes(name);
    });
    const [first, ...others] = wanted;
    if (first === undefined) {
      context.report(NAME, "fatal", "no such socket in LISTEN_FDS");
      return end(EXIT.usage);
    }
    letGo(
      passed.filter((one) => !wanted.includes(one)),
      launch,
      context,
    );
    return goOn({ ...withSockets(launch, passed, first, others), argv: program });
  },
});

function passedTo(launch: Launch, context: LinkContext): readonly PassedFd[] | undefined {
  try {
    return readListenFds((name) => launch.environment.get(name), context.posix.getpid());
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    context.report(NAME, "fatal", error.message);
    return undefined;
  }
}

/**
 * Close the sockets that are not asked for, even where a server in this process goes on: their clients would wait
 * for it. The numbers stay taken, as no file of ours may get them.
 */
function letGo(unwanted: readonly PassedFd[], launch: Launch, { posix }: LinkContext): void {
  if (unwanted.length === 0) return;
  const nothing = posix.open("/dev/null", "read");
  for (const { number } of unwanted) {
    const fd = descriptorAt(launch, number);
    if (posix.isOpen(fd)) posix.dup2(nothing, fd, true);
  }
  posix.close(nothing);
}

/** The first is stdin, the others are named for the super-servers, and those not asked for are closed. */
function withSockets(
  launch: Launch,
  passed: readonly PassedFd[],
  first: PassedFd,
  others: readonly PassedFd[],
): Launch {
  const kept = others.map(({ number }) => descriptorAt(launch, number));
  const closed = passed
    .filter((one) => !others.includes(one))
    .map(({ number }): [number, Source] => [number, "closed"]);
  const stdin: [number, Source] = [0, descriptorAt(launch, first.number)];
  const edits = kept.length === 0 ? [] : [extraListenersEdit(kept)];
  return withDescriptors(withEnvironment(launch, [...LISTEN_FDS_REMOVED, ...edits]), [
    stdin,
    ...closed,
  ]);
}
