/** s6-ucspitlsc: a program that starts TLS with its server when it likes to (networking.md, section 16). */

import { defineLink } from "../../chain/index.ts";
import { clientCommand, offering, TLSC_OPTIONS } from "../index.ts";

const NAME = "s6-ucspitlsc";

export const ucspitlsc = defineLink({
  name: NAME,
  summary: "let a program start TLS with the server of its connection (STARTTLS)",
  family: "long",
  options: TLSC_OPTIONS,
  operands: [],
  program: "required",
  ...offering<typeof TLSC_OPTIONS>((options, context) => clientCommand(NAME, options, context)),
});
