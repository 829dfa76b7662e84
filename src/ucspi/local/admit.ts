/**
 * Deciding about the client of a Unix-domain socket by its user and group, and what its program is told
 * about the connection (local-services.md, section 6.4). Whatever goes wrong refuses the client.
 */

import { ADMITTED_WITHOUT_RULES, decide } from "../../access/index.ts";
import type { Admission, Admitted, LocalPeer, Refused, Rules } from "../../access/index.ts";
import { descriptorAt, end, EXIT, goOn, withEnvironment } from "../../chain/index.ts";
import type { Launch, LinkContext, Outcome } from "../../chain/index.ts";
import { ipcNames, PROTO } from "../../net/index.ts";
import type { EnvironmentEdit, IpcClient } from "../../net/index.ts";
import { SystemError } from "../../posix/index.ts";
import type { Gid, Posix, Uid } from "../../posix/index.ts";
import { formatRefusal } from "../log.ts";
import type { LocalRefusal } from "../log.ts";
import { recordRefusal } from "../refusals.ts";
import { pathOf } from "../serving/unix.ts";
import type { IpcAccessOptions } from "./options.ts";

/** One client to decide about. */
export interface LocalAdmissionRequest {
  /** The command in whose name it is reported. */
  readonly reporter: string;
  readonly launch: Launch;
  readonly program: readonly string[];
  readonly client: IpcClient;
  readonly options: IpcAccessOptions;
  /** Undefined: every client is admitted. */
  readonly rules: Rules | undefined;
  readonly context: LinkContext;
}

/** The decision of rules about a client. */
export function decideByIds(rules: Rules, ids: PeerIds, posix: Posix): Admission {
  return decide(rules.checkUidGid(localPeer(ids, posix)), posix, "-Pc");
}

/** A client as rules know it: `uid/self` and `gid/self` mean the effective ids of this process. */
export function localPeer({ uid, gid }: PeerIds, posix: Posix): LocalPeer {
  return { uid, gid, serverUid: posix.geteuid(), serverGid: posix.getegid() };
}

interface PeerIds {
  readonly uid: Uid;
  readonly gid: Gid;
}

export function admitLocally(request: LocalAdmissionRequest): Outcome {
  const { rules, client, options, context } = request;
  const { report, posix } = context;
  const admission =
    rules === undefined ? ADMITTED_WITHOUT_RULES : decideByIds(rules, client, posix);
  switch (admission.kind) {
    case "admit":
      return serve(request, admission);
    case "refuse":
      if (admission.warning !== undefined) report(request.reporter, "warning", admission.warning);
      if (options.verbosity >= 2) report(request.reporter, "info", denial(request, admission));
      return refuse(request, "rule", admission.rule ?? admission.reason, EXIT.refused);
    case "error":
      report(request.reporter, "fatal", admission.reason);
      return refuse(request, "error", admission.reason, EXIT.system);
  }
}

/** Go on to the program, or to the rule's script. */
function serve(request: LocalAdmissionRequest, admitted: Admitted): Outcome {
  const { launch, program, options, context, reporter } = request;
  const about = options.setsVariables ? localPathEdit(request) : removals(request.client.protocol);
  if (about === undefined) return end(EXIT.system);
  if (options.verbosity >= 1) context.report(reporter, "info", `allow ${idsOf(request)}`);
  const edits = [...admitted.edits, ...about];
  return goOn({ ...withEnvironment(launch, edits), argv: admitted.words ?? program });
}

/** Undefined, and reported, where the connection has no local path that could be told. */
function localPathEdit(request: LocalAdmissionRequest): EnvironmentEdit[] | undefined {
  const { client, options, context, reporter } = request;
  try {
    const value = options.localName ?? localPathOf(request);
    return [{ name: ipcNames(client.protocol).localPath, value }];
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    const why = `unable to get the local path of stdin: ${error.message}`;
    context.report(reporter, "fatal", why);
    return undefined;
  }
}

/** Throws SystemError. */
function localPathOf({ launch, context: { posix } }: LocalAdmissionRequest): string {
  const address = posix.getsockname(descriptorAt(launch, 0));
  return address.family === "unix" ? pathOf(address.path) : "";
}

/** The program is to know nothing of the connection. */
function removals(protocol: string): EnvironmentEdit[] {
  const names = [PROTO, ...Object.values(ipcNames(protocol))];
  return names.map((name) => ({ name, value: undefined }));
}

/** `pid 1 uid 2 gid 3`; fused, the pid is that of the server. */
function idsOf({ client: { uid, gid }, context: { posix } }: LocalAdmissionRequest): string {
  return `pid ${posix.getpid()} uid ${uid} gid ${gid}`;
}

/** As in the C suite, the text tells whether a rule denies or none matches. */
function denial(request: LocalAdmissionRequest, { rule }: Refused): string {
  const code = rule === undefined ? "ENOENT" : "EACCES";
  return `deny ${idsOf(request)}: ${request.context.posix.strerror(code)}`;
}

/** The client is told nothing. */
function refuse(
  request: LocalAdmissionRequest,
  by: LocalRefusal["by"],
  reason: string,
  exitCode: number,
): Outcome {
  const { client, options, launch, context, reporter } = request;
  if (options.refusals !== undefined) {
    const remotePath = launch.environment.get(ipcNames(client.protocol).remotePath) ?? "";
    const localPath = options.localName ?? pathOrNone(request);
    const { uid, gid } = client;
    const refusal = { uid, gid, remotePath, localPath, by, reason };
    const record = formatRefusal(refusal, options.refusals);
    recordRefusal(record, options.refusals, reporter, context);
  }
  return end(exitCode);
}

function pathOrNone(request: LocalAdmissionRequest): string {
  try {
    return localPathOf(request);
  } catch (error) {
    if (error instanceof SystemError) return ""; // the record is of use without it
    throw error;
  }
}
