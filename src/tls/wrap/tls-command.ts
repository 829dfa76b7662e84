/** The common parts of the commands of TLS, and their differences. */

import type { Environment, Launch, LinkContext } from "../../chain/index.ts";
import { parseUnsigned } from "../../net/index.ts";
import { UsageError, wordsOf } from "../../options/index.ts";
import type { OptionsOf, PathOfKind } from "../../options/index.ts";
import { Configurations } from "../engine/configurations.ts";
import type { EngineConfiguration } from "../engine/messages.ts";
import type { AdmitPeer } from "../handshake/peer-rules.ts";
import type { Posix } from "../../posix/index.ts";
import { openSide } from "../handshake/side.ts";
import type { MaterialFiles } from "../material/material-files.ts";
import {
  loadClientMaterial,
  loadServerMaterial,
  pairsOf,
  validityWarnings,
  withClientTrust,
  withServerTrust,
} from "../material/material.ts";
import { networkOf } from "../tunnel/network.ts";
import type { EndNumbers } from "../tunnel/network.ts";
import {
  DEFAULT_HANDSHAKE_LIMITS,
  DEFAULT_HANDSHAKE_TIMEOUT_MS,
  namedSni,
} from "../options/declarations.ts";
import { TLSC_IO_OPTIONS, TLSD_IO_OPTIONS } from "../options/tables.ts";
import type { EngineChannel, HandshakeLimits } from "../options/declarations.ts";
import type {
  TLSC_OPTIONS,
  TLSD_OPTIONS,
  TlscIoOptions,
  TlsdIoOptions,
  UCSPITLSD_OPTIONS,
} from "../options/tables.ts";
import type { TunnelSettings } from "../tunnel/tunnel.ts";
import type { Ends } from "../tunnel/wire.ts";

/** The commands that run a single tunnel. */
export type EngineName = "s6-tlsd-io" | "s6-tlsc-io";

/** A command line that wraps a program in TLS. */
export interface TlsCommand {
  /** The name of the program in messages. */
  readonly name: string;
  /** In whose name failures of the tunnel are reported; runs it where there is no server to do that. */
  readonly engine: EngineName;
  /** The descriptors of the network and of the program's end of the tunnel. */
  readonly ends: EndNumbers;
  readonly keepsVariables: boolean;
  readonly verbosity: number;
  /** Rules about the certificates of clients. */
  readonly admit: AdmitPeer | undefined;
  readonly configurations: Configurations;
  /** The words of the engine, up to the `--` before its operands. */
  engineWords(channel: EngineChannel): readonly string[];
}

/** Rules about certificates by where they are kept. Nothing is read before the first decision. */
export type OpenPeerRules = (source: PathOfKind<"directory" | "cdb">, posix: Posix) => AdmitPeer;

/** s6-ucspitlsd, which knows no rules. */
export function serverCommand(
  name: string,
  options: OptionsOf<typeof UCSPITLSD_OPTIONS>,
  context: LinkContext,
): TlsCommand {
  const loader = checked(serverLoader(options, context), context);
  return {
    name,
    engine: "s6-tlsd-io",
    ends: { read: 0, write: 1 },
    keepsVariables: options.keepsVariables,
    verbosity: options.verbosity,
    admit: undefined,
    configurations: new Configurations({ ...loader, ...context, hasNames: options.sni.level > 0 }),
    engineWords: (channel) =>
      wordsOf(TLSD_IO_OPTIONS, { ...options, sni: namedSni(options.sni.level), channel }),
  };
}

/** s6-tlsd: the same with rules about the certificates of clients. */
export function ruledServerCommand(
  name: string,
  options: OptionsOf<typeof TLSD_OPTIONS>,
  context: LinkContext,
  open: OpenPeerRules,
): TlsCommand {
  const { certificateRules } = options;
  const admit = certificateRules && open(certificateRules, context.posix);
  return { ...serverCommand(name, options, context), admit };
}

/** s6-tlsc and s6-ucspitlsc. Throws UsageError. */
export function clientCommand(
  name: string,
  options: OptionsOf<typeof TLSC_OPTIONS>,
  context: LinkContext,
): TlsCommand {
  const { readFd, writeFd } = options;
  if (readFd === writeFd) throw new UsageError("read-fd and write-fd must differ", true);
  const loader = checked(clientLoader(options, context), context);
  return {
    name,
    engine: "s6-tlsc-io",
    ends: { read: readFd, write: writeFd },
    keepsVariables: options.keepsVariables,
    verbosity: options.verbosity,
    admit: undefined,
    configurations: new Configurations({ ...loader, ...context, hasNames: false }),
    engineWords: (channel) => wordsOf(TLSC_IO_OPTIONS, { ...options, channel }),
  };
}

