/** s6-getservbyname: the port of a service name (networking.md, section 11.2). */

import { EXIT } from "../../chain/index.ts";
import { defineCommand } from "../../command/index.ts";
import { parsePort } from "../../net/index.ts";

export const getservbyname = defineCommand({
  name: "s6-getservbyname",
  summary: "print the port number of a service",
  family: "none",
  options: {},
  operands: "service proto",
  operandCount: [2, 2],
  run({ posix, print }, _options, [service = "", protocol = ""]) {
    const port = parsePort(service) ?? posix.servicePort(service, protocol);
    if (port === undefined) return EXIT.refused;
    print(`${port}\n`);
    return EXIT.ok;
  },
});
