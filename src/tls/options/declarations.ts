/** The options of the TLS commands, each declared once (networking.md, sections 14 to 16). */

import {
  atLeastOne,
  choice,
  descriptorAbove2,
  descriptorNumber,
  flag,
  fold,
  InvalidArgument,
  milliseconds,
  millisecondsOrZero,
  nonEmptyText,
  oneOf,
  parsedBy,
  pathOfKind,
  unsigned,
  value,
} from "../../options/index.ts";
import type { ArgumentKind, OptionUse } from "../../options/index.ts";
import { encodeBytes } from "../../posix/index.ts";

/** The default time limit of a handshake. The C suite waits for ever. */
export const DEFAULT_HANDSHAKE_TIMEOUT_MS = 30_000;

/** The handshakes in progress at a time: those of one source, and those of all. Both at least 1. */
export interface HandshakeLimits {
  readonly perSource: number;
  readonly inAll: number;
}

export const DEFAULT_HANDSHAKE_LIMITS: HandshakeLimits = { perSource: 256, inAll: 1024 };

/** The longest name of a protocol (RFC 7301, section 3.1: ProtocolName). */
const ALPN_NAME_BYTES_MAX = 255;
/** The longest list of them, each with the byte that says its length. */
const ALPN_LIST_BYTES_MAX = 65_535;

/** Does a server want a certificate of its client? */
export type ClientCertificateDemand = "none" | "optional" | "required";

/** 0: one pair of certificate and key; 1: more, by the name asked for; 2: no name, no handshake. */
export type SniLevel = 0 | 1 | 2;

/** A level of SNI, and whether it was given as a number: that overrides the names of the levels. */
export interface SniChoice {
  readonly level: SniLevel;
  readonly isNumber: boolean;
}

export type TlsVersion = "1.2" | "1.3";

/** The versions a side agrees to; undefined is whatever OpenSSL takes. */
export interface TlsVersions {
  readonly min: TlsVersion | undefined;
  readonly max: TlsVersion | undefined;
}

/** The descriptor on which an engine talks to the program it works for. */
export type EngineChannel =
  /** Write what is known of the connection there after the handshake, and close it. */
  | { readonly kind: "notification"; readonly fd: number }
  /** Wait there for the command byte of UCSPI-TLS; for `Y`, write there after the handshake. */
  | { readonly kind: "control"; readonly fd: number };

const VERBOSITY_FORM = {
  short: "v",
  long: "verbosity",
  argument: "verbosity",
  help: "0: say nothing of handshakes that take too long, 1: the default, 2: say more",
};

export const VERBOSITY = value({ ...VERBOSITY_FORM, glued: true }, unsigned, 1);

/** As the C suite writes it for its engines. */
export const ENGINE_VERBOSITY = value(VERBOSITY_FORM, unsigned, 1);

export const CHANNEL = fold<EngineChannel | undefined>(
  undefined,
  [
    {
      short: "d",
      long: "notification-fd",
      argument: "fd",
      help: "write the variables of the connection to this descriptor after the handshake; 0: do not",
      next: (_, text) => notification(descriptorNumber.parse(text)),
    },
    {
      long: "control-fd",
      argument: "fd",
      help: "wait for the command of UCSPI-TLS on this descriptor before the handshake; replaces -d",
      ours: true,
      next: (_, text) => ({ kind: "control", fd: descriptorAbove2.parse(text) }),
    },
  ],
  sayChannel,
);

/** The options that all commands of both sides have in common. */
export const CLOSING = {
  sendsCloseNotify: choice(false, [
    {
      short: "S",
      long: "close-notify",
      value: true,
      help: "end the connection with close_notify, and wait for the peer's",
    },
    {
      short: "s",
      long: "no-close-notify",
      value: false,
      help: "end it with the end of the TCP stream; the default",
    },
  ]),
  enforcesCloseNotify: choice(false, [
    {
      short: "J",
      long: "enforce-close-notify",
      value: true,
      help: "take an end without close_notify for an attack: fail",
    },
    {
      short: "j",
      long: "no-enforce-close-notify",
      value: false,
      help: "take it for the end; the default",
    },
  ]),
};