/** The descriptors of the command's network in a launch; undefined, and reported, when they are not open. */
export function findNetwork(
  launch: Launch,
  { name, ends }: TlsCommand,
  { posix, report }: LinkContext,
): Ends | undefined {
  const network = networkOf(launch, ends, posix);
  if (network === undefined) {
    report(name, "fatal", `unable to check network fds: ${posix.strerror("EBADF")}`);
  }
  return network;
}

/** Reads what the variables name, and says what is odd about it. */
export interface Loader {
  load(variables: Environment, files: MaterialFiles): EngineConfiguration;
  /** The same with the trust that the files give now; throws TlsMaterialError when they give none. */
  renewTrust(
    before: EngineConfiguration,
    variables: Environment,
    files: MaterialFiles,
  ): EngineConfiguration;
  warn(text: string): void;
}

/** Where a process has one connection only, there are no limits for its handshake. */
type HandshakeOptions = Partial<
  Pick<OptionsOf<typeof TLSD_OPTIONS>, "maxHandshakes" | "maxHandshakesPerSource">
>;

export function serverLoader(
  options: Omit<TlsdIoOptions, "channel"> & HandshakeOptions,
  { report, posix }: Pick<LinkContext, "report" | "posix">,
): Loader {
  const speaker = "s6-tlsd-io";
  const warn = (text: string): void => report(speaker, "warning", text);
  return {
    warn,
    load(variables, files) {
      const material = loadServerMaterial(
        variables,
        { ...options, sniLevel: options.sni.level },
        files,
      );
      for (const text of validityWarnings(pairsOf(material), posix.realtimeNs())) warn(text);
      return {
        side: { role: "server", material },
        settings: settingsOf(options),
        handshakes: limitsOf(options),
        speaker,
      };
    },
    renewTrust: renewedTrust,
  };
}

export function clientLoader(
  options: Omit<TlscIoOptions, "channel">,
  { report, posix }: Pick<LinkContext, "report" | "posix">,
): Loader {
  const speaker = "s6-tlsc-io";
  const warn = (text: string): void => report(speaker, "warning", text);
  return {
    warn,
    load(variables, files) {
      const material = loadClientMaterial(variables, options, files);
      const pairs = material.pair === undefined ? [] : [material.pair];
      for (const text of validityWarnings(pairs, posix.realtimeNs())) warn(text);
      return {
        side: { role: "client", material },
        settings: settingsOf(options),
        handshakes: DEFAULT_HANDSHAKE_LIMITS,
        speaker,
      };
    },
    renewTrust: renewedTrust,
  };
}

function renewedTrust(
  before: EngineConfiguration,
  variables: Environment,
  files: MaterialFiles,
): EngineConfiguration {
  const { side } = before;
  return {
    ...before,
    side:
      side.role === "server"
        ? { ...side, material: withServerTrust(side.material, variables, files) }
        : { ...side, material: withClientTrust(side.material, variables, files) },
  };
}

/** The modules that an engine needs: loaded now, and not with the next connection. */
function checked(loader: Loader, { clock }: LinkContext): Loader {
  const check = (configuration: EngineConfiguration): EngineConfiguration => {
    openSide(configuration.side, clock);
    return configuration;
  };
  return {
    ...loader,
    load: (variables, files) => check(loader.load(variables, files)),
    renewTrust: (before, variables, files) => check(loader.renewTrust(before, variables, files)),
  };
}

/** The two operands of an engine. Throws UsageError. */
export function operandNumbers([read = "", write = ""]: readonly string[]): EndNumbers {
  return { read: numberOf(read, "fdr"), write: numberOf(write, "fdw") };
}

function numberOf(text: string, name: string): number {
  const number = parseUnsigned(text);
  if (number !== undefined) return number;
  throw new UsageError(`${name} must be an unsigned integer: ${text}`, true);
}

function limitsOf({ maxHandshakes, maxHandshakesPerSource }: HandshakeOptions): HandshakeLimits {
  const { inAll, perSource } = DEFAULT_HANDSHAKE_LIMITS;
  return { inAll: maxHandshakes ?? inAll, perSource: maxHandshakesPerSource ?? perSource };
}

type SettingOptions = Pick<
  TlsdIoOptions,
  | "handshakeTimeoutMs"
  | "idleTimeoutMs"
  | "sendsCloseNotify"
  | "enforcesCloseNotify"
  | "closesBothWays"
  | "verbosity"
>;

function settingsOf(options: SettingOptions): TunnelSettings {
  const { handshakeTimeoutMs = DEFAULT_HANDSHAKE_TIMEOUT_MS } = options;
  return {
    handshakeTimeoutMs: handshakeTimeoutMs === 0 ? undefined : handshakeTimeoutMs,
    idleTimeoutMs: options.idleTimeoutMs,
    tellsTimeout: options.verbosity > 0,
    sendsCloseNotify: options.sendsCloseNotify,
    enforcesCloseNotify: options.enforcesCloseNotify,
    closesBothWays: options.closesBothWays,
  };
}
