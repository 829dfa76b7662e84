/**
 * Deciding about a client: its address by the rules, look-ups, its name by the rules; then the variables
 * and the program it gets. Answers at once where nothing has to be looked up. Whatever goes wrong refuses
 * the client.
 */

import { ADMITTED_WITHOUT_RULES, decide } from "../../access/index.ts";
import type { Admission, Admitted, Refused, Rules } from "../../access/index.ts";
import { descriptorAt, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, Outcome } from "../../chain/index.ts";
import { deadlineAfter } from "../../clock/index.ts";
import type { Deadline } from "../../clock/index.ts";
import { formatIp, ucspiNames, unmapIp } from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import { encodeBytes, SystemError } from "../../posix/index.ts";
import type { Fd } from "../../posix/index.ts";
import { formatRefusal } from "../log.ts";
import type { Refusal } from "../log.ts";
import { recordRefusal } from "../refusals.ts";
import type { Client, LookedUp } from "./client.ts";
import { lookUp, LookupRefusal } from "./lookups.ts";
import type { AccessOptions } from "./options.ts";

/** All banners together may have this many bytes; the original counts a NUL as well, in 512. */
export const BANNER_BYTES_MAX = 511;

/** One client to decide about. */
export interface AdmissionRequest {
  readonly launch: Launch;
  readonly program: readonly string[];
  readonly client: Client;
  readonly options: AccessOptions;
  /** Undefined: every client is admitted. */
  readonly rules: Rules | undefined;
  readonly context: LinkContext;
}

/** The decision by address where a name may still decide. */
type Undenied = Admitted | Refused;

export function admit(request: AdmissionRequest): Outcome | Promise<Outcome> {
  const { options, context } = request;
  const deadline = deadlineAfter(context.clock, options.timeoutMs);
  const failure = prepareConnection(request, deadline);
  if (failure !== undefined) return failure;
  const admission = decideByAddress(request);
  const looksUpNames = !options.noNames || options.isParanoid;
  if (admission.kind === "error") return failOnRules(request, admission.reason);
  if (admission.kind === "refuse" && (admission.rule !== undefined || !looksUpNames)) {
    return refuseByRules(request, admission);
  }
  if (admission.kind === "admit" && !looksUpNames && !options.asksIdent) {
    const { localHost } = options;
    return serve(request, admission, { localHost, remoteHost: undefined, remoteInfo: undefined });
  }
  return lookUpAndDecide(request, admission, deadline, looksUpNames);
}

function decideByAddress({ client, options, rules, context }: AdmissionRequest): Admission {
  if (rules === undefined) return ADMITTED_WITHOUT_RULES;
  const { address } = client.remote;
  return decide(rules.checkIp(options.mapsIp4 ? unmapIp(address) : address), context.posix);
}

/** Set TCP_NODELAY and write the banner; an outcome if the connection cannot be written to. */
function prepareConnection(
  { launch, client, options, context }: AdmissionRequest,
  deadline: Deadline | undefined,
): Outcome | undefined {
  const connection = descriptorAt(launch, 1);
  try {
    if (options.noDelay) context.posix.setNoDelay(connection, true);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    context.report(client.reporter, "warning", `unable to set TCP_NODELAY: ${error.message}`);
  }
  if (options.banners.length === 0) return undefined;
  try {
    writeBanner(options.banners.join(""), connection, deadline, context);
    return undefined;
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    context.report(client.reporter, "fatal", `unable to write banner: ${error.message}`);
    return end(EXIT.system);
  }
}

/**
 * The banner is the first thing that goes into the connection and shorter than any socket's buffer, so
 * writing it does not wait; a connection that has a full buffer already waits until the deadline.
 */
function writeBanner(
  banner: string,
  connection: Fd,
  deadline: Deadline | undefined,
  { posix }: LinkContext,
): void {
  let rest: Uint8Array = encodeBytes(banner);
  while (rest.length > 0) {
    const timeoutMs = deadline?.remainingMs() ?? -1;
    if (posix.waitReady(connection, { writable: true }, timeoutMs) === undefined) {
      throw new SystemError("ETIMEDOUT", 110, "write", posix.strerror("ETIMEDOUT"));
    }
    rest = rest.subarray(posix.write(connection, rest) ?? 0);
  }
}