export const HANDSHAKE_TIMEOUT = value(
  {
    short: "K",
    long: "handshake-timeout",
    argument: "ms",
    help: `the time that a handshake may take; 0: no limit; ${DEFAULT_HANDSHAKE_TIMEOUT_MS} by default`,
  },
  millisecondsOrZero,
);

/** The handshakes that a server has in progress at a time. */
export const HANDSHAKES = {
  maxHandshakes: value(
    {
      long: "max-handshakes",
      argument: "n",
      help: `have at most this many handshakes in progress at a time, ${DEFAULT_HANDSHAKE_LIMITS.inAll} by default; others wait`,
      ours: true,
    },
    atLeastOne,
  ),
  maxHandshakesPerSource: value(
    {
      long: "max-handshakes-per-source",
      argument: "n",
      help: `the same for the clients of one address, ${DEFAULT_HANDSHAKE_LIMITS.perSource} by default`,
      ours: true,
    },
    atLeastOne,
  ),
};

export const CLIENT_CERTIFICATE = choice<ClientCertificateDemand>("none", [
  {
    short: "Y",
    long: "client-cert",
    value: "optional",
    help: "ask the client for a certificate; go on without one",
  },
  {
    short: "y",
    long: "mandatory-client-cert",
    value: "required",
    help: "demand a certificate of the client",
  },
]);

export const SENDS_CERTIFICATE = choice(false, [
  {
    short: "Y",
    long: "no-client-cert",
    value: false,
    help: "have no certificate to show; the default",
  },
  {
    short: "y",
    long: "client-cert",
    value: true,
    help: "show the certificate of CERTFILE when the server asks",
  },
]);

export const VERIFIES_CERTIFICATE = choice(true, [
  {
    long: "verify-cert",
    value: true,
    help: "go on only with a server whose certificate is trusted; the default",
  },
  {
    long: "no-verify-cert",
    value: false,
    help: "accept any server, without verification",
  },
]);

export const SERVER_NAME = value(
  {
    short: "k",
    long: "servername",
    argument: "name",
    help: "the name or address that the server's certificate has to be for; a name is sent as SNI too",
  },
  nonEmptyText("a name or an address"),
);

/** 2 and all above are one level. */
const LEVEL_NUMBER: ArgumentKind<SniLevel> = {
  parse(text) {
    const level = unsigned.parse(text);
    return level === 0 || level === 1 ? level : 2;
  },
  format: String,
};

const SNI_LEVEL_FORM = {
  short: "k",
  long: "sni-level",
  argument: "snilevel",
  help: "0: one certificate, 1: the certificate for the name asked for, 2: and refuse other names",
};

const NO_SNI: SniChoice = { level: 0, isNumber: false };

export const SNI = fold<SniChoice>(
  NO_SNI,
  [
    { ...SNI_LEVEL_FORM, next: (_, text) => ({ level: LEVEL_NUMBER.parse(text), isNumber: true }) },
    { long: "sni", help: "like -k 1, unless there is a -k", next: orNamed(1) },
    { long: "mandatory-sni", help: "like -k 2, unless there is a -k", next: orNamed(2) },
  ],
  saySni,
);

/** The level as a number only, as s6-tlsserver has it. */
export const SNI_LEVEL = value<SniLevel, SniLevel>(SNI_LEVEL_FORM, LEVEL_NUMBER, 0);

export const KEEPS_VARIABLES = choice(false, [
  {
    short: "Z",
    long: "keep",
    value: true,
    help: "leave the program the variables that say where keys and certificates are",
  },
  {
    short: "z",
    long: "no-keep",
    value: false,
    help: "take them out of its environment; the default",
  },
]);

const TLS_VERSION = oneOf("1.2", "1.3");

const ALPN_NAMES = parsedBy(
  alpnNames,
  `names of 1 to ${ALPN_NAME_BYTES_MAX} bytes, with commas between`,
  (names) => names.join(","),
);

