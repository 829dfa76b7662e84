/**
 * The variables of a connection that an engine writes once it is secured: NUL-terminated strings, then
 * one more NUL (networking.md, section 13.2). `NAME=VALUE` sets a variable, `NAME` alone removes it.
 */

import type { EnvironmentEdit } from "../../net/index.ts";
import { decodeBytes, joinBlock } from "../../posix/index.ts";

/** The C suite's s6-tlsc and s6-tlsd take no longer block than this. */
export const TLS_BLOCK_BYTES_MAX = 4095;

/** Throws RangeError for edits that no reader could parse: a bad name, a NUL, too many bytes. */
export function formatTlsBlock(edits: readonly EnvironmentEdit[]): Buffer {
  const bytes = joinBlock([...edits.map(wordOf), ""]);
  if (bytes.length > TLS_BLOCK_BYTES_MAX) {
    throw new RangeError(`${bytes.length} bytes of variables, ${TLS_BLOCK_BYTES_MAX} at most`);
  }
  return bytes;
}

/**
 * The edits of a whole block; undefined when it is cut short, too long, followed by more, or has a
 * variable without a name. Any other name will do: the engine that wrote it is trusted.
 */
export function parseTlsBlock(bytes: Uint8Array): EnvironmentEdit[] | undefined {
  if (bytes.length > TLS_BLOCK_BYTES_MAX) return undefined;
  const edits: EnvironmentEdit[] = [];
  let at = 0;
  for (let end = bytes.indexOf(0); end > at; end = bytes.indexOf(0, at)) {
    const edit = editOf(decodeBytes(bytes.subarray(at, end)));
    if (edit === undefined) return undefined;
    edits.push(edit);
    at = end + 1;
  }
  return at === bytes.length - 1 && bytes[at] === 0 ? edits : undefined;
}

function wordOf({ name, value }: EnvironmentEdit): string {
  const word = value === undefined ? name : `${name}=${value}`;
  if (name === "" || name.includes("=") || word.includes("\0")) {
    throw new RangeError(`not a variable: ${JSON.stringify(word)}`);
  }
  return word;
}

function editOf(word: string): EnvironmentEdit | undefined {
  const equals = word.indexOf("=");
  if (equals === 0) return undefined;
  if (equals < 0) return { name: word, value: undefined };
  return { name: word.slice(0, equals), value: word.slice(equals + 1) };
}
