/** Options that several commands of the super-server have, with one meaning. */

import { flag, oneOf, value } from "../options/index.ts";

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
