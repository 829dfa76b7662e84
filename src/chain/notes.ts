/**
 * The notes of a launcher for the Node it executes, in one variable: the state this process was started with, before
 * Node changed it. The native launcher (src/launcher/launcher.c) knows all of it; a link that executes
 * a launcher of ours says what it knows, for the portable one cannot find out.
 *
 * `1;PID;START;SOFT;OPEN;IGNORED;BLOCKED;FOLDER`: the process that notes and when it began, the soft limit
 * on open files, the open descriptors, sets of signals (bit N - 1 for signal N), and the folder of the
 * launcher. OPEN is `0-2,5`, or `!0,2` where only those of 0 to 2 that are closed are known.
 *
 * Notes count only if this very process has written them or, for those of links, its parent. So a variable of
 * that name that a user sets, or that is left over from another process, is taken away and has no other
 * effect.
 */

/** The variable of the notes. */
export const NOTES_VARIABLE = "UCSPI_INHERITED";

/** The prefix that the native launcher puts before the name of a variable that Node would act on. */
const ASIDE = "UCSPI_ASIDE_";

/** Numbers of descriptors: the kernel's own bound. */
const DESCRIPTORS_MAX = 1 << 30;

/** RLIM_INFINITY, as the native launcher writes it. */
const UNLIMITED = 2n ** 64n - 1n;

export interface Notes {
  /** Infinity where there is no limit. */
  readonly softNofile: number;
  /** Those of 0 to 2 that were closed. */
  readonly closed: readonly number[];
  /** All open descriptors, as [first, last]; undefined where only `closed` is known. */
  readonly open: readonly (readonly [number, number])[] | undefined;
  readonly ignored: bigint;
  readonly blocked: bigint;
  /** The path of the launcher; "" if a link has written the notes. */
  readonly folder: string;
}

/** A process, by its number and by when it began (0 where that is not known). */
export interface Writer {
  readonly pid: number;
  readonly startedAt: string;
}

const FORM = /^1;(\d{1,10});(\d{1,20});(\d{1,20});(![0-2,]*|[\d,-]*);(\d{1,20});(\d{1,20});(.*)$/s;

/**
 * The notes among these variables that `isWriter` believes, and the variables as they were before: what was
 * set aside under its own name again, the notes gone.
 */
export function readNotes(
  variables: readonly string[],
  isWriter: (writer: Writer, isLauncher: boolean) => boolean,
): { readonly notes: Notes | undefined; readonly variables: readonly string[] } {
  const start = `${NOTES_VARIABLE}=`;
  const others = variables.filter((variable) => !variable.startsWith(start));
  if (others.length === variables.length) return { notes: undefined, variables };
  const texts = variables.filter((variable) => variable.startsWith(start));
  const notes = texts.length === 1 ? parseNotes(texts[0]?.slice(start.length) ?? "") : undefined;
  if (notes === undefined) return { notes, variables: others };
  const isLauncher = notes.folder !== "";
  if (!isWriter(notes.writer, isLauncher)) return { notes: undefined, variables: others };
  return { notes, variables: isLauncher ? withoutAside(others) : others };
}

/** Variables under their own names again; one that Node was to see as well may have been changed by it. */
function withoutAside(variables: readonly string[]): string[] {
  const aside = variables.filter((variable) => variable.startsWith(ASIDE));
  const names = new Set(aside.map((variable) => variable.slice(ASIDE.length).split("=", 1)[0]));
  return variables.flatMap((variable) => {
    if (variable.startsWith(ASIDE)) return [variable.slice(ASIDE.length)];
    return names.has(variable.split("=", 1)[0]) ? [] : [variable];
  });
}

function parseNotes(text: string): (Notes & { readonly writer: Writer }) | undefined {
  const [, pid, startedAt = "", soft, open = "", ignored, blocked, folder = ""] =
    FORM.exec(text) ?? [];
  if (pid === undefined || soft === undefined || ignored === undefined || blocked === undefined) {
    return undefined;
  }
  const ranges = open.startsWith("!") ? undefined : parseRanges(open);
  if (ranges === "invalid") return undefined;
  return {
    writer: { pid: Number(pid), startedAt },
    softNofile: BigInt(soft) >= UNLIMITED ? Infinity : Number(soft),
    closed: [0, 1, 2].filter((fd) =>
      ranges === undefined ? open.includes(String(fd)) : !isInRanges(fd, ranges),
    ),
    open: ranges,
    ignored: BigInt.asUintN(64, BigInt(ignored)),
    blocked: BigInt.asUintN(64, BigInt(blocked)),
    folder,
  };
}

function parseRanges(text: string): [number, number][] | "invalid" {
  if (text === "") return [];
  const ranges = text.split(",").map((range): [number, number] => {
    const [, first, last = first] = /^(\d{1,10})(?:-(\d{1,10}))?$/.exec(range) ?? [];
    return [Number(first), Number(last)];
  });
  const isValid = ranges.every(([first, last]) => first <= last && last < DESCRIPTORS_MAX);
  return isValid ? ranges : "invalid";
}

function isInRanges(fd: number, ranges: readonly (readonly [number, number])[]): boolean {
  return ranges.some(([first, last]) => first <= fd && fd <= last);
}

/** The text of the notes that a link writes for a launcher of ours. */
export function formatNotes(
  { softNofile, closed, ignored, blocked }: Omit<Notes, "open" | "folder">,
  { pid, startedAt }: Writer,
): string {
  const soft = softNofile === Infinity ? UNLIMITED : softNofile;
  return [1, pid, startedAt, soft, `!${closed.join(",")}`, ignored, blocked, ""].join(";");
}
