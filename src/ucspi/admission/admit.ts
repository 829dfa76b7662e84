/**
 * Deciding about a client: rules, look-ups, rules by name; then the variables and the program it gets.
 * Answers at once where nothing has to be looked up. Whatever goes wrong keeps the client out.
 */

import type { Rules, Verdict } from "../../access/index.ts";
import { end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, Outcome } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import type { Deadline } from "../../clock/index.ts";
import { formatIp, ucspiNames, unmapIp } from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import { decodeBytes, encodeBytes, SystemError } from "../../posix/index.ts";
import type { Fd } from "../../posix/index.ts";
import { formatRefusal } from "../log.ts";
import type { Refusal } from "../log.ts";
import { recordRefusal } from "../refusals.ts";
import type { Client, Findings } from "./client.ts";
import { investigate, LookupRefusal } from "./lookups.ts";
import type { AccessOptions } from "./options.ts";

/** All banners together may have this many bytes. */
export const BANNER_BYTES_MAX = 512;

/** One client at the door. */
export interface Visit {
  readonly launch: Launch;
  readonly program: readonly string[];
  readonly client: Client;
  readonly options: AccessOptions;
  /** Undefined: everybody may come in. */
  readonly rules: Rules | undefined;
  readonly context: LinkContext;
}

type Allowed = Verdict & { readonly kind: "allow" };

const EVERYBODY: Allowed = { kind: "allow", edits: [], exec: undefined, rule: "" };

export function admit(visit: Visit): Outcome | Promise<Outcome> {
  const { client, options, rules, context } = visit;
  const deadline = deadlineAfter(context.clock, options.timeoutMs);
  const problem = prepareConnection(visit, deadline);
  if (problem !== undefined) return problem;
  const { address } = client.remote;
  const verdict = rules?.checkIp(options.mapsIp4 ? unmapIp(address) : address) ?? EVERYBODY;
  const looksUpNames = !options.noNames || options.isParanoid;
  if (verdict.kind === "error") return distrust(visit, verdict);
  if (verdict.kind === "deny") return refuse(visit, "rule", verdict.rule);
  if (verdict.kind === "notFound" && !looksUpNames) return refuse(visit, "rule", "no rule matches");
  if (!looksUpNames && !options.asksIdent && verdict.kind === "allow") {
    const { localHost } = options;
    return decide(visit, verdict, { localHost, remoteHost: undefined, remoteInfo: undefined });
  }
  return lookUpAndDecide(visit, verdict, deadline, looksUpNames);
}

/** TCP_NODELAY and the banner; an outcome if the connection is no good. */
function prepareConnection(visit: Visit, deadline: Deadline | undefined): Outcome | undefined {
  const { launch, client, options, context } = visit;
  const connection = connectionFd(launch);
  try {
    if (options.noDelay) context.posix.setNoDelay(connection, true);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    context.report(client.speaker, "warning", `unable to set TCP_NODELAY: ${error.message}`);
  }
  if (options.banners.length === 0) return undefined;
  try {
    writeBanner(visit, connection, deadline);
    return undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    context.report(client.speaker, "fatal", `unable to write banner: ${error.message}`);
    return end(EXIT.system);
  }
}

/**
 * The banner is the first thing that goes into the connection and shorter than any socket's buffer, so
 * writing it does not wait; a connection that has a full buffer already waits until the deadline.
 */
function writeBanner(visit: Visit, connection: Fd, deadline: Deadline | undefined): void {
  const { posix } = visit.context;
  let rest: Uint8Array = encodeBytes(visit.options.banners.join(""));
  while (rest.length > 0) {
    const timeoutMs = deadline?.remainingMs() ?? -1;
    if (posix.waitReady(connection, { writable: true }, timeoutMs) === undefined) {
      throw new SystemError("ETIMEDOUT", 110, "write", posix.strerror("ETIMEDOUT"));
    }
    rest = rest.subarray(posix.write(connection, rest) ?? 0);
  }
}

function connectionFd(launch: Launch): Fd {
  const source = launch.descriptors.get(1);
  return source === undefined || source === "closed" ? (1 as Fd) : source;
}

