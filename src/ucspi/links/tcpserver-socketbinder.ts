/** s6-tcpserver-socketbinder: a bound, listening socket as stdin (networking.md, section 4). */

import { defineLink, end, EXIT, goOn, withEnvironment, withOpened } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { formatIp, toSocketAddress } from "../../net/index.ts";
import type { Endpoint } from "../../net/index.ts";
import { UsageError } from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { extraListenersEdit, parseListenOperands, SOCKETBINDER_OPTIONS } from "../index.ts";

const NAME = "s6-tcpserver-socketbinder";

type Options = OptionsOf<typeof SOCKETBINDER_OPTIONS>;

export const tcpserverSocketbinder = defineLink({
  name: NAME,
  summary: "bind a TCP or UDP socket and give it to a program as its stdin",
  family: "long",
  options: SOCKETBINDER_OPTIONS,
  operands: ["ip", "port"],
  program: "required",
  reach: "identity",
  describe: ({ options, operands }) => [
    `binds to ${[operands.join(" port "), ...options.also.map(formatListener)].join(", ")}`,
  ],
  preview: (launch, { program }) => goOn({ ...launch, argv: program }),
  run(launch, words, context) {
    const endpoint = parseListenOperands(words.operands);
    if (endpoint === undefined)
      throw new UsageError(`not an address: ${words.operands.join(" ")}`, true);
    return bindAll(launch, words, endpoint, context);
  },
});

function bindAll(
  launch: Launch,
  { options, program }: LinkWords<typeof SOCKETBINDER_OPTIONS>,
  endpoint: Endpoint,
  context: LinkContext,
): Outcome {
  const { posix, report } = context;
  const opened: Fd[] = [];
  try {
    for (const target of [endpoint, ...options.also])
      opened.push(openListener(target, options, posix));
  } catch (error) {
    if (!(error instanceof BindError)) throw error;
    for (const fd of opened) posix.close(fd);
    report(NAME, "fatal", error.message);
    return end(EXIT.system);
  }
  return goOn(handOver({ ...launch, argv: program }, opened, context));
}

/** The first socket becomes stdin; the others keep the numbers they get, and are named. */
function handOver(launch: Launch, [first, ...others]: readonly Fd[], context: LinkContext): Launch {
  if (first === undefined) return launch;
  const kept = others.map((fd) => {
    const high = context.posix.dup(fd, EXTRA_FD_MIN);
    context.posix.close(fd);
    return high;
  });
  const placed = kept.map((fd): [number, Fd] => [fd, fd]);
  const bound = withOpened(launch, [[0, first], ...placed], context);
  return kept.length === 0 ? bound : withEnvironment(bound, [extraListenersEdit(kept)]);
}

/** Above the numbers that run scripts use for notification and the like. */
const EXTRA_FD_MIN = 100;

class BindError extends Error {
  override readonly name = "BindError";
}

function openListener(endpoint: Endpoint, options: Options, posix: Posix): Fd {
  const fd = attempt("create socket", () =>
    posix.socket(endpoint.address.family === 4 ? "inet" : "inet6", options.type),
  );
  const where = `${formatIp(endpoint.address)} port ${endpoint.port} `;
  try {
    if (options.reusesAddress) posix.setReuseAddress(fd, true);
    attempt(`bind to ${where}`, () => posix.bind(fd, toSocketAddress(endpoint)));
    if (options.backlog > 0) attempt(`listen to ${where}`, () => posix.listen(fd, options.backlog));
    if (options.blocks) posix.setNonblocking(fd, false);
    return fd;
  } catch (error) {
    posix.close(fd);
    throw error;
  }
}

function attempt<T>(action: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new BindError(`unable to ${action}: ${error.message}`, { cause: error });
  }
}

function formatListener({ address, port }: Endpoint): string {
  return `${formatIp(address)} port ${port}`;
}
