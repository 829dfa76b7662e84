/**
 * The tree of files of the fake kernel: a map from paths, which links and `..` are resolved to. No
 * directory has to be made for what tests put into it.
 */
import { decodeBytes } from "../../../src/posix/bytes.ts";
import { FakeFile } from "./fake-file.ts";

const LINKS_MAX = 40;
const ROOTS: ReadonlySet<string> = new Set(["/", "."]);

/** A path that leads to nothing, and why. */
export class FakePathError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

export class FakeTree {
  readonly files = new Map<string, FakeFile>();
  #lastInode = 0;

  /** Make or replace an entry, and the directories above it. */
  put(path: string, kind: FakeFile["kind"], content: Uint8Array, permissions: number): FakeFile {
    const name = normal(path);
    const parent = parentOf(name);
    if (!ROOTS.has(parent) && !this.files.has(parent)) this.putDirectory(parent);
    const file = new FakeFile(this.newInode(), content, permissions, kind);
    this.files.set(name, file);
    return file;
  }

  putDirectory(path: string, permissions = 0o755): FakeFile {
    return this.put(path, "directory", new Uint8Array(0), permissions);
  }

  newInode(): number {
    return ++this.#lastInode;
  }

  /**
   * The path that `path` leads to from the directory `at`, all links followed but perhaps one at its
   * end. There may be nothing by that name. Throws FakePathError.
   */
  resolve(path: string, at: FakeFile | undefined, followsLast: boolean): string {
    const base = at === undefined ? "." : this.pathOf(at);
    return this.#walk(path.startsWith("/") ? path : `${base}/${path}`, followsLast, 0);
  }

  /** The file at a path that was resolved; the roots are directories of their own. */
  at(path: string): FakeFile | undefined {
    const file = this.files.get(path);
    if (file !== undefined || !ROOTS.has(path)) return file;
    const root = new FakeFile(this.newInode(), new Uint8Array(0), 0o755, "directory");
    this.files.set(path, root);
    return root;
  }

  /** The present path of an open directory. */
  pathOf(directory: FakeFile): string {
    for (const [path, file] of this.files) if (file === directory) return path;
    throw new FakePathError("ENOENT");
  }

  /** The names in a directory. */
  names(directory: FakeFile): string[] {
    const path = this.pathOf(directory);
    const start = path === "." ? "" : path === "/" ? "/" : `${path}/`;
    return [...this.files.keys()].flatMap((key) => {
      const isBelow = !ROOTS.has(key) && parentOf(key) === path;
      return isBelow ? [key.slice(start.length)] : [];
    });
  }

  /** Give an entry, and all below it, another path. */
  move(from: string, to: string): void {
    const moved = [...this.files].filter(([key]) => key === from || key.startsWith(`${from}/`));
    for (const [key] of moved) this.files.delete(key);
    for (const [key, file] of moved) this.files.set(`${to}${key.slice(from.length)}`, file);
  }

  #walk(path: string, followsLast: boolean, hops: number): string {
    if (hops > LINKS_MAX) throw new FakePathError("ELOOP");
    const parts = normal(path).split("/");
    let reached = path.startsWith("/") ? "/" : ".";
    for (const [index, part] of parts.entries()) {
      if (part === "" || part === ".") continue;
      const isLast = index === parts.length - 1;
      reached = join(reached, part);
      const file = this.files.get(reached);
      if (file?.kind === "link" && (!isLast || followsLast)) {
        const target = decodeBytes(file.content);
        const start = target.startsWith("/") ? target : join(parentOf(reached), target);
        return this.#walk([start, ...parts.slice(index + 1)].join("/"), followsLast, hops + 1);
      }
      if (isLast) break;
      if (file === undefined) throw new FakePathError("ENOENT");
      if (file.kind !== "directory") throw new FakePathError("ENOTDIR");
    }
    return reached;
  }
}

function join(directory: string, name: string): string {
  if (directory === ".") return name;
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}

/** The directory of a path in its shortest spelling. */
function parentOf(path: string): string {
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : end === 0 ? "/" : path.slice(0, end);
}

/** The shortest spelling of a path; it does not know of links. */
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return path.startsWith("/") ? `/${parts.join("/")}` : parts.join("/") || ".";
}
