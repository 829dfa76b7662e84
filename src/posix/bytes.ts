/**
 * Words, variables and paths are bytes to the kernel and strings to us. Valid UTF-8 becomes the
 * string it spells; a byte that is not part of any becomes a lone surrogate U+DC80 to U+DCFF, as in
 * PEP 383, so that every word survives the round trip.
 */

const UNDECODABLE = /[\udc80-\udcff]/;
const REPLACEMENT = "�";

/** The bytes of a string from `decodeBytes`, or of any other string, as UTF-8. */
export function encodeBytes(text: string): Buffer {
  if (!UNDECODABLE.test(text)) return Buffer.from(text, "utf8");
  const parts: Buffer[] = [];
  let plain = "";
  for (const character of text) {
    const unit = character.length === 1 ? character.charCodeAt(0) : 0;
    if (unit < 0xdc80 || unit > 0xdcff) {
      plain += character;
      continue;
    }
    parts.push(Buffer.from(plain, "utf8"), Buffer.from([unit - 0xdc00]));
    plain = "";
  }
  parts.push(Buffer.from(plain, "utf8"));
  return Buffer.concat(parts);
}

/** The string that stands for these bytes; `encodeBytes` gives the bytes back. */
export function decodeBytes(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString("utf8");
  if (!text.includes(REPLACEMENT) || Buffer.from(text, "utf8").equals(buffer)) return text;
  return decodePiecewise(buffer);
}

/** The strings of a block of NUL-terminated ones, /proc/PID/environ for instance. */
export function splitBlock(block: Uint8Array): string[] {
  const text = Buffer.from(block.buffer, block.byteOffset, block.byteLength).toString("utf8");
  if (!text.includes(REPLACEMENT)) {
    const words = text.split("\0");
    return words.at(-1) === "" ? words.slice(0, -1) : words;
  }
  const words: string[] = [];
  let start = 0;
  for (let end = block.indexOf(0, start); end >= 0; end = block.indexOf(0, start)) {
    words.push(decodeBytes(block.subarray(start, end)));
    start = end + 1;
  }
  if (start < block.length) words.push(decodeBytes(block.subarray(start)));
  return words;
}

/** A block of NUL-terminated strings. A word that holds a NUL is cut there, as execve(2) would. */
export function joinBlock(words: Iterable<string>): Buffer {
  let block = "";
  for (const word of words) {
    const nul = word.indexOf("\0");
    block += `${nul < 0 ? word : word.slice(0, nul)}\0`;
  }
  return encodeBytes(block);
}

/** Longest valid UTF-8 sequences first, a lone surrogate for each byte that starts none. */
function decodePiecewise(buffer: Buffer): string {
  let text = "";
  for (let at = 0; at < buffer.length;) {
    const length = sequenceLength(buffer, at);
    text +=
      length === 0
        ? String.fromCharCode(0xdc00 + buffer.readUInt8(at))
        : buffer.toString("utf8", at, at + length);
    at += Math.max(length, 1);
  }
  return text;
}

/** How many bytes from `at` on form one valid character; 0 if none do. */
function sequenceLength(buffer: Buffer, at: number): number {
  const lead = buffer.readUInt8(at);
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  const piece = buffer.subarray(at, at + length);
  if (lead < 0xc2 || lead > 0xf4 || piece.length < length) return 0;
  return Buffer.from(piece.toString("utf8"), "utf8").equals(piece) ? length : 0;
}

/** A path or name for C: bytes that end with a NUL. */
export type CString = Uint8Array;

/** The bytes of a string, and the NUL that ends them. */
export function cString(text: string): CString {
  return encodeBytes(`${text}\0`);
}
