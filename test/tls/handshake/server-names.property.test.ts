import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServerNames } from "../../../src/tls/index.ts";
import type { SniLevel } from "../../../src/tls/index.ts";

const NAMED = [
  "foo.example.com",
  "*.example.com",
  "*.com",
  "*.lan",
  "*.",
  "x",
  "",
  "dotted.example.com.",
].map((name) => [name, name] as const);

function table(level: SniLevel): ServerNames<string> {
  return new ServerNames({ level, fallback: "default", named: NAMED });
}

describe("the choice by server name", () => {
  test.each([
    ["FOO.Example.COM", "foo.example.com"],
    ["bar.example.com", "*.example.com"],
    ["BAR.EXAMPLE.COM", "*.example.com"],
    ["a.b.example.com", "default"],
    ["example.com", "default"],
    ["foo.com", "default"],
    ["foo.example.com.", "foo.example.com"],
    ["bar.example.com.", "*.example.com"],
    ["nas.lan", "default"],
    ["foo.example.com..", "default"],
    ["dotted.example.com", "dotted.example.com."],
    ["X", "x"],
    ["", "default"],
    [undefined, "default"],
  ])("the choice by server name at level 1 serves %s by %s", (name, entry) => {
    expect(table(1).lookup(name)).toBe(entry);
  });

  test("the choice by server name at level 0 is always the default", () => {
    fc.assert(
      fc.property(fc.option(fc.domain(), { nil: undefined }), (name) => {
        expect(table(0).lookup(name)).toBe("default");
      }),
    );
    expect(table(0).lookup("foo.example.com")).toBe("default");
  });

  test("the choice by server name at level 2 has no default", () => {
    expect(table(2).lookup("foo.example.com")).toBe("foo.example.com");
    expect(table(2).lookup("bar.example.com")).toBe("*.example.com");
    expect(table(2).lookup("other.example")).toBeUndefined();
    expect(table(2).lookup(undefined)).toBeUndefined();
    expect(table(2).lookup("")).toBeUndefined();
  });

  test("the choice by server name does not depend on case, and a wildcard stands for one label", () => {
    fc.assert(
      fc.property(fc.domain(), fc.stringMatching(/^[a-z0-9]{1,9}$/), (domain, label) => {
        const named = [[`*.${domain}`, "wildcard"]] as const;
        const names = new ServerNames({ level: 2, fallback: undefined, named });
        expect(names.lookup(`${label}.${domain}`.toUpperCase())).toBe("wildcard");
        expect(names.lookup(domain)).toBeUndefined();
        expect(names.lookup(`a.${label}.${domain}`)).toBeUndefined();
      }),
    );
  });
});
