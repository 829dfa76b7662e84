/** The options of ucspi-cert, all actions together. */

import { flag, oneOf, parsedBy, text, unsigned, value } from "../../../options/index.ts";
import { DAYS_MAX, KEY_TYPES } from "../../index.ts";

import type { OptionsOf } from "../../../options/index.ts";

const DAYS = parsedBy((argument) => {
  const days = unsigned.parse(argument);
  return days >= 1 && days <= DAYS_MAX ? days : undefined;
}, `a number of days from 1 to ${DAYS_MAX}`);

export const OPTIONS = {
  keyType: value(
    {
      short: "t",
      long: "key-type",
      argument: "p256|p384|rsa2048|rsa3072|ed25519",
      help: "make a key of this type; without it p256, on the curve P-256",
      ours: true,
    },
    oneOf(...KEY_TYPES),
  ),
  days: value(
    {
      short: "d",
      long: "days",
      argument: "days",
      help: "let the certificate be valid for so many days; without it 397, and 3650 for an authority",
      ours: true,
    },
    DAYS,
  ),
  name: value(
    {
      short: "n",
      long: "name",
      argument: "name",
      help: "call the authority this, in 1 to 64 characters",
      ours: true,
    },
    text,
  ),
  force: flag({ short: "f", long: "force", help: "replace files that are there", ours: true }),
  renew: flag({
    short: "r",
    long: "renew",
    help: "replace the certificate and keep its key",
    ours: true,
  }),
  passphraseFile: value(
    {
      short: "p",
      long: "passphrase-file",
      argument: "file",
      help: "take the passphrase from the first line of this file, not of standard input",
      ours: true,
    },
    text,
  ),
};

export type Options = OptionsOf<typeof OPTIONS>;
