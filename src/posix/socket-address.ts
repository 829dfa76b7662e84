/** The address of a socket. */

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
  /** A path; "" when unnamed; abstract names begin with NUL. */
  | { readonly family: "unix"; readonly path: string };