/** The options that the C suite lacks, the same for both sides. */
export const TUNING = {
  idleTimeoutMs: value(
    {
      long: "idle-timeout",
      argument: "ms",
      help: "end the connection when nothing has moved for so long; never by default",
      ours: true,
    },
    milliseconds,
  ),
  versions: fold<TlsVersions>(
    { min: undefined, max: undefined },
    [
      {
        long: "min-version",
        argument: "1.2|1.3",
        help: "agree to no older version of TLS",
        ours: true,
        next: ({ max }, text) => checkedVersions({ min: TLS_VERSION.parse(text), max }),
      },
      {
        long: "max-version",
        argument: "1.2|1.3",
        help: "agree to no newer version of TLS",
        ours: true,
        next: ({ min }, text) => checkedVersions({ min, max: TLS_VERSION.parse(text) }),
      },
    ],
    sayVersions,
  ),
  ciphers: value(
    {
      long: "ciphers",
      argument: "list",
      help: "the ciphers to agree to, as OpenSSL writes such lists",
      ours: true,
    },
    // OpenSSL parses the list.
    nonEmptyText("a list of ciphers"),
  ),
  alpn: value(
    {
      long: "alpn",
      argument: "proto,...",
      help: "the application protocols to agree to (ALPN), best first",
      ours: true,
    },
    ALPN_NAMES,
  ),
  closesBothWays: flag({
    long: "full-close",
    help: "let the peer's close_notify end both directions at once, not its own alone",
    ours: true,
  }),
};

export const VERIFIES_NAME = choice(true, [
  {
    long: "no-verify-name",
    value: false,
    help: "go on although the server's certificate is for another name or address",
    ours: true,
  },
]);

export const CERTIFICATE_RULES = pathOfKind([
  {
    long: "rules-directory",
    argument: "dir",
    help: "admit client certificates by the rules in this directory",
    ours: true,
    kind: "directory",
  },
  {
    long: "rules-file",
    argument: "file",
    help: "admit client certificates by the rules in this CDB file; the last of the two counts",
    ours: true,
    kind: "cdb",
  },
]);

function notification(fd: number): EngineChannel | undefined {
  return fd === 0 ? undefined : { kind: "notification", fd };
}

function sayChannel(channel: EngineChannel | undefined): readonly OptionUse[] {
  if (channel === undefined) return [];
  const fd = descriptorNumber.format(channel.fd);
  return channel.kind === "control" ? [["control-fd", fd]] : [["d", fd]];
}

/** This level by the names of the levels. */
export function namedSni(level: SniLevel): SniChoice {
  return level === 0 ? NO_SNI : { level, isNumber: false };
}

function orNamed(level: SniLevel): (previous: SniChoice) => SniChoice {
  return (previous) => (previous.isNumber ? previous : namedSni(level));
}

function saySni({ level, isNumber }: SniChoice): readonly OptionUse[] {
  if (isNumber) return [["k", String(level)]];
  return level === 0 ? [] : [[level === 1 ? "sni" : "mandatory-sni"]];
}

function checkedVersions({ min, max }: TlsVersions): TlsVersions {
  if (min === "1.3" && max === "1.2") {
    throw new InvalidArgument("such that the oldest version is not newer than the newest");
  }
  return { min, max };
}

function sayVersions({ min, max }: TlsVersions): readonly OptionUse[] {
  return [
    ...(min === undefined ? [] : [["min-version", min] as const]),
    ...(max === undefined ? [] : [["max-version", max] as const]),
  ];
}

function alpnNames(text: string): readonly string[] | undefined {
  const names = text.split(",");
  const lengths = names.map((name) => encodeBytes(name).length);
  const bytes = lengths.reduce((sum, length) => sum + 1 + length, 0);
  const isGood = lengths.every((length) => length >= 1 && length <= ALPN_NAME_BYTES_MAX);
  return isGood && bytes <= ALPN_LIST_BYTES_MAX ? names : undefined;
}
