/** The options of the TLS commands: one table per command (networking.md, sections 14 to 16). */

import { descriptorAbove2, pick, unsigned, value } from "../../options/index.ts";
import type { OptionsOf } from "../../options/index.ts";
import {
  CERTIFICATE_RULES,
  CHANNEL,
  CLIENT_CERTIFICATE,
  CLOSING,
  ENGINE_VERBOSITY,
  HANDSHAKE_TIMEOUT,
  HANDSHAKES,
  KEEPS_VARIABLES,
  SENDS_CERTIFICATE,
  SERVER_NAME,
  SNI,
  SNI_LEVEL,
  TUNING,
  VERBOSITY,
  VERIFIES_CERTIFICATE,
  VERIFIES_NAME,
} from "./declarations.ts";

/** s6-ucspitlsd. The order of these tables is the one in which the C suite writes the options. */
export const UCSPITLSD_OPTIONS = {
  verbosity: VERBOSITY,
  ...CLOSING,
  clientCertificate: CLIENT_CERTIFICATE,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT,
  keepsVariables: KEEPS_VARIABLES,
  sni: SNI,
  ...TUNING,
  ...HANDSHAKES,
};

/** s6-tlsd. */
export const TLSD_OPTIONS = { ...UCSPITLSD_OPTIONS, certificateRules: CERTIFICATE_RULES };

/** The options that s6-tlsserver passes to s6-tlsd, but for the verbosity. */
export const TLSSERVER_TLS_OPTIONS = {
  ...CLOSING,
  ...pick(TLSD_OPTIONS, "clientCertificate", "handshakeTimeoutMs", "keepsVariables"),
  sniLevel: SNI_LEVEL,
  ...TUNING,
  ...HANDSHAKES,
};

/** The options that s6-tlsclient passes to s6-tlsc. */
export const TLSCLIENT_TLS_OPTIONS = {
  ...CLOSING,
  sendsCertificate: SENDS_CERTIFICATE,
  verifiesCertificate: VERIFIES_CERTIFICATE,
  keepsVariables: KEEPS_VARIABLES,
  handshakeTimeoutMs: HANDSHAKE_TIMEOUT,
  serverName: SERVER_NAME,
  ...TUNING,
  verifiesName: VERIFIES_NAME,
};

/** s6-tlsc and s6-ucspitlsc. That the two descriptors differ is for the command to check. */
export const TLSC_OPTIONS = {
  verbosity: VERBOSITY,
  ...TLSCLIENT_TLS_OPTIONS,
  readFd: value(
    {
      short: "6",
      long: "read-fd",
      argument: "fdr",
      help: "the descriptor that reads from the server, 6 by default",
    },
    descriptorAbove2,
    6,
  ),
  writeFd: value(
    {
      short: "7",
      long: "write-fd",
      argument: "fdw",
      help: "the descriptor that writes to the server, 7 by default",
    },
    descriptorAbove2,
    7,
  ),
};

/** ucspi-tls-engine. */
export const TLS_ENGINE_OPTIONS = {
  uid: value(
    { long: "uid", argument: "uid", help: "run as this user, without supplementary groups" },
    unsigned,
  ),
  gid: value({ long: "gid", argument: "gid", help: "run as this group" }, unsigned),
};

const ENGINE = { verbosity: ENGINE_VERBOSITY, channel: CHANNEL };

/** s6-tlsd-io. */
export const TLSD_IO_OPTIONS = {
  ...ENGINE,
  ...CLOSING,
  ...pick(TLSD_OPTIONS, "clientCertificate", "handshakeTimeoutMs", "sni"),
  ...TUNING,
};

/** s6-tlsc-io. */
export const TLSC_IO_OPTIONS = {
  ...ENGINE,
  ...CLOSING,
  ...pick(TLSC_OPTIONS, "sendsCertificate", "verifiesCertificate", "handshakeTimeoutMs"),
  ...pick(TLSC_OPTIONS, "serverName"),
  ...TUNING,
  ...pick(TLSC_OPTIONS, "verifiesName"),
};

export type TlsdIoOptions = OptionsOf<typeof TLSD_IO_OPTIONS>;
export type TlscIoOptions = OptionsOf<typeof TLSC_IO_OPTIONS>;
