/** s6-ident-server: answer the questions of one IDENT client, behind a super-server (RFC 1413). */

import { defineLink, descriptorAt, end, EXIT } from "../../chain/index.ts";
import type { Launch, LinkContext, LinkWords, Outcome } from "../../chain/index.ts";
import {
  formatIp,
  fromSocketAddress,
  readUcspiConnection,
  unmapIp,
  VariableError,
} from "../../net/index.ts";
import type { IpAddress, UcspiConnection } from "../../net/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import { SystemError, UnfitFile } from "../../posix/index.ts";
import { IDENT_SERVER_OPTIONS, IdentResponder, readSecret, serveIdent } from "../index.ts";
import type {
  IdentEnd,
  IdentNaming,
  IdentNamingOption,
  IdentQuery,
  IdentResponse,
} from "../index.ts";

const NAME = "s6-ident-server";

type Words = LinkWords<typeof IDENT_SERVER_OPTIONS>;

export const identServer = defineLink({
  name: NAME,
  summary: "answer a remote host with the user who owns a connection (RFC 1413)",
  family: "long",
  options: IDENT_SERVER_OPTIONS,
  operands: [],
  program: "none",
  reach: "identity",
  describe: ({ options }) => [DESCRIPTIONS[options.naming.kind]],
  preview: () => end(EXIT.ok),
  prepare: (_launch, words, context) => Promise.resolve(prepare(words, context)),
  run: (launch, words, context) => serve(launch, words, context),
});

const DESCRIPTIONS: Readonly<Record<IdentNamingOption["kind"], string>> = {
  account: "answers questions about connections with the names of their users",
  uid: "answers questions about connections with the numbers of their users",
  hash: "answers questions about connections with pseudonyms of their users",
  fixed: "answers all questions about connections with the same name",
  hidden: "answers all questions about connections with HIDDEN-USER",
};

/** The exit code for the end of a conversation; that a client has closed its connection is no failure. */
const EXIT_CODES: Readonly<Record<IdentEnd["kind"], number>> = {
  ended: EXIT.ok,
  timedOut: EXIT.timedOut,
  failed: EXIT.system,
};

/** The state that all connections of a server share. */
interface Office {
  readonly responder: IdentResponder;
  /** Has it been reported that the kernel's tables cannot be read? */
  hasWarned: boolean;
}

/** By the words of the link, as a server has them compiled once for all its connections. */
const OFFICES = new WeakMap<Words, Office>();

function prepare(words: Words, context: LinkContext): number | undefined {
  const office = officeOf(words, context);
  return typeof office === "number" ? office : undefined;
}

/** The office; where there can be none, the exit code, and why has been reported. */
function officeOf(words: Words, { posix, clock, report }: LinkContext): Office | number {
  const known = OFFICES.get(words);
  if (known !== undefined) return known;
  const { naming: option, operatingSystem, respectsNoident } = words.options;
  try {
    const naming = option.kind === "hash" ? openHash(posix, option.file) : option;
    const options = { naming, operatingSystem, respectsNoident };
    const office = { responder: new IdentResponder(posix, clock, options), hasWarned: false };
    OFFICES.set(words, office);
    return office;
  } catch (error) {
    const isCall = error instanceof SystemError || error instanceof UnfitFile;
    if (!isCall && !(error instanceof RangeError)) throw error;
    const file = option.kind === "hash" ? option.file : "";
    report(NAME, "fatal", `unable to read ${file}: ${error.message}`);
    return isCall ? EXIT.system : EXIT.usage;
  }
}

function openHash(posix: Posix, file: string): IdentNaming {
  return { kind: "hash", secret: readSecret(posix, file) };
}

async function serve(launch: Launch, words: Words, context: LinkContext): Promise<Outcome> {
  const office = officeOf(words, context);
  if (typeof office === "number") return end(office);
  const connection = readConnection(launch, context);
  if (connection === undefined) return end(EXIT.usage);
  const input = descriptorAt(launch, 0);
  const { remote } = connection;
  const asking = {
    local: localAddress(connection, input, context.posix),
    remote: unmapIp(remote.address),
  };
  const clerk = new Clerk(office, words.options.verbosity, asking.remote, context);
  const ending = await serveIdent(context.posix, context.clock, office.responder, {
    input,
    output: descriptorAt(launch, 1),
    asking,
    idleMs: words.options.idleMs,
    onAnswer: (query, response) => clerk.answered(query, response),
    onFailure: (error) => clerk.failed(error),
  });
  return end(EXIT_CODES[ending.kind]);
}

function readConnection(
  { environment }: Launch,
  { report }: LinkContext,
): UcspiConnection | undefined {
  try {
    return readUcspiConnection((name) => environment.get(name));
  } catch (error) {
    if (!(error instanceof VariableError)) throw error;
    report(NAME, "fatal", error.message);
    return undefined;
  }
}

/**
 * The address that the client has connected to. A server on all addresses may tell 0.0.0.0 or :: in
 * place of it; the socket knows.
 */
function localAddress({ local }: UcspiConnection, input: Fd, posix: Posix): IpAddress {
  const isKnown = local.address.bytes.some((byte) => byte !== 0);
  if (isKnown || !posix.isSocket(input)) return local.address;
  return fromSocketAddress(posix.getsockname(input))?.address ?? local.address;
}

/** Keeps the log of one conversation. */
class Clerk {
  readonly #office: Office;
  readonly #verbosity: number;
  readonly #ip: string;
  readonly #context: LinkContext;

  constructor(office: Office, verbosity: number, remote: IpAddress, context: LinkContext) {
    this.#office = office;
    this.#verbosity = verbosity;
    this.#ip = formatIp(remote);
    this.#context = context;
  }

  answered({ ports }: IdentQuery, { answer, uid }: IdentResponse): void {
    if (uid !== undefined) this.#office.hasWarned = false;
    if (this.#verbosity < 2) return;
    const whom = uid === undefined ? "" : ` uid ${uid}`;
    const what = answer.kind === "user" ? `USERID ${answer.user}` : `ERROR ${answer.token}`;
    this.#say("info", `ip ${this.#ip} ports ${ports.remote},${ports.local}${whom}: ${what}`);
  }

  /** Reported once, and again only after a success in between: clients decide how often they ask. */
  failed(error: SystemError): void {
    if (this.#verbosity < 1 || this.#office.hasWarned) return;
    this.#office.hasWarned = true;
    this.#say("warning", `unable to read the table of connections: ${error.message}`);
  }

  #say(kind: "info" | "warning", text: string): void {
    this.#context.report(NAME, kind, text);
  }
}
