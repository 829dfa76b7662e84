/** Names of Unix-domain sockets: paths, and names of the abstract space, which are those of no file. */

import { encodeBytes, UNIX_PATH_BYTES_MAX } from "../../posix/index.ts";
import type { Posix, SocketAddress } from "../../posix/index.ts";

/** A Unix-domain socket by its name on a command line. */
export interface LocalName {
  readonly name: string;
  /** Is it in the abstract space? */
  readonly isAbstract: boolean;
}

/** The address of a name. */
export function addressOf({ name, isAbstract }: LocalName): SocketAddress {
  return { family: "unix", path: isAbstract ? `\0${name}` : name };
}

/** The name for messages; abstract ones begin with @, as in the tables of the kernel. */
export function tellName({ name, isAbstract }: LocalName): string {
  return isAbstract ? `@${name}` : name;
}

/** The reason why a name cannot be that of a socket; undefined when it can. */
export function problemOfName(
  { name }: LocalName,
  posix: Pick<Posix, "strerror">,
): string | undefined {
  if (encodeBytes(name).length <= UNIX_PATH_BYTES_MAX) return undefined;
  return `${posix.strerror("ENAMETOOLONG")} (at most ${UNIX_PATH_BYTES_MAX} bytes)`;
}
