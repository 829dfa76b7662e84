/** The addresses of sockets. */

/** The longest path that a Unix socket's address holds (sun_path, less its terminator). */
export const UNIX_PATH_BYTES_MAX = 107;

/** The address of a socket, in the bytes the kernel uses. */
export type SocketAddress =
  | {
      readonly family: "inet" | "inet6";
      /** 4 or 16 bytes, network order. */
      readonly bytes: Uint8Array;
      readonly port: number;
      /** Interface index of a link-local IPv6 address, 0 otherwise. */
      readonly scope: number;
    }
  /** A path; "" when unnamed; an abstract name begins with NUL and has 108 bytes at most with it. */
  | { readonly family: "unix"; readonly path: string };
