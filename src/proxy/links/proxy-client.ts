/** proxy-client: send a PROXY header to the server that s6-tcpclient has connected to. */

import { defineLink, descriptorAt, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import { VariableError } from "../../net/index.ts";
import type { Variables } from "../../net/index.ts";
import { SystemError, writeFully } from "../../posix/index.ts";
import {
  announcement,
  removalEdits,
  formatExtensions,
  formatProxy,
  variablesSetAside,
  setAsideEdits,
  PROXY_CLIENT_BYTES_MAX,
  PROXY_CLIENT_OPTIONS,
  tlsExtensions,
} from "../index.ts";
import type { ProxyClientOptions, ProxyHeader } from "../index.ts";

const NAME = "proxy-client";

type Words = LinkWords<typeof PROXY_CLIENT_OPTIONS>;

export const proxyClient = defineLink({
  name: NAME,
  summary: "send a PROXY header to the server that is connected to",
  family: "long",
  options: PROXY_CLIENT_OPTIONS,
  operands: [],
  program: "required",
  reach: "identity",
  reachFor: ({ options }) => (options.announced === "later" ? "anywhere" : "identity"),
  describe: ({ options }) => [description(options)],
  preview: (launch, words, context) => prepare(launch, words, context).outcome,
  run(launch, words, context) {
    const { outcome, bytes } = prepare(launch, words, context);
    const failure = bytes === undefined ? undefined : send(bytes, launch, words, context);
    return failure ?? outcome;
  },
});

/** The bytes to send and the launch to go on with, or the exit code of a header that cannot be made. */
interface Announced {
  readonly bytes?: Uint8Array;
  readonly outcome: Outcome;
}

function prepare(launch: Launch, { options, program }: Words, { report }: LinkContext): Announced {
  const { environment } = launch;
  const variables = (name: string): string | undefined => environment.get(name);
  try {
    const edits = editsFor(variables, options);
    const outcome = goOn({ ...withEnvironment(launch, edits), argv: program });
    if (options.announced === "later") return { outcome };
    return { bytes: headerFor(variables, options), outcome };
  } catch (error) {
    if (!(error instanceof VariableError) && !(error instanceof RangeError)) throw error;
    report(NAME, "fatal", error.message);
    return { outcome: end(EXIT.usage) };
  }
}

function editsFor(variables: Variables, { announced }: ProxyClientOptions) {
  if (announced === "own") return [];
  return announced === "later" ? setAsideEdits(variables) : removalEdits(variables);
}

function headerFor(variables: Variables, options: ProxyClientOptions): Uint8Array {
  const { version, checksum } = options;
  const bytes = formatProxy(announced(variables, options), { version, checksum });
  if (bytes.length <= PROXY_CLIENT_BYTES_MAX) return bytes;
  throw new RangeError(`a PROXY header of ${bytes.length} bytes is too long`);
}

function announced(variables: Variables, options: ProxyClientOptions): ProxyHeader {
  if (options.isLocal) return { command: "local" };
  const tls = options.hidesTls ? {} : tlsExtensions(variables);
  const tlvs = formatExtensions({ ...tls, others: options.tlvs });
  return options.announced === "served"
    ? announcement(variablesSetAside(variables), true, tlvs)
    : announcement(variables, false, tlvs);
}

/** The header is the first thing in a connection and fits into its buffer: writing does not wait. */
function send(
  bytes: Uint8Array,
  launch: Launch,
  { options }: Words,
  { posix, report }: LinkContext,
): Outcome | undefined {
  try {
    writeFully(posix, descriptorAt(launch, options.fd), bytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    report(NAME, "fatal", `unable to write to descriptor ${options.fd}: ${error.message}`);
    return end(EXIT.system);
  }
}

function description({ announced, isLocal, version, fd }: ProxyClientOptions): string {
  if (announced === "later") return "sets aside the variables of the connection";
  const what = isLocal ? "nobody" : announced === "own" ? "this connection" : "the one set aside";
  return `sends a PROXY header of version ${version} to descriptor ${fd}, announcing ${what}`;
}
