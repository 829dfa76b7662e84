import fc from "fast-check";
import { expect, test } from "vitest";
import { DirectoryRules, lintDirectory } from "../../../src/access/index.ts";
import { SystemError } from "../../../src/posix/index.ts";
import { FakePosix } from "../../support/posix/fake-posix.ts";
import { mustParseIp } from "../samples.ts";

import type { RulesPosix } from "../../../src/access/lookup/kernel.ts";
import type { CertificateRules, Failed, Verdict } from "../../../src/access/index.ts";

/** Errors of files, but for ENOENT: that is no failure. */
const CODES = ["EACCES", "EIO", "ELOOP", "ENAMETOOLONG", "ENOTDIR", "EMFILE", "ENOMEM", "ESTALE"];

/** Files that return errno names, where all others throw. */
const RETURNING: ReadonlySet<string> = new Set(["fileVersion", "linkVersion", "readable"]);

const FIRST = "192.0.2.1";
const SHA256 = "ab".repeat(32);

/** Each kind of look-up, with the keys that decide it, the narrowest first. */
const LOOKUPS: Readonly<
  Record<string, { keys: string[]; check: (rules: CertificateRules) => Verdict }>
> = {
  "an address": {
    keys: [`ip4/${FIRST}_32`, "ip4/192.0.2.0_24", "ip4/0.0.0.0_0"],
    check: (rules) => rules.checkIp(mustParseIp(FIRST)),
  },
  "a name": {
    keys: ["reversedns/a.example", "reversedns/example", "reversedns/@"],
    check: (rules) => rules.checkReverseDns("a.example"),
  },
  "a user": {
    keys: ["uid/7", "gid/8", "uid/default"],
    check: (rules) => rules.checkUidGid({ uid: 7, gid: 8, serverUid: 0, serverGid: 0 }),
  },
  "a certificate": {
    keys: [`clientcert/sha256:${SHA256}`, "clientcert/dns:a", "clientcert/dns:b", "clientcert/@"],
    check: (rules) =>
      rules.checkClientCertificate({
        sha256: SHA256,
        subject: undefined,
        alternativeNames: [
          { kind: "dns", value: "a" },
          { kind: "dns", value: "b" },
        ],
      }),
  },
  "a certificate of unknown names": {
    keys: [`clientcert/sha256:${SHA256}`, "clientcert/dns:a", "clientcert/@"],
    check: (rules) =>
      rules.checkClientCertificate({
        sha256: SHA256,
        subject: "CN=a",
        alternativeNames: undefined,
      }),
  },
};

/** The content of one rule. */
const rule = fc.record(
  {
    allow: fc.constant(""),
    deny: fc.constant(""),
    "env/A": fc.constantFrom("1\n", "2\n", ""),
    "env/B": fc.constantFrom("1\n"),
    exec: fc.constantFrom("", "true\n", "false\n"),
  },
  { requiredKeys: [] },
);

type Rule = Readonly<Record<string, string | undefined>>;

/** A kernel with these rules at these keys. */
function kernelWith(keys: readonly string[], rules: readonly (Rule | undefined)[]): FakePosix {
  const kernel = new FakePosix();
  kernel.putDirectory("/rules");
  for (const [at, key] of keys.entries()) {
    for (const [name, content] of Object.entries(rules[at] ?? {})) {
      if (content !== undefined) put(kernel, `/rules/${key}/${name}`, content);
    }
  }
  return kernel;
}

function put(kernel: FakePosix, path: string, content: string): void {
  for (let slash = path.indexOf("/", 1); slash > 0; slash = path.indexOf("/", slash + 1)) {
    const directory = path.slice(0, slash);
    if (!kernel.files.has(directory)) kernel.putDirectory(directory);
  }
  kernel.putFile(path, content);
}

/** The same kernel, of which the call of this number fails; without a number none does. */
function failing(kernel: RulesPosix, code = "", failingCall = -1) {
  const counted = { calls: 0 };
  const posix = new Proxy(kernel, {
    get(target, name: keyof RulesPosix) {
      return (...args: unknown[]) => {
        if (counted.calls++ !== failingCall) {
          return (target[name] as (...all: unknown[]) => unknown).apply(target, args);
        }
        if (RETURNING.has(name)) return code;
        throw new SystemError(code, 1, name, code);
      };
    },
  });
  return { posix, counted };
}

/** The fault because of which a client is refused. */
function faultOf(verdict: Verdict): Failed | undefined {
  if (verdict.kind === "error") return verdict;
  return verdict.kind === "deny" ? verdict.fault : undefined;
}

for (const [client, { keys, check }] of Object.entries(LOOKUPS)) {
  test(`no single failure of a call admits ${client} that was refused, or that had other words or variables`, () => {
    const rules = fc.array(fc.option(rule, { nil: undefined }), { maxLength: keys.length });
    fc.assert(
      fc.property(rules, fc.constantFrom(...CODES), (list, code) => {
        const kernel = kernelWith(keys, list);
        const sound = failing(kernel);
        const verdict = check(new DirectoryRules(sound.posix, "/rules"));
        for (let call = 0; call < sound.counted.calls; call += 1) {
          const { posix } = failing(kernel, code, call);
          const faulty = check(new DirectoryRules(posix, "/rules"));
          if (faulty.kind === "allow") expect(faulty).toEqual(verdict);
          else expect(faultOf(faulty)?.code).toBe(code);
        }
      }),
      { numRuns: 60 },
    );
  });
}

test("the lint reports each rule that denies because it cannot be read", () => {
  const kernel = kernelWith(["uid/1", "uid/2", "uid/3"], [{ allow: "" }, { allow: "" }, {}]);
  kernel.symlink("/nonexistent", "/rules/uid/1/exec");
  kernel.symlink("/nonexistent", "/rules/uid/2/env");
  kernel.putDirectory("/rules/uid/3");
  kernel.symlink("/nonexistent", "/rules/uid/3/deny");
  const findings = lintDirectory(kernel, "/rules");
  expect(findings.map(({ key, code }) => `${key} ${code}`)).toEqual([
    "uid/1 unreadable",
    "uid/2 unreadable",
    "uid/3 unreadable",
  ]);
  expect(findings[0]?.message).toContain("unable to read /rules/uid/1/exec (ENOENT)");
});

test("the lint says of what is in the place of a rule, or of a kind of rules, that it denies", () => {
  const kernel = kernelWith(["uid/1"], [{ allow: "" }]);
  kernel.symlink("/nonexistent", "/rules/uid/2");
  kernel.symlink("/nonexistent", "/rules/gid");
  kernel.symlink("/nonexistent", "/rules/NOTES");
  kernel.putDirectory("/rules/uid/1/exec");
  const findings = lintDirectory(kernel, "/rules");
  expect(findings.map(({ key, code }) => `${key} ${code}`).toSorted()).toEqual([
    "NOTES stray",
    "gid stray",
    "gid unreadable",
    "uid/1 unreadable",
    "uid/2 stray",
    "uid/2 unreadable",
  ]);
});
