/**
 * The settings of a launcher for its own process, in variables that no program inherits: UCSPI_HEAP_MB limits
 * the heap of its Node (the native launcher gives it an option), and UCSPI_OOM_SCORE_ADJ is what the kernel
 * adds to its score when memory runs out.
 */

import { UsageError } from "../options/index.ts";
import type { Launch } from "./launch.ts";

const HEAP_VARIABLE = "UCSPI_HEAP_MB";
const OOM_SCORE_VARIABLE = "UCSPI_OOM_SCORE_ADJ";

/** The launch without what its launcher was told for this process alone; that is noted beside it. */
export function withOwnSettings(launch: Launch, oomScore: OomScore | undefined): Launch {
  const { environment } = launch;
  const heapMb = environment.get(HEAP_VARIABLE);
  const set = [HEAP_VARIABLE, OOM_SCORE_VARIABLE].filter(
    (name) => environment.get(name) !== undefined,
  );
  if (set.length === 0) return launch;
  return {
    ...launch,
    environment: environment.with(set.map((name) => ({ name, value: undefined }))).flattened(),
    launcher: {
      ...(heapMb === undefined ? {} : { heapMb }),
      ...(oomScore === undefined ? {} : { oomScore }),
    },
  };
}

/** The launch as a launcher of ours gets it that this very process becomes: told the same again. */
export function handOnSettings(launch: Launch): Launch {
  const { heapMb, oomScore } = launch.launcher ?? {};
  const edits = [
    ...(heapMb === undefined ? [] : [{ name: HEAP_VARIABLE, value: heapMb }]),
    ...(oomScore === undefined
      ? []
      : [{ name: OOM_SCORE_VARIABLE, value: `${oomScore.value},${oomScore.original}` }]),
  ];
  return { ...launch, environment: launch.environment.with(edits) };
}

export interface OomScore {
  readonly value: number;
  readonly original: number;
}

const OOM_SCORE_MAX = 1000;

/**
 * The value of UCSPI_OOM_SCORE_ADJ: `VALUE`, or `VALUE,ORIGINAL` where a link of ours has set it already.
 * Throws UsageError where it is invalid.
 */
export function parseOomScore(
  variables: readonly string[],
  current: () => number,
): OomScore | undefined {
  const start = `${OOM_SCORE_VARIABLE}=`;
  const text = variables.find((variable) => variable.startsWith(start))?.slice(start.length) ?? "";
  if (text === "") return undefined;
  const [, value, original] = /^(-?\d{1,4})(?:,(-?\d{1,4}))?$/.exec(text) ?? [];
  const score = Number(value);
  if (value === undefined || Math.abs(score) > OOM_SCORE_MAX) {
    throw new UsageError(
      `${OOM_SCORE_VARIABLE} is not a number from -1000 to 1000: ${text}`,
      false,
    );
  }
  return { value: score, original: original === undefined ? current() : Number(original) };
}
