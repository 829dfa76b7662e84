/** s6-ucspitlsd: a program that starts TLS with its client when it likes to (networking.md, section 16). */

import { defineLink } from "../../chain/index.ts";
import { offering, serverCommand, UCSPITLSD_OPTIONS } from "../index.ts";

const NAME = "s6-ucspitlsd";

export const ucspitlsd = defineLink({
  name: NAME,
  summary: "let a program start TLS with the client of its connection (STARTTLS)",
  family: "long",
  options: UCSPITLSD_OPTIONS,
  operands: [],
  program: "required",
  ...offering<typeof UCSPITLSD_OPTIONS>((options, context) =>
    serverCommand(NAME, options, context),
  ),
});
