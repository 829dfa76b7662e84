/**
 * The way back from parsed options to words, for the commands that start another one (networking.md,
 * sections 17 and 23).
 */

import { optionWords } from "../options/index.ts";
import type { OptionsOf } from "../options/index.ts";
import type {
  CLOSING,
  EngineChannel,
  SniLevel,
  TlscIoOptions,
  TLSCLIENT_TLS_OPTIONS,
  TLSD_OPTIONS,
  TlsdIoOptions,
  TLSSERVER_TLS_OPTIONS,
  TUNING,
} from "./options.ts";

/** The options of an s6-tlsd-io that does what these say: what stands between its name and `--`. */
export function tlsdIoWords(options: TlsdIoOptions): string[] {
  return [
    ...engineWords(options),
    ...closingWords(options),
    ...clientCertificateWords(options),
    ...handshakeWords(options),
    ...sniWords(options.sni.level),
    ...tuningWords(options),
  ];
}

/** The options of an s6-tlsc-io that does what these say: what stands between its name and `--`. */
export function tlscIoWords(options: TlscIoOptions): string[] {
  return [
    ...engineWords(options),
    ...closingWords(options),
    ...verificationWords(options),
    ...handshakeWords(options),
    ...serverNameWords(options),
    ...tuningWords(options),
    ...(options.verifiesName ? [] : ["--no-verify-name"]),
  ];
}

/** The options of an s6-tlsd that does what these of s6-tlsserver say. */
export function tlsdWords(options: OptionsOf<typeof TLSSERVER_TLS_OPTIONS>): string[] {
  return [
    ...closingWords(options),
    ...clientCertificateWords(options),
    ...handshakeWords(options),
    ...keepWords(options),
    ...sniWords(options.sniLevel),
    ...tuningWords(options),
  ];
}

/** The options of an s6-tlsc that does what these of s6-tlsclient say. */
export function tlscWords(options: OptionsOf<typeof TLSCLIENT_TLS_OPTIONS>): string[] {
  return [
    ...closingWords(options),
    ...verificationWords(options),
    ...keepWords(options),
    ...handshakeWords(options),
    ...serverNameWords(options),
    ...tuningWords(options),
    ...(options.verifiesName ? [] : ["--no-verify-name"]),
  ];
}

type Options = TlsdIoOptions & TlscIoOptions & OptionsOf<typeof TLSD_OPTIONS>;

function engineWords({ verbosity, channel }: Pick<Options, "verbosity" | "channel">): string[] {
  return [...(verbosity === 1 ? [] : ["-v", String(verbosity)]), ...channelWords(channel)];
}

function channelWords(channel: EngineChannel | undefined): string[] {
  if (channel === undefined) return [];
  return channel.kind === "control" ? [`--control-fd=${channel.fd}`] : ["-d", String(channel.fd)];
}

type Closing = Pick<Options, keyof typeof CLOSING>;

function closingWords({ sendsCloseNotify, enforcesCloseNotify }: Closing): string[] {
  return [...(sendsCloseNotify ? ["-S"] : []), ...(enforcesCloseNotify ? ["-J"] : [])];
}

function clientCertificateWords({
  clientCertificate,
}: Pick<Options, "clientCertificate">): string[] {
  return { none: [], optional: ["-Y"], required: ["-y"] }[clientCertificate];
}

type Verification = Pick<Options, "sendsCertificate" | "verifiesCertificate">;

function verificationWords({ sendsCertificate, verifiesCertificate }: Verification): string[] {
  return [
    ...(sendsCertificate ? ["-y"] : []),
    ...(verifiesCertificate ? [] : ["--no-verify-cert"]),
  ];
}

/** 0 is said too: it is not what a command does that is told nothing. */
function handshakeWords({ handshakeTimeoutMs }: Pick<Options, "handshakeTimeoutMs">): string[] {
  return optionWords("-K", handshakeTimeoutMs);
}

function serverNameWords({ serverName: name }: Pick<Options, "serverName">): string[] {
  return optionWords("-k", name);
}

function sniWords(level: SniLevel): string[] {
  return { 0: [], 1: ["--sni"], 2: ["--mandatory-sni"] }[level];
}

function keepWords({ keepsVariables }: Pick<Options, "keepsVariables">): string[] {
  return keepsVariables ? ["-Z"] : [];
}

function tuningWords(options: Pick<Options, keyof typeof TUNING>): string[] {
  const { idleTimeoutMs, versions, ciphers, alpn, closesBothWays } = options;
  return [
    ...(idleTimeoutMs === undefined ? [] : [`--idle-timeout=${idleTimeoutMs}`]),
    ...(versions.min === undefined ? [] : [`--min-version=${versions.min}`]),
    ...(versions.max === undefined ? [] : [`--max-version=${versions.max}`]),
    ...(ciphers === undefined ? [] : [`--ciphers=${ciphers}`]),
    ...(alpn === undefined ? [] : [`--alpn=${alpn.join(",")}`]),
    ...(closesBothWays ? ["--full-close"] : []),
  ];
}
