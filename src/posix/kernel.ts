/** What all families of calls share: descriptors, process ids, identities, and failures. */

declare const fdBrand: unique symbol;
declare const pidBrand: unique symbol;

/** An open descriptor. Only src/posix makes one, so a stray number cannot pass for it. */
export type Fd = number & { readonly [fdBrand]: true };

/** A process id. */
export type Pid = number & { readonly [pidBrand]: true };

/** A user or group id as the kernel knows it, 0 to 2^32 - 1. */
export type Uid = number;
export type Gid = number;

/** A system call that failed: `code` is the errno name, `message` what strerror(3) says of it. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno name, `ENOENT`. */
  readonly code: string;
  readonly errno: number;
  /** The call that failed, `bind`. */
  readonly syscall: string;

  constructor(code: string, errno: number, syscall: string, message: string) {
    super(message);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/** The errno name of a failure, be it ours or Node's; undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The two descriptors that C left in a pair of numbers. */
export function fdPair(pair: Int32Array): readonly [Fd, Fd] {
  return [(pair[0] ?? -1) as Fd, (pair[1] ?? -1) as Fd];
}
