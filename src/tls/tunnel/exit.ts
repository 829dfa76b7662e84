/** The ends of a tunnel: the exit codes of networking.md, section 14.3, and their messages. */

/** The exit codes of the TLS commands. */
export const TUNNEL_EXIT = {
  ok: 0,
  material: 96,
  engine: 97,
  tls: 98,
  usage: 100,
  system: 111,
} as const;

/** The end of a tunnel: an exit code, and a message unless it is 0. */
export interface TunnelEnd {
  readonly exitCode: number;
  readonly message: string | undefined;
}

/** Both directions have ended as they should. */
export const ENDED_WELL: TunnelEnd = { exitCode: TUNNEL_EXIT.ok, message: undefined };

/** A failure of TLS; without a message where the user wants none. */
export function tlsFailure(message: string | undefined): TunnelEnd {
  return { exitCode: TUNNEL_EXIT.tls, message };
}
