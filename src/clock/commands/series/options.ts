/** The options that s6-sntpclock and s6-taiclock have in common (networking.md, section 18.4). */

import { parsePort, PORT_MAX } from "../../../net/index.ts";
import { flag, milliseconds, parsedBy, unsigned, value } from "../../../options/index.ts";
import type { OptionsOf, OptionSpec } from "../../../options/index.ts";

export const SERIES_OPTIONS = {
  ignoresUncertainty: flag({
    short: "f",
    help: "print the offset even if it is more uncertain than errmax",
  }),
  verbosity: value(
    { short: "v", argument: "verbosity", help: "how much to say, 0 to 3 (1)" },
    unsigned,
    1,
  ),
  exchanges: value(
    { short: "r", argument: "roundtrips", help: "how many exchanges to make (10)" },
    unsigned,
    10,
  ),
  exchangeTimeoutMs: value(
    { short: "t", argument: "triptimeout", help: "how long to wait for an answer (2000 ms)" },
    milliseconds,
    2000,
  ),
  pauseMs: value(
    { short: "h", argument: "throttle", help: "how long to wait between two exchanges (0 ms)" },
    unsigned,
    0,
  ),
  totalTimeoutMs: value(
    { short: "T", argument: "totaltimeout", help: "how long all of it may take (10000 ms)" },
    milliseconds,
    10_000,
  ),
  uncertaintyMaxMs: value(
    { short: "e", argument: "errmax", help: "how uncertain the offset may be (100 ms)" },
    unsigned,
    100,
  ),
};

export type SeriesValues = OptionsOf<typeof SERIES_OPTIONS> & { readonly port: number };

const PORT_NUMBER = parsedBy(parsePort, `a port number up to ${PORT_MAX}`);

/** `-p`, with the port of the service as its default. */
export function portOption(help: string, port: number): OptionSpec<number> {
  return value({ short: "p", argument: "port", help: `${help} (${port})` }, PORT_NUMBER, port);
}
