/** proxy-server: take the header of a proxy off a connection, and tell the program (networking.md, 12). */

import { defineLink, descriptorAt, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import type { MessageKind } from "../../host/index.ts";
import {
  formatIp,
  PROTO,
  readIpVariable,
  requireVariable,
  TCP_NAMES,
  ucspiNames,
  VariableError,
} from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import {
  isTrusted,
  PROXY_SERVER_OPTIONS,
  proxyEdits,
  readProxyHeader,
  restoreEdits,
} from "../index.ts";
import type { Arrived, ProxyHeader, ProxyServerOptions } from "../index.ts";

const NAME = "proxy-server";

/** The header is about datagrams, which no program can read from a connection. */
const EXIT_UNSUPPORTED = 2;

type Words = LinkWords<typeof PROXY_SERVER_OPTIONS>;

export const proxyServer = defineLink({
  name: NAME,
  summary:
    "read the PROXY header in front of a connection, and set the address of the client behind the proxy",
  family: "long",
  options: PROXY_SERVER_OPTIONS,
  operands: [],
  program: "required",
  reach: "identity",
  reachFor: ({ options }) => (options.afterTls ? "anywhere" : "identity"),
  describe: ({ options }) => [description(options)],
  preview: (launch, words) =>
    words.options.afterTls ? restore(launch, words) : preview(launch, words),
  run(launch, words, context) {
    return words.options.afterTls ? restore(launch, words) : receiveTrusted(launch, words, context);
  },
});

function restore(launch: Launch, { options, program }: Words): Outcome {
  const { environment } = launch;
  const edits = restoreEdits((name) => environment.get(name), options.keepsTls);
  return goOn({ ...withEnvironment(launch, edits), argv: program });
}

/** Read the header of a client that may send one. */
function receiveTrusted(
  launch: Launch,
  words: Words,
  context: LinkContext,
): Outcome | Promise<Outcome> {
  const { options, program } = words;
  try {
    const untrusted = findUntrusted(launch, options);
    if (untrusted === undefined) return receive(launch, words, context);
    if (options.untrusted === "pass") return goOn({ ...launch, argv: program });
    if (options.verbosity >= 1) say(context, "info", `refused ip ${untrusted}: not trusted`);
    return end(EXIT.refused);
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    context.report(NAME, "fatal", error.message);
    return end(EXIT.usage);
  }
}

/** The address of a client that may not send a header. Throws VariableError. */
function findUntrusted(
  { environment }: Launch,
  { trusted }: ProxyServerOptions,
): string | undefined {
  if (trusted === undefined) return undefined;
  const variables = (name: string): string | undefined => environment.get(name);
  const { remoteIp } = ucspiNames(requireVariable(variables, PROTO));
  const address = readIpVariable(variables, remoteIp);
  return isTrusted(address, trusted) ? undefined : formatIp(address);
}

function receive(launch: Launch, words: Words, context: LinkContext): Outcome | Promise<Outcome> {
  const { timeoutMs, only } = words.options;
  const { posix, clock } = context;
  const arrived = readProxyHeader(posix, descriptorAt(launch, 0), { clock, timeoutMs, only });
  return arrived instanceof Promise
    ? arrived.then((later) => settle(later, launch, words, context))
    : settle(arrived, launch, words, context);
}

function settle(arrived: Arrived, launch: Launch, words: Words, context: LinkContext): Outcome {
  switch (arrived.kind) {
    case "header":
      return applyHeader(arrived.header, launch, words, context);
    case "invalid":
      say(context, "fatal", arrived.why);
      return end(EXIT.refused);
    case "failed":
      say(context, "fatal", `unable to read from stdin: ${context.posix.strerror(arrived.code)}`);
      return end(EXIT.system);
  }
}

function applyHeader(
  header: ProxyHeader,
  launch: Launch,
  words: Words,
  context: LinkContext,
): Outcome {
  const { options, program } = words;
  if (isDatagram(header)) {
    say(context, "fatal", "unsupported transport protocol: datagram");
    return end(EXIT_UNSUPPORTED);
  }
  const { beforeTls: backsUp, verifiedNamesOnly } = options;
  const onUnfit = (variable: string): void =>
    say(context, "warning", `the PROXY header has an unfit value for ${variable}: not set`);
  const announced = proxyEdits(header, { backsUp, verifiedNamesOnly, onUnfit });
  const edits = [...announced, ...recount(header, launch)];
  return goOn({ ...withEnvironment(launch, edits), argv: program });
}

function isDatagram(header: ProxyHeader): boolean {
  if (header.command === "local") return false;
  const { family } = header;
  return family === "udp4" || family === "udp6" || family === "unixDatagram";
}

/** A server of ours that counts connections counts this one as the announced client's. */
function recount(header: ProxyHeader, { connection }: Launch): EnvironmentEdit[] {
  if (connection === undefined || header.command === "local") return [];
  if (header.family !== "tcp4" && header.family !== "tcp6") return [];
  const number = connection.countAs(formatIp(header.source.address));
  return [{ name: TCP_NAMES.connectionNumber, value: String(number) }];
}

function say({ report, posix }: LinkContext, kind: MessageKind, text: string): void {
  report(`${NAME}: pid ${posix.getpid()}`, kind, text);
}

function description({ afterTls, trusted, untrusted }: ProxyServerOptions): string {
  if (afterTls) return "restores what an earlier proxy-server has set aside";
  if (trusted === undefined) return "reads a PROXY header from every client";
  const others = untrusted === "pass" ? "serves others without one" : "refuses others";
  return `reads a PROXY header from trusted networks, and ${others}`;
}

function preview(launch: Launch, { program }: Words): Outcome {
  const { remoteIp, remotePort, localIp, localPort } = TCP_NAMES;
  const edits = [
    { name: PROTO, value: "TCP" },
    ...[remoteIp, remotePort, localIp, localPort].map((name) => ({ name, value: `<${name}>` })),
  ];
  return goOn({ ...withEnvironment(launch, edits), argv: program });
}
