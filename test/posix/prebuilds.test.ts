/** The addon that is loaded, and what each prebuild that is here asks of its system. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

import { runFixture } from "./program.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const hasReadelf = existsSync("/usr/bin/readelf");

function prebuild(target: string): string {
  return join(ROOT, "prebuilds", target, "posix.node");
}

function readelf(option: string, target: string): string {
  return execFileSync("readelf", ["--wide", option, prebuild(target)], { encoding: "latin1" });
}

const EXPECTED = [
  { target: "linux-x64-glibc", machine: /X86-64/, libc: "libc.so.6" },
  { target: "linux-x64-musl", machine: /X86-64/, libc: "libc.so" },
  { target: "linux-arm64-glibc", machine: /AArch64/, libc: "libc.so.6" },
];

for (const { target, machine, libc } of EXPECTED) {
  describe.skipIf(!hasReadelf || !existsSync(prebuild(target)))(`the prebuild ${target}`, () => {
    test("a prebuild is for its machine and needs its C library only", () => {
      expect(readelf("--file-header", target)).toMatch(machine);
      const needed = [...readelf("--dynamic", target).matchAll(/\(NEEDED\).*\[(.*)\]/g)];
      expect(needed.map(([, library]) => library).filter(isNotLoader)).toEqual([libc]);
    });

    test("a prebuild requires of glibc nothing newer than Node 20 does (2.28), and of musl nothing of glibc", () => {
      const symbols = readelf("--dyn-syms", target);
      const versions = [...symbols.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      if (libc === "libc.so") expect(versions).toEqual([]);
      expect(Math.max(0, ...versions)).toBeLessThanOrEqual(28);
    });

    test("a prebuild exports its registration and nothing else", () => {
      const exported = [...readelf("--dyn-syms", target).matchAll(/GLOBAL DEFAULT +\d+ (\S+)/g)];
      const names = exported.map(([, name = ""]) => name);
      expect(names.filter((name) => !/^_(init|fini)$/.test(name)).sort()).toEqual([
        "napi_register_module_v1",
        "node_api_module_get_api_version_v1",
      ]);
    });
  });
}

function isNotLoader(library: string | undefined): boolean {
  return library?.startsWith("ld-linux") !== true;
}

test("a missing addon is reported in one sentence", () => {
  expect(runFixture("no-prebuild").stdout).toMatch(
    /^ucspi has no prebuilt addon for linux-riscv64-(glibc|musl) here; run "npm run build" with a C compiler\n$/,
  );
});
