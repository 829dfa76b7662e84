/**
 * Trust anchors, from CADIR or CAFILE (networking.md, 13.1). Any certificate may be one, of an authority
 * or of a peer itself.
 */

import type { X509Certificate } from "node:crypto";
import { errnoOf } from "../../posix/index.ts";
import { certificatesOf } from "./credentials.ts";
import { cannotUse, MaterialProblem } from "./material-error.ts";
import type { Side } from "./material-error.ts";
import type { MaterialFiles } from "./material-files.ts";
import { formatPem } from "./pem.ts";

/** Where anchors are: CADIR where both are set. */
export interface AnchorSource {
  readonly variable: "CADIR" | "CAFILE";
  readonly path: string;
}

/** `openssl rehash` names files so: hash of the subject, and a number. */
const HASHED_NAME = /^[0-9a-f]{8}\.[0-9]+$/i;
/** What is wrong with a file, rather than with our asking for it now. */
const PASSED_OVER: ReadonlySet<string> = new Set(["EACCES", "ELOOP", "ENOENT", "ENXIO", "EPERM"]);
const CERTIFICATE_NAME = /\.(?:pem|crt|cer)$/i;

/** An empty value counts as none (the C suite takes an empty CADIR for a directory it cannot read). */
export function anchorSource(
  variables: (name: string) => string | undefined,
): AnchorSource | undefined {
  for (const variable of ["CADIR", "CAFILE"] as const) {
    const path = variables(variable) ?? "";
    if (path !== "") return { variable, path };
  }
  return undefined;
}

/**
 * The anchors in PEM, each once. Throws TlsMaterialError: 96 when there are none, or a bundle is
 * damaged; what a missing or unreadable place is depends on the side. Files of a directory that cannot
 * be read or are no certificates are passed over.
 */
export function loadAnchors(files: MaterialFiles, source: AnchorSource, side: Side): string[] {
  const what = `${source.variable} ${source.path}`;
  try {
    const anchors =
      source.variable === "CADIR"
        ? certificatesInDirectory(files, source.path)
        : certificatesOf(files.read(source.path));
    if (anchors.length === 0) throw new MaterialProblem("there is no certificate in it");
    const unique = new Map(anchors.map(({ fingerprint256, raw }) => [fingerprint256, raw]));
    return Array.from(unique.values(), (raw) => formatPem("CERTIFICATE", raw));
  } catch (error) {
    throw cannotUse(what, error, side, files.posix);
  }
}

function certificatesInDirectory(files: MaterialFiles, path: string): X509Certificate[] {
  const names = files.list(path);
  const hashed = names.filter((name) => HASHED_NAME.test(name));
  const wanted = hashed.length > 0 ? hashed : names.filter((name) => CERTIFICATE_NAME.test(name));
  return wanted.flatMap((name) => certificatesIn(files, `${path}/${name}`));
}

function certificatesIn(files: MaterialFiles, path: string): X509Certificate[] {
  try {
    return certificatesOf(files.read(path, { isMember: true }));
  } catch (error) {
    // A directory may hold anything, and fewer anchors only trust less.
    if (error instanceof MaterialProblem || PASSED_OVER.has(errnoOf(error) ?? "")) return [];
    throw error;
  }
}