async function lookUpAndDecide(
  visit: Visit,
  verdict: Allowed | { readonly kind: "notFound" },
  deadline: Deadline | undefined,
  looksUpNames: boolean,
): Promise<Outcome> {
  const { client, options, context, launch } = visit;
  const variables = (name: string): string | undefined => launch.environment.get(name);
  const inquiry = { client, options, deadline, variables, context };
  try {
    const findings = await investigate(inquiry, looksUpNames);
    if (options.hardTimeout && deadline?.hasPassed() === true) {
      return refuse(visit, "name", "the time for look-ups is over", EXIT.timedOut);
    }
    return decideByName(visit, verdict, findings);
  } catch (error) {
    if (!(error instanceof LookupRefusal)) throw error;
    context.report(client.speaker, "fatal", error.message);
    return refuse(visit, error.by, error.message, error.exitCode);
  }
}

function decideByName(
  visit: Visit,
  verdict: Allowed | { readonly kind: "notFound" },
  findings: Findings,
): Outcome {
  const { remoteHost } = findings;
  if (visit.options.requiresName && remoteHost === undefined) {
    return refuse(visit, "name", "no host name is known");
  }
  if (verdict.kind === "allow") return decide(visit, verdict, findings);
  if (remoteHost === undefined || visit.rules === undefined) {
    return refuse(visit, "rule", "no rule matches the address, and no host name is known");
  }
  const byName = visit.rules.checkReverseDns(remoteHost);
  switch (byName.kind) {
    case "allow":
      return decide(visit, byName, findings);
    case "deny":
      return refuse(visit, "rule", byName.rule);
    case "notFound":
      return refuse(visit, "rule", "no rule matches the address or the host name");
    case "error":
      return distrust(visit, byName);
  }
}

/** Come in. */
function decide(visit: Visit, verdict: Allowed, findings: Findings): Outcome {
  const { launch, program, client, options, context } = visit;
  if (options.verbosity >= 1) {
    const ip = formatIp(client.remote.address);
    context.report(client.speaker, "info", `allow pid ${client.pid} ip ${ip}`);
  }
  const edits = [...verdict.edits, ...findingEdits(client.protocol, findings)];
  const argv = verdict.exec === undefined ? program : scriptWords(verdict.exec);
  return goOn({ ...withEnvironment(launch, edits), argv });
}

/** What was found out overrides what a rule says under the same names; the unknown is removed. */
function findingEdits(protocol: string, findings: Findings): EnvironmentEdit[] {
  const names = ucspiNames(protocol);
  return [
    { name: names.remoteInfo, value: findings.remoteInfo },
    { name: names.localHost, value: findings.localHost },
    { name: names.remoteHost, value: findings.remoteHost },
  ];
}

/**
 * The words that run a rule's script. The same script gets the same array, which is what compiled
 * chains are remembered by.
 */
function scriptWords(exec: Uint8Array): readonly string[] {
  const script = decodeBytes(exec);
  const known = SCRIPTS.get(script);
  if (known !== undefined) return known;
  const words = ["execlineb", "-c", script];
  if (SCRIPTS.size >= SCRIPTS_MAX) SCRIPTS.clear();
  SCRIPTS.set(script, words);
  return words;
}

const SCRIPTS = new Map<string, readonly string[]>();
const SCRIPTS_MAX = 256;

/** Stay out: silent at the client, and by default in the log too. */
function refuse(
  visit: Visit,
  by: Refusal["by"],
  reason: string,
  exitCode: number = EXIT.refused,
): Outcome {
  const { client, options, context } = visit;
  const { remote, local } = client;
  if (options.verbosity >= 2) {
    const ip = formatIp(remote.address);
    context.report(client.speaker, "info", `deny pid ${client.pid} ip ${ip}`);
  }
  if (options.refusals !== undefined) {
    const record = formatRefusal({ remote, local, by, reason }, options.refusals);
    recordRefusal(record, options.refusals, client.speaker, context);
  }
  return end(exitCode);
}

/** Rules that cannot be read let nobody in. */
function distrust(visit: Visit, verdict: Verdict & { readonly kind: "error" }): Outcome {
  const { posix, report } = visit.context;
  const { why, rule, code } = verdict;
  const text = code === undefined ? why : `${why}: ${posix.strerror(code)}`;
  report(visit.client.speaker, "fatal", rule === undefined ? text : `${text} (rule ${rule})`);
  refuse(visit, "error", text);
  return end(EXIT.system);
}
