/** Compiling tcprules text in memory. */

import { TcpRulesCompiler } from "../../../src/access/index.ts";
import { growingFile } from "../samples.ts";

import type { RulesFormat } from "../../../src/access/index.ts";

/** Compile text in these pieces. */
export function compiled(
  format: RulesFormat,
  pieces: readonly (string | Uint8Array)[],
): { readonly bytes: Buffer; readonly warnings: readonly string[] } {
  const file = growingFile();
  const warnings: string[] = [];
  const compiler = new TcpRulesCompiler(format, file, (message) => void warnings.push(message));
  for (const piece of pieces) compiler.push(Buffer.from(piece));
  compiler.finish();
  return { bytes: file.bytes(), warnings };
}
