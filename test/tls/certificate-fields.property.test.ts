import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readAlternativeNames, readSubject } from "../../src/tls/certificate-fields.ts";
import { readElements } from "../../src/tls/der.ts";
import { ALTERNATIVE_NAMES_MAX, formatSubject } from "../../src/tls/index.ts";
import { der, newSelfSigned } from "../support/certificates.ts";

describe("DER", () => {
  test("elements come back as they were", () => {
    const element = fc.record({ tag: fc.nat(0x1e), content: fc.uint8Array({ maxLength: 300 }) });
    fc.assert(
      fc.property(fc.array(element, { maxLength: 4 }), (elements) => {
        const bytes = Buffer.concat(elements.map(({ tag, content }) => der(tag, content)));
        const read = readElements(bytes)?.map(({ tag, content }) => ({
          tag,
          content: Uint8Array.from(content),
        }));
        expect(read).toEqual(elements.map(({ tag, content }) => ({ tag, content })));
      }),
    );
  });

  test.each([
    ["a length that goes beyond the end", "3003020100ff".slice(0, 8)],
    ["no length", "30"],
    ["an indefinite length", "30800000"],
    ["a length of five bytes", "30850000000001aa"],
    ["a length cut short", "308201"],
    ["a tag of two bytes", "1f0100"],
  ])("is not %s", (_, hex) => {
    expect(readElements(Buffer.from(hex, "hex"))).toBeUndefined();
  });
});

describe("the fields of a certificate", () => {
  const names = ["dns:a.example", "ip:192.0.2.1", "ip:2001:db8::1", "email:a@b", "uri:https://x/"];
  const { der: certificate } = newSelfSigned({ names });

  test("are its alternative names", () => {
    expect(readAlternativeNames(certificate)).toEqual([
      { kind: "dns", value: "a.example" },
      { kind: "ip", value: "192.0.2.1" },
      { kind: "ip", value: "2001:db8::1" },
      { kind: "email", value: "a@b" },
      { kind: "uri", value: "https://x/" },
    ]);
  });

  test("are not made of one another: a comma in a name stays there", () => {
    const forged = newSelfSigned({ names: ["uri:x,DNS:evil.example", 'dns:a"b'] });
    expect(readAlternativeNames(forged.der)).toEqual([
      { kind: "uri", value: "x,DNS:evil.example" },
      { kind: "dns", value: 'a"b' },
    ]);
  });

  test("are no names with spaces, NULs or bytes above ASCII", () => {
    const odd = newSelfSigned({ names: ["dns:a b", "dns:a\0b", "dns:é", "email:", "dns:ok"] });
    expect(readAlternativeNames(odd.der)).toEqual([{ kind: "dns", value: "ok" }]);
  });

  test("are not more names than there is room for", () => {
    const many = Array.from({ length: 1000 }, (_, index) => `dns:n${index}.example`);
    const read = readAlternativeNames(newSelfSigned({ names: many }).der);
    expect(read.length).toBe(ALTERNATIVE_NAMES_MAX);
    expect(read.at(-1)?.value).toBe(`n${ALTERNATIVE_NAMES_MAX - 1}.example`);
  });

  test("are read or not, whatever the bytes", () => {
    const subject = [
      { type: "C", value: "US" },
      { type: "O", value: "Example, Inc." },
    ];
    const original = newSelfSigned({ names, subject }).der;
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.nat(255), fc.nat(), (at, byte, cut) => {
        const bytes = Buffer.from(original);
        bytes[at] = byte;
        for (const damaged of [bytes, bytes.subarray(0, cut % bytes.length)]) {
          readSubject(damaged);
          expect(readAlternativeNames(damaged).length).toBeLessThanOrEqual(names.length);
          expect(formatSubject(damaged) ?? "").not.toContain("\0");
        }
      }),
    );
  });
});
