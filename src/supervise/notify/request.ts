/** Requests to s6-ftrigrd and its answers, without their frames (supervision.md, section 3.7). */

/** The first message of a client, and the answer to it on both ways back. */
export const CLIENT_BANNER = "ftrigr v2.0 (b)\n";
export const SERVER_BANNER = "ftrigr v2.0 (a)\n";

/** The numbers of errors, which are those of the kernel on all processors that Node runs on. */
export const STATUS = { ok: 0, EEXIST: 17, EINVAL: 22, EPROTO: 71, ETIMEDOUT: 110 } as const;

export type FtrigRequest =
  | {
      readonly kind: "subscribe";
      /** Chosen by the client, for the messages about this subscription. */
      readonly id: number;
      /** Does it go on after its first match? */
      readonly repeats: boolean;
      readonly timeoutMs: number | undefined;
      /** Undefined where the payload is not made of two strings. */
      readonly wanted: { readonly path: Buffer; readonly regex: Buffer } | undefined;
    }
  | { readonly kind: "cancel"; readonly id: number };

const SUBSCRIBE = "+".charCodeAt(0);
const CANCEL = "-".charCodeAt(0);
const REPEATS = 1;

/** Where the numbers are: the kind of request is one byte, and each number four. */
const AT = { id: 1, flags: 5, timeout: 9, length: 17, payload: 21 } as const;
const CANCEL_BYTES = 5;

/** A request; undefined for what is none. */
export function parseFtrigRequest(body: Buffer): FtrigRequest | undefined {
  if (body[0] === CANCEL && body.length === CANCEL_BYTES) {
    return { kind: "cancel", id: body.readUInt32BE(AT.id) };
  }
  if (body[0] !== SUBSCRIBE || body.length < AT.payload) return undefined;
  const payload = body.subarray(AT.payload);
  if (body.readUInt32BE(AT.length) !== payload.length) return undefined;
  return {
    kind: "subscribe",
    id: body.readUInt32BE(AT.id),
    repeats: (body.readUInt32BE(AT.flags) & REPEATS) !== 0,
    timeoutMs: body.readUInt32BE(AT.timeout) || undefined,
    wanted: parseWanted(payload),
  };
}

/** Two strings, each ended by a NUL; what follows them is not looked at. */
function parseWanted(payload: Buffer): { path: Buffer; regex: Buffer } | undefined {
  const pathEnd = payload.indexOf(0);
  const regexEnd = pathEnd < 0 ? -1 : payload.indexOf(0, pathEnd + 1);
  if (regexEnd < 0) return undefined;
  return { path: payload.subarray(0, pathEnd), regex: payload.subarray(pathEnd + 1, regexEnd) };
}

/** The answer to a request: 0, or the number of an error. */
export function formatAnswer(status: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(status, 0);
  return body;
}

/** A message about a subscription: events, or the number of the error that has ended it. */
export function formatNews(id: number, news: Uint8Array | number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(id, 0);
  if (typeof news !== "number") return Buffer.concat([head, news]);
  head.writeUInt32BE(news, 4);
  return head;
}
