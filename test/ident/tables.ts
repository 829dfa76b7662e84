/** Tables of connections as the kernel writes them (proc(5)). */

export const HEADING =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/** A row, of a connection that is established unless something else is said. */
export function row(name: string, uid: number, inode = 4711): string {
  const queues = "01 00000000:00000000 00:00000000 00000000";
  const account = `${String(uid).padStart(5)}        0 ${inode}`;
  return `   0: ${name} ${queues} ${account} 1 00000000e0a58385 100 0 0 10 0                      \n`;
}
