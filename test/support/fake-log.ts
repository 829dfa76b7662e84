/** A log in memory: its lines are pushed to an array, oldest first. */

import type { Log } from "../../src/host/index.ts";

export function fakeLog(lines: string[]): Log {
  return {
    report: (program, kind, text) => void lines.push(`${program}: ${kind}: ${text}`),
    line: (_, __, text) => void lines.push(text),
    flush: () => true,
    end: () => undefined,
  };
}
