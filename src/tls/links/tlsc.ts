/** s6-tlsc: a program before TLS, with the server on descriptors 6 and 7 (networking.md, section 15). */

import { defineLink } from "../../chain/index.ts";
import { clientCommand, securing, TLSC_OPTIONS } from "../index.ts";

const NAME = "s6-tlsc";

export const tlsc = defineLink({
  name: NAME,
  summary: "speak TLS with the server of a connection, and run a program in clear before it",
  family: "long",
  options: TLSC_OPTIONS,
  operands: [],
  program: "required",
  ...securing<typeof TLSC_OPTIONS>((options, context) => clientCommand(NAME, options, context)),
});
