/** Options that several commands of the super-server have, with one meaning. */

import { flag, list, oneOf, unsigned, value } from "../options/index.ts";
import { parseEndpoint } from "./endpoint.ts";

export const ALSO = list(
  {
    long: "also",
    argument: "ip:port",
    help: "serve this address too, in the same process; may be repeated",
    ours: true,
  },
  parseEndpoint,
);

export const DRAIN = value(
  {
    long: "drain",
    argument: "ms",
    help: "on SIGTERM stop accepting and wait this long for the connections (0: without end)",
    ours: true,
  },
  unsigned,
);

export const LOCAL_ADDRESS = flag({
  long: "local-address",
  help: "tell each program its connection's own local address, not that of the listening socket",
  ours: true,
});

export const REFUSALS = value(
  {
    long: "refusals",
    argument: "text|json",
    help: "record each refused connection on standard error, as text or as a line of JSON",
    ours: true,
  },
  oneOf("text", "json"),
);
