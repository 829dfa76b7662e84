import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readAlternativeNames, readSubject } from "../../../src/tls/material/certificate-fields.ts";
import { readElements } from "../../../src/tls/material/der.ts";
import { ALTERNATIVE_NAMES_BYTES_MAX } from "../../../src/net/index.ts";
import { formatSubject } from "../../../src/tls/index.ts";
import { der, newSelfSigned } from "../../support/certificates.ts";

describe("DER", () => {
  test("DER elements come back as they were", () => {
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
  ])("DER refuses %s", (_, hex) => {
    expect(readElements(Buffer.from(hex, "hex"))).toBeUndefined();
  });
});

function nameExtension(names: Uint8Array): Buffer {
  return der(0x30, der(0x06, Buffer.from("551d11", "hex")), der(0x04, names));
}

/** As much of a certificate as is read. */
function withExtensions(...extensions: readonly Uint8Array[]): Buffer {
  const fields = Array.from({ length: 6 }, () => der(0x30));
  return der(0x30, der(0x30, ...fields, der(0xa3, der(0x30, ...extensions))));
}

describe("the fields of a certificate", () => {
  const names = ["dns:a.example", "ip:192.0.2.1", "ip:2001:db8::1", "email:a@b", "uri:https://x/"];
  const { der: certificate } = newSelfSigned({ names });

  test("the fields of a certificate are its alternative names", () => {
    expect(readAlternativeNames(certificate)).toEqual([
      { kind: "dns", value: "a.example" },
      { kind: "ip", value: "192.0.2.1" },
      { kind: "ip", value: "2001:db8::1" },
      { kind: "email", value: "a@b" },
      { kind: "uri", value: "https://x/" },
    ]);
  });

  test("a comma in an alternative name does not separate it in two", () => {
    const forged = newSelfSigned({ names: ["uri:x,DNS:evil.example", 'dns:a"b'] });
    expect(readAlternativeNames(forged.der)).toEqual([
      { kind: "uri", value: "x,DNS:evil.example" },
      { kind: "dns", value: 'a"b' },
    ]);
  });

  test.each(["dns:a b", "dns:a\0b", "dns:é", "email:", "uri:http://x/ü"])(
    "the fields of a certificate are unknown when one of them is %j",
    (name) => {
      expect(readAlternativeNames(newSelfSigned({ names: ["dns:ok", name] }).der)).toBeUndefined();
    },
  );

  test("the names of a certificate are unknown when their text is longer than 2048 bytes", () => {
    // 256 names of `dns:nNN`, with a blank between two, and one byte more.
    const most = Array.from({ length: 256 }, (_, n) => `dns:n${n.toString(16).padStart(2, "0")}`);
    const longer = [...most.slice(1), "dns:longer"];
    expect(readAlternativeNames(newSelfSigned({ names: most }).der)?.length).toBe(256);
    expect(most.join(" ").length).toBe(ALTERNATIVE_NAMES_BYTES_MAX - 1);
    expect(
      readAlternativeNames(newSelfSigned({ names: [...most.slice(1), "dns:full"] }).der),
    ).toBeDefined();
    expect(readAlternativeNames(newSelfSigned({ names: longer }).der)).toBeUndefined();
  });

  test("a DNS name of a certificate has no dot at its end", () => {
    const { der } = newSelfSigned({
      names: ["dns:a.example.", "uri:b.example.", "dns:c.example.."],
    });
    expect(readAlternativeNames(der)).toEqual([
      { kind: "dns", value: "a.example" },
      { kind: "uri", value: "b.example." },
      { kind: "dns", value: "c.example." },
    ]);
    expect(readAlternativeNames(newSelfSigned({ names: ["dns:."] }).der)).toBeUndefined();
  });

  test("the fields of a certificate are empty where there is no extension", () => {
    expect(readAlternativeNames(newSelfSigned({ names: [] }).der)).toEqual([]);
  });

  test.each([
    ["an address of three bytes", [der(0x87, Buffer.from([1, 2, 3]))]],
    ["something else than a list", []],
  ])("the fields of a certificate are unknown when the extension holds %s", (_, names) => {
    const value = names.length === 0 ? der(0x05) : der(0x30, ...names);
    expect(readAlternativeNames(withExtensions(nameExtension(value)))).toBeUndefined();
  });

  test("the fields of a certificate are unknown when there are two lists", () => {
    const one = nameExtension(der(0x30, der(0x82, Buffer.from("a.example"))));
    expect(readAlternativeNames(withExtensions(one))).toEqual([
      { kind: "dns", value: "a.example" },
    ]);
    expect(readAlternativeNames(withExtensions(one, one))).toBeUndefined();
  });

  test("the fields of a certificate leave out kinds that no rule can name", () => {
    const names = der(0x30, der(0x88, Buffer.from([42])), der(0x82, Buffer.from("a.example")));
    const expected = [{ kind: "dns", value: "a.example" }];
    expect(readAlternativeNames(withExtensions(nameExtension(names)))).toEqual(expected);
  });

  test("the fields of a certificate are read or not, whatever the bytes", () => {
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
          expect(readAlternativeNames(damaged)?.length ?? 0).toBeLessThanOrEqual(names.length);
          expect(formatSubject(damaged) ?? "").not.toContain("\0");
        }
      }),
    );
  });
});
