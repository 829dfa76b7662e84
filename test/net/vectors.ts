/** The tables of `test/vectors/net-*.md`. */

import { readFileSync } from "node:fs";

const VECTORS = new URL("../vectors/", import.meta.url);

/** The rows of every table in a vector file, as cells without their back-quotes. */
export function tableRows(file: string): string[][] {
  const lines = readFileSync(new URL(file, VECTORS), "utf8").split("\n");
  return lines.filter((line) => line.startsWith("| `")).map(cells);
}

function cells(line: string): string[] {
  const inner = line.slice(1, line.lastIndexOf("|"));
  return inner.split("|").map((cell) => cell.trim().replace(/^`(.*)`$/, "$1"));
}