async function lookUpAndDecide(
  request: AdmissionRequest,
  byAddress: Undenied,
  deadline: Deadline | undefined,
  looksUpNames: boolean,
): Promise<Outcome> {
  const { client, options, context, launch } = request;
  const variables = (name: string): string | undefined => launch.environment.get(name);
  try {
    const lookedUp = await lookUp({ client, options, deadline, variables, context }, looksUpNames);
    if (options.hardTimeout && deadline?.hasPassed() === true) {
      return refuse(request, "name", "the time for look-ups is over", EXIT.timedOut);
    }
    return decideByName(request, byAddress, lookedUp);
  } catch (error) {
    if (!(error instanceof LookupRefusal)) throw error;
    context.report(client.reporter, "fatal", error.message);
    return refuse(request, error.by, error.message, error.exitCode);
  }
}

function decideByName(request: AdmissionRequest, byAddress: Undenied, lookedUp: LookedUp): Outcome {
  const { rules, options, context } = request;
  const { remoteHost } = lookedUp;
  if (options.requiresName && remoteHost === undefined) {
    return refuse(request, "name", "no host name is known");
  }
  if (byAddress.kind === "admit") return serve(request, byAddress, lookedUp);
  if (remoteHost === undefined || rules === undefined) {
    return refuse(request, "rule", "no rule matches the address, and no host name is known");
  }
  const byName = decide(rules.checkReverseDns(remoteHost), context.posix);
  if (byName.kind === "admit") return serve(request, byName, lookedUp);
  if (byName.kind === "error") return failOnRules(request, byName.reason);
  if (byName.rule !== undefined) return refuseByRules(request, byName);
  return refuse(request, "rule", "no rule matches the address or the host name");
}

/** Go on to the program, or to the rule's script. */
function serve(request: AdmissionRequest, admitted: Admitted, lookedUp: LookedUp): Outcome {
  const { launch, program, client, options, context } = request;
  if (options.verbosity >= 1) {
    const ip = formatIp(client.remote.address);
    context.report(client.reporter, "info", `allow pid ${client.pid} ip ${ip}`);
  }
  const edits = [...admitted.edits, ...editsOf(client.protocol, lookedUp)];
  return goOn({ ...withEnvironment(launch, edits), argv: admitted.words ?? program });
}

/** The names and the user override variables that a rule sets; those that are not known are removed. */
function editsOf(protocol: string, lookedUp: LookedUp): EnvironmentEdit[] {
  const names = ucspiNames(protocol);
  return [
    { name: names.remoteInfo, value: lookedUp.remoteInfo },
    { name: names.localHost, value: lookedUp.localHost },
    { name: names.remoteHost, value: lookedUp.remoteHost },
  ];
}

/** The record of a refusal names the rule alone. */
function refuseByRules(request: AdmissionRequest, { rule, reason, warning }: Refused): Outcome {
  const { client, context } = request;
  if (warning !== undefined) context.report(client.reporter, "warning", warning);
  return refuse(request, "rule", rule ?? reason);
}

/** The client is told nothing, and by default the log neither. */
function refuse(
  { client, options, context }: AdmissionRequest,
  by: Refusal["by"],
  reason: string,
  exitCode: number = EXIT.refused,
): Outcome {
  const { remote, local } = client;
  if (options.verbosity >= 2) {
    const ip = formatIp(remote.address);
    context.report(client.reporter, "info", `deny pid ${client.pid} ip ${ip}`);
  }
  if (options.refusals !== undefined) {
    const record = formatRefusal({ remote, local, by, reason }, options.refusals);
    recordRefusal(record, options.refusals, client.reporter, context);
  }
  return end(exitCode);
}

/** Rules that are unusable admit no client. */
function failOnRules(request: AdmissionRequest, reason: string): Outcome {
  request.context.report(request.client.reporter, "fatal", reason);
  return refuse(request, "error", reason, EXIT.system);
}
