/** Reading a header of either version. */

import { invalid, PROXY_V1_BYTES_MIN, PROXY_V1_PREFIX, PROXY_V2_PREFIX_BYTES } from "./header.ts";
import type { Progress, ProxyVersion } from "./header.ts";
import { readProxyV1 } from "./v1.ts";
import { readProxyV2 } from "./v2.ts";

/**
 * The result of the bytes that a connection has brought so far: a header, the start of one, or
 * something that is none. Give it all of them each time. Only the header itself is read, never what
 * follows it, and the values of its TLVs are views of `buffered`. With `only`, the other version is
 * invalid.
 *
 * @example
 * const progress = parseProxy(Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 49152 80\r\nHELO"));
 * if (progress.kind === "done" && progress.header.command === "proxy") {
 *   const { header, bytesUsed } = progress; // 41: "HELO" is the program's
 * }
 */
export function parseProxy(buffered: Uint8Array, only?: ProxyVersion): Progress {
  const [first] = buffered;
  if (first === undefined) return only === 2 ? NOTHING_OF_V2 : NOTHING;
  const isText = first === PROXY_V1_PREFIX[0];
  if (only === (isText ? 2 : 1)) return invalid("invalid magic");
  return isText ? readProxyV1(buffered) : readProxyV2(buffered);
}

const NOTHING: Progress = { kind: "more", bytesWanted: PROXY_V1_BYTES_MIN };
const NOTHING_OF_V2: Progress = { kind: "more", bytesWanted: PROXY_V2_PREFIX_BYTES };
