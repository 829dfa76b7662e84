/** s6-tlsd: a program behind TLS, for the client on descriptors 0 and 1 (networking.md, section 15). */

import { decide, openRules } from "../../access/index.ts";
import type { RulesSource } from "../../access/index.ts";
import { defineLink } from "../../chain/index.ts";
import type { Posix } from "../../posix/index.ts";
import { ruledServerCommand, securing, TLSD_OPTIONS } from "../index.ts";
import type { AdmitPeer } from "../index.ts";

const NAME = "s6-tlsd";

export const tlsd = defineLink({
  name: NAME,
  summary: "speak TLS with the client of a connection, and run a program in clear behind it",
  family: "long",
  options: TLSD_OPTIONS,
  operands: [],
  program: "required",
  ...securing<typeof TLSD_OPTIONS>((options, context) =>
    ruledServerCommand(NAME, options, context, openPeerRules),
  ),
});

function openPeerRules(source: RulesSource, posix: Posix): AdmitPeer {
  const rules = openRules(source, posix);
  return (peer) => decide(rules.checkClientCertificate(peer), posix);
}
