import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { peer, ROOT } from "../support/scene.ts";

const mandoc = peer("mandoc");

describe("the manual", () => {
  let folder = "";

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ucspi-man-"));
    execFileSync(process.execPath, [join(ROOT, "scripts", "man.mjs"), folder]);
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test("the manual has a page for every command", () => {
    const names = readdirSync(folder).map((name) => name.replace(/\.[18]$/, ""));
    const commands = readdirSync(join(ROOT, "bin")).filter((name) => name.includes("-"));
    expect(names.toSorted()).toEqual(commands.toSorted());
  });

  test.skipIf(mandoc.isMissing)(`mandoc has no warnings for the manual${mandoc.why}`, () => {
    const pages = readdirSync(folder).map((name) => join(folder, name));
    const lint = spawnSync("mandoc", ["-T", "lint", "-W", "warning", ...pages], {
      encoding: "utf8",
    });
    expect(lint.stdout).toBe("");
    expect(lint.status).toBe(0);
  });

  test.skipIf(mandoc.isMissing)(`the manual documents options and exit codes${mandoc.why}`, () => {
    const text = execFileSync("mandoc", ["-T", "ascii", join(folder, "s6-connlimit.8")], {
      encoding: "utf8",
    }).replaceAll(/.[\b]/g, "");
    expect(text).toMatch(/^SYNOPSIS\n +s6-connlimit \[-s\] \[prog \.\.\.\]$/m);
    expect(text).toMatch(/^ +-s, --strict\n/m);
    expect(text).toMatch(/^EXIT STATUS\n/m);
  });
});

test("the pages in docs/commands are what npm run docs writes", () => {
  const check = spawnSync(process.execPath, [join(ROOT, "scripts", "docs.mjs"), "--check"], {
    encoding: "utf8",
  });
  expect(check.stderr).toBe("");
  expect(check.status).toBe(0);
});
