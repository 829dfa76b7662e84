/** The messages between s6-sudoc and s6-sudod (local-services.md, section 8.2). */

import { joinBlock, splitBlock } from "../posix/index.ts";
import type { WaitStatus } from "../posix/index.ts";

/** The first bytes of the server, and of the client's message. */
export const SUDO_SERVER_BANNER = "s6-sudo b v1.0\n";
const SUDO_CLIENT_BANNER = "s6-sudo a v1.0\n";

/** Standard input, output and error. */
export const SUDO_FDS = 3;

/** The most words, and the most variables. */
export const SUDO_COUNT_MAX = 131_072;

/** The longest message: more than 6 MiB of words and variables the kernel gives to no program. */
export const SUDO_BYTES_MAX = 8 << 20;

/** The four numbers behind the banner: words, variables, and the bytes of each. */
const NUMBERS_AT = SUDO_CLIENT_BANNER.length;
const HEADER_BYTES = NUMBERS_AT + 16;

/** What a client asks for. */
export interface SudoRequest {
  readonly words: readonly string[];
  /** NAME=VALUE strings. */
  readonly variables: readonly string[];
}

export type SudoReading =
  | { readonly kind: "request"; readonly request: SudoRequest }
  /** Not the format: there is no answer. */
  | { readonly kind: "malformed"; readonly why: string }
  /** The format, but not what it promises: the client is told EINVAL. */
  | { readonly kind: "invalid"; readonly why: string; readonly fault: "strings" | "variable" };

/** The body of a client's message. */
export function formatSudoRequest({ words, variables }: SudoRequest): Buffer {
  const strings = [joinBlock(words), joinBlock(variables)] as const;
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(SUDO_CLIENT_BANNER, "latin1");
  const numbers = [words.length, variables.length, ...strings.map(({ length }) => length)];
  for (const [index, number] of numbers.entries()) {
    header.writeUInt32BE(number, NUMBERS_AT + 4 * index);
  }
  return Buffer.concat([header, ...strings]);
}

/** Read the body of a client's message; `ownWords` is how many words the server has of its own. */
export function readSudoRequest(body: Uint8Array, ownWords: number): SudoReading {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (bytes.length < HEADER_BYTES) return malformed("a message that is too short");
  if (bytes.toString("latin1", 0, NUMBERS_AT) !== SUDO_CLIENT_BANNER) {
    return malformed("a message of another version");
  }
  const [argc = 0, envc = 0, argBytes = 0, envBytes = 0] = [0, 1, 2, 3].map((index) =>
    bytes.readUInt32BE(NUMBERS_AT + 4 * index),
  );
  if (HEADER_BYTES + argBytes + envBytes !== bytes.length) {
    return malformed("a message of the wrong length");
  }
  if (argc > SUDO_COUNT_MAX || envc > SUDO_COUNT_MAX) {
    return malformed("too many words or variables");
  }
  if (argc + ownWords === 0) return malformed("no program");
  const envAt = HEADER_BYTES + argBytes;
  const words = strings(bytes.subarray(HEADER_BYTES, envAt), argc);
  const variables = strings(bytes.subarray(envAt), envc);
  if (words === undefined || variables === undefined) {
    return { kind: "invalid", why: "fewer strings than announced", fault: "strings" };
  }
  const nameless = variables.some((variable) => !variable.includes("="));
  if (nameless) return { kind: "invalid", why: "a variable without a value", fault: "variable" };
  return { kind: "request", request: { words, variables } };
}

/** So many strings, each ended by a NUL; what follows them is not looked at. */
function strings(bytes: Buffer, count: number): string[] | undefined {
  let end = 0;
  for (let found = 0; found < count; found += 1) {
    const nul = bytes.indexOf(0, end);
    if (nul < 0) return undefined;
    end = nul + 1;
  }
  return splitBlock(bytes.subarray(0, end));
}

function malformed(why: string): SudoReading {
  return { kind: "malformed", why };
}

const CORE_FLAG = 0x80;

/** The status of wait(2), as 4 bytes. */
export function formatWaitStatus(status: WaitStatus): Buffer {
  const bytes = Buffer.alloc(4);
  const number =
    status.kind === "exited"
      ? status.exitCode << 8
      : status.signal | (status.coreDumped ? CORE_FLAG : 0);
  bytes.writeUInt32BE(number, 0);
  return bytes;
}

/** An exit code above this one tells of a signal. */
const EXIT_CODE_MAX = 128;

/** The exit code of the client for the server's 4 bytes of status: never above 128 but for a signal. */
export function exitCodeOfStatus(bytes: Uint8Array): number {
  const status = Buffer.from(bytes).readUInt32BE(0);
  const signal = status & 0x7f;
  if (signal !== 0) return EXIT_CODE_MAX + signal;
  return Math.min((status >>> 8) & 0xff, EXIT_CODE_MAX);
}

/**
 * The edits to the environment of the server for a client's variables: only those count that the server
 * has, and has empty, and of each name the first.
 */
export function admittedVariables(
  own: readonly string[],
  variables: readonly string[],
): { readonly name: string; readonly value: string }[] {
  const open = new Set(own.filter((one) => one.indexOf("=") === one.length - 1));
  const edits: { name: string; value: string }[] = [];
  for (const variable of variables) {
    const equals = variable.indexOf("=");
    if (!open.delete(variable.slice(0, equals + 1))) continue;
    edits.push({ name: variable.slice(0, equals), value: variable.slice(equals + 1) });
  }
  return edits;
}
