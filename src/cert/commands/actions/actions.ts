/** The actions of ucspi-cert: each reads files, calls the library and writes files. */

import { webcrypto } from "node:crypto";
import { basename } from "node:path";
import {
  AUTHORITY,
  CERT_FILE_BYTES_MAX,
  certFiles,
  CertProblem,
  describeCertificates,
  fileNameOf,
  formatDescription,
  importPkcs12,
  issueClientCertificate,
  issueServerCertificate,
  makeAuthority,
  parseClientName,
  parseServerName,
  readBounded,
  readCertified,
  refuseExisting,
  serverNamesOf,
  writeCertified,
} from "../../index.ts";

import type { CommandContext } from "../../../command/index.ts";
import type { CertifiedKey, CertTools, IssueOptions } from "../../index.ts";
import type { Options } from "./options.ts";

export const NAME = "ucspi-cert";

export async function makeCa(
  context: CommandContext,
  { keyType, days, name, force }: Options,
  [directory = ""]: readonly string[],
): Promise<void> {
  if (!force) refuseExisting(context.posix, certFiles(directory, AUTHORITY));
  const authority = await makeAuthority(tools(context), { keyType, days, name });
  writeCertified(context.posix, directory, AUTHORITY, authority, { replaces: force });
  printFingerprint(context, authority);
}

export async function makeServer(
  context: CommandContext,
  options: Options,
  [directory = "", ...words]: readonly string[],
): Promise<void> {
  const typed = words.map((word) => parseServerName(word).value);
  const file = ownFileName(typed[0] ?? "");
  const old = oldKey(context, directory, file, options);
  const names =
    old !== undefined && typed.length === 1 ? await serverNamesOf(old.certificates) : typed;
  await issue(context, options, directory, file, (authority) =>
    issueServerCertificate(tools(context), authority, {
      ...issueOptions(options, old),
      names,
    }),
  );
}

export async function makeClient(
  context: CommandContext,
  options: Options,
  [directory = "", word = ""]: readonly string[],
): Promise<void> {
  const name = parseClientName(word).commonName;
  const file = ownFileName(name);
  const old = oldKey(context, directory, file, options);
  await issue(context, options, directory, file, (authority) =>
    issueClientCertificate(tools(context), authority, { ...issueOptions(options, old), name }),
  );
}

export async function show(
  context: CommandContext,
  _options: Options,
  [path = ""]: readonly string[],
): Promise<void> {
  const descriptions = describeCertificates(readBounded(context.posix, path), path);
  const texts = descriptions.map((description, index) => {
    return formatDescription(`${path}: ${index + 1} of ${descriptions.length}`, description);
  });
  context.print(texts.join(""));
}

export async function importFile(
  context: CommandContext,
  { force, passphraseFile }: Options,
  [path = "", directory = "", word]: readonly string[],
): Promise<void> {
  const name = parseClientName(word ?? basename(path).replace(/\.(?:p12|pfx)$/i, "")).commonName;
  const file = ownFileName(name);
  if (!force) refuseExisting(context.posix, certFiles(directory, file));
  const bytes = readBounded(context.posix, path);
  const content = await importPkcs12(bytes, readPassphrase(context, passphraseFile), path);
  writeCertified(context.posix, directory, file, content, { replaces: force });
  if (content.othersCount > 0) {
    context.report(
      NAME,
      "warning",
      `${path}: left out ${content.othersCount} certificates that are not of the chain`,
    );
  }
  printFingerprint(context, content);
}

/** Have a certificate signed by the authority of the directory, made now if there is none, and keep it. */
async function issue(
  context: CommandContext,
  { force, renew }: Options,
  directory: string,
  file: string,
  sign: (authority: CertifiedKey) => Promise<CertifiedKey>,
): Promise<void> {
  const replaces = force || renew;
  if (!replaces) refuseExisting(context.posix, certFiles(directory, file));
  const certified = await sign(await openAuthority(context, directory));
  writeCertified(context.posix, directory, file, certified, { replaces });
  printFingerprint(context, certified);
}

async function openAuthority(context: CommandContext, directory: string): Promise<CertifiedKey> {
  const authority = readCertified(context.posix, certFiles(directory, AUTHORITY));
  if (authority !== undefined) return authority;
  const made = await makeAuthority(tools(context));
  const files = writeCertified(context.posix, directory, AUTHORITY, made, { replaces: false });
  context.report(NAME, "info", `made the authority ${files.certificates}`);
  return made;
}

/** With --renew: the certificate and key that are there. */
function oldKey(
  { posix }: CommandContext,
  directory: string,
  file: string,
  { renew }: Options,
): CertifiedKey | undefined {
  if (!renew) return undefined;
  const files = certFiles(directory, file);
  const old = readCertified(posix, files);
  if (old !== undefined) return old;
  throw new CertProblem("input", `${files.certificates} is not there to be renewed`);
}

function issueOptions({ keyType, days }: Options, old: CertifiedKey | undefined): IssueOptions {
  return { keyType, days, key: old?.key };
}

/** The file name for a certificate; that of the authority is taken. */
function ownFileName(name: string): string {
  const file = fileNameOf(name);
  if (file === AUTHORITY)
    throw new CertProblem("input", `${AUTHORITY} is the name of the authority`);
  return file;
}

/** The first line, without its end. */
function readPassphrase(context: CommandContext, path: string | undefined): string {
  const bytes =
    path === undefined ? context.readInput(CERT_FILE_BYTES_MAX) : readBounded(context.posix, path);
  return Buffer.from(bytes).toString("utf8").split(/\r?\n/, 1)[0] ?? "";
}

function tools({ clock }: CommandContext): CertTools {
  return { clock, crypto: webcrypto };
}

function printFingerprint(context: CommandContext, { certificates }: CertifiedKey): void {
  const [first] = describeCertificates(Buffer.from(certificates), "the certificate");
  context.print(`${first?.fingerprint ?? ""}\n`);
}
