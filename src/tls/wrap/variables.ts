/** The variables of the TLS commands: those for the engine's identity, and those to hide from programs. */

import type { Environment } from "../../chain/index.ts";
import { parseUnsigned, VariableError } from "../../net/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Identity, Posix } from "../../posix/index.ts";

const PRIVATE = ["CADIR", "CAFILE", "CERTFILE", "KEYFILE", "TLS_UID", "TLS_GID"];
const PRIVATE_PREFIXES = ["CERTFILE:", "KEYFILE:"];

/**
 * Take out what tells a program where the keys are (networking.md, section 13.3): done unless the user
 * wants the variables kept, which is what the C suite documents and release 2.8 gets backwards.
 */
export function privateEdits(
  environment: Environment,
  { keepsVariables }: { readonly keepsVariables: boolean },
): EnvironmentEdit[] {
  if (keepsVariables) return [];
  const prefixed = PRIVATE_PREFIXES.flatMap((prefix) => environment.namesStartingWith(prefix));
  const names = [...PRIVATE, ...prefixed].filter((name) => environment.get(name) !== undefined);
  return names.map((name) => ({ name, value: undefined }));
}

/**
 * The identity that the engine is to have by TLS_UID and TLS_GID, where it has to change; only root can.
 * Supplementary groups go with it. Throws VariableError.
 */
export function engineIdentity(environment: Environment, posix: Posix): Identity | undefined {
  const uid = idOf(environment, "TLS_UID");
  const gid = idOf(environment, "TLS_GID");
  if (posix.getuid() !== 0 || (uid === 0 && gid === 0)) return undefined;
  return { groups: [], ...(gid === 0 ? {} : { gid }), ...(uid === 0 ? {} : { uid }) };
}

/** 0 is "as before". */
function idOf(environment: Environment, name: string): number {
  const text = environment.get(name);
  if (text === undefined) return 0;
  const id = parseUnsigned(text);
  if (id === undefined) throw new VariableError(name, "invalid");
  return id;
}
