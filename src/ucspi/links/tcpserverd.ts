/** s6-tcpserverd: serve each connection to the listening socket on stdin (networking.md, section 5). */

import { defineLink, end, EXIT } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { flag, InvalidArgument, milliseconds, unsigned, value } from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import { LOCAL_ADDRESS, REFUSALS, serveTcp, tcpPreview } from "../index.ts";

/** The most connections a server will hold, whatever it is told. */
const CONNECTIONS_MAX = 16_384;
const CONNECTIONS_DEFAULT = 40;

const OPTIONS = {
  verbosity: value(
    {
      short: "v",
      argument: "verbosity",
      help: "0: fatal errors only, 1: warnings and rejections too, 2: every connection",
    },
    unsigned,
    1,
  ),
  announces: flag({
    short: "1",
    help: "write the local port and a newline to standard output when ready",
  }),
  maxConnections: value(
    {
      short: "c",
      argument: "maxconn",
      help: "serve at most this many connections at a time, 40 by default and 16384 at most",
    },
    (text) => Math.max(1, Math.min(unsigned(text), CONNECTIONS_MAX)),
    CONNECTIONS_DEFAULT,
  ),
  maxPerAddress: value(
    {
      short: "C",
      argument: "localmaxconn",
      help: "serve at most this many connections from one address at a time, 40 by default",
    },
    (text) => Math.max(1, unsigned(text)),
    CONNECTIONS_DEFAULT,
  ),
  drain: value(
    {
      long: "drain",
      argument: "ms",
      help: "on SIGTERM stop accepting and wait this long for the connections (0: without end)",
      ours: true,
    },
    drainTime,
  ),
  localAddress: LOCAL_ADDRESS,
  refusals: REFUSALS,
};

export type TcpServerdOptions = OptionsOf<typeof OPTIONS>;

export const tcpserverd = defineLink({
  name: "s6-tcpserverd",
  summary: "the super-server proper: serve the connections to a listening TCP socket",
  family: "short",
  options: OPTIONS,
  operands: [],
  program: "required",
  reach: "process",
  describe: (words) => describe(words),
  inner: (words, launch) => tcpPreview(launch, words.program),
  async run(launch: Launch, { options, program }, context: LinkContext): Promise<Outcome> {
    return end(await serveTcp({ ...launch, argv: program }, options, context));
  },
  preview: () => end(EXIT.ok),
});

/** Milliseconds, where 0 is "as long as it takes" and must not get lost as "not given". */
function drainTime(text: string): number {
  if (text === "0") return Infinity;
  const ms = milliseconds(text);
  if (ms === undefined) throw new InvalidArgument("a number of milliseconds");
  return ms;
}

function describe({ options }: LinkWords<typeof OPTIONS>): readonly string[] {
  const { maxConnections, maxPerAddress } = options;
  return [
    `serves at most ${maxConnections} connections, ${Math.min(maxPerAddress, maxConnections)} from one address`,
    "for each connection, which is on descriptors 0 and 1:",
  ];
}
