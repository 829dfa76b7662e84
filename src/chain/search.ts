/** Where execvp(3) would find a word (local-services.md, section 1.4). */

/** The search path of a process that has no PATH. */
const DEFAULT_PATH = "/usr/bin:/bin";

/**
 * The files execvp would try for `word`, in order: the word itself if it has a slash, otherwise one
 * for each element of `path`. Empty elements are skipped, never the current directory.
 */
export function candidateFiles(word: string, path: string | undefined): readonly string[] {
  if (word.includes("/")) return [word];
  const elements = (path ?? DEFAULT_PATH).split(":").filter((element) => element !== "");
  return elements.map((element) => `${element}/${word}`);
}
