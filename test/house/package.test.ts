import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { COMMAND_NAMES } from "../../src/command/registry.ts";
import { ROOT } from "../support/scene.ts";

interface Manifest {
  readonly man: readonly string[];
  readonly scripts: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** What `npm pack --json` prints. */
type Packed = readonly [
  { readonly files: readonly { readonly path: string; readonly mode: number }[] },
];

describe("the package", () => {
  let files: Packed[0]["files"] = [];
  let paths: readonly string[] = [];

  beforeAll(() => {
    for (const script of ["man.mjs", "completions.mjs"]) {
      execFileSync(process.execPath, [join(ROOT, "scripts", script)]);
    }
    const words = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const output = execFileSync("npm", words, {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [packed] = JSON.parse(output) as Packed;
    ({ files } = packed);
    paths = files.map(({ path }) => path);
  }, 60_000);

  test("ships every launcher, executable", () => {
    const launchers = files.filter(({ path }) => /^dist\/bin\/(?!package\.json$)/.test(path));
    const names = launchers.map(({ path }) => path.slice("dist/bin/".length));
    expect(names.toSorted()).toEqual([...COMMAND_NAMES, "ucspi"].toSorted());
    expect(launchers.every(({ mode }) => (mode & 0o111) === 0o111)).toBe(true);
    expect(paths).toContain("dist/bin/package.json");
  });

  test("ships a manual page for every command, and completions for three shells", () => {
    const pages = paths.filter((path) => path.startsWith("man/"));
    const names = pages.map((path) => path.replace(/^man\/|\.[18]$/g, ""));
    expect(names.toSorted()).toEqual([...COMMAND_NAMES].toSorted());
    expect(manifest.man.toSorted()).toEqual(pages.toSorted());
    const completions = ["completions/_ucspi", "completions/ucspi.bash", "completions/ucspi.fish"];
    expect(paths).toEqual(expect.arrayContaining(completions));
  });

  test("ships no double that only tests use", () => {
    expect(paths.filter((path) => /(^|\/)fake/.test(path))).toEqual([]);
  });

  test("ships the addon, the native launcher, the licence and what to read first", () => {
    expect(paths.some((path) => /^prebuilds\/[\w-]+\/posix\.node$/.test(path))).toBe(true);
    expect(paths.some((path) => /^prebuilds\/linux-\w+\/launcher$/.test(path))).toBe(true);
    expect(paths).toEqual(expect.arrayContaining(["LICENSE", "README.md", "CHANGELOG.md"]));
  });

  test("ships no sources, tests or maps, and nothing nobody asked for", () => {
    const known =
      /^(?:(?:completions|man|prebuilds|dist\/bin|dist\/cjs|dist\/lib)\/.*|package\.json|LICENSE|README\.md|CHANGELOG\.md)$/;
    expect(paths.filter((path) => !known.test(path))).toEqual([]);
    expect(paths.filter((path) => path.startsWith("dist/cjs/compiled/"))).toEqual([]);
    const stray = paths.filter((path) => /(?<!\.d)\.ts$|\.map$|\.test\.|tsbuildinfo/.test(path));
    expect(stray).toEqual([]);
  });

  test("has a core that loads no other bundle by itself, for short commands load it", () => {
    const core = readFileSync(join(ROOT, "dist", "cjs", "core.cjs"), "utf8");
    const bundles = core.match(/require\("\.\/[\w-]+\.cjs"\)/g) ?? [];
    const later = core.match(/\.then\(\(\)=>require\("\.\/[\w-]+\.cjs"\)/g) ?? [];
    expect(later.length).toBeGreaterThan(COMMAND_NAMES.length);
    expect(bundles).toHaveLength(later.length);
  });

  test("has everything that its exports name", () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    expect(targets.filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
    const packed = targets.filter((target) => !paths.includes(target.replace(/^\.\//, "")));
    expect(packed).toEqual([]);
  });

  test("runs no script when it is installed", () => {
    const names = ["preinstall", "install", "postinstall", "prepare", "prepublish"];
    expect(names.filter((name) => name in manifest.scripts)).toEqual([]);
    expect(existsSync(join(ROOT, "binding.gyp"))).toBe(false);
  });

  test("loads a library by its name", async () => {
    const areas = Object.keys(manifest.exports).filter((name) => name !== "./package.json");
    const script = `for (const name of ${JSON.stringify(areas)}) {
      const library = await import(name.replace(".", "ucspi"));
      console.log(name, Object.keys(library).length > 0);
    }`;
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(output.trimEnd().split("\n")).toEqual(areas.map((name) => `${name} true`));
  });
});
