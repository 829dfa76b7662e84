import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatPem, parsePem } from "../../../src/tls/material/pem.ts";

const label = fc.constantFrom("CERTIFICATE", "PRIVATE KEY", "EC PRIVATE KEY");
const block = fc.record({ label, der: fc.uint8Array({ minLength: 1, maxLength: 200 }) });

describe("PEM", () => {
  test("PEM blocks come back as they were, whatever is between them", () => {
    const between = fc.string().filter((text) => !text.includes("-"));
    fc.assert(
      fc.property(fc.array(fc.tuple(between, block), { maxLength: 5 }), (blocks) => {
        const texts = blocks.map(([text, { label: name, der }]) => text + formatPem(name, der));
        const expected = blocks.map(([, { label: name, der }]) => ({
          label: name,
          der: Buffer.from(der),
          isEncrypted: false,
          isDamaged: false,
        }));
        expect(parsePem(texts.join(""))).toEqual(expected);
        expect(parsePem(texts.join("").replaceAll("\n", "\r\n"))).toEqual(expected);
      }),
    );
  });

  test("PEM is damaged when it is cut short", () => {
    fc.assert(
      fc.property(block, fc.nat(), ({ label: name, der }, cut) => {
        const text = formatPem(name, der);
        const [begin, end] = [`-----BEGIN ${name}-----`.length, text.length - 2];
        const [found] = parsePem(text.slice(0, begin + (cut % (end - begin))));
        expect(found).toMatchObject({ label: name, isDamaged: true });
      }),
    );
  });

  test("PEM has headers when it is encrypted", () => {
    const headers = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233\n\n";
    const text = formatPem("RSA PRIVATE KEY", Buffer.from("abc"));
    const [found] = parsePem(text.replace("-----\n", `-----\n${headers}`));
    expect(found).toMatchObject({ isEncrypted: true, isDamaged: false, der: Buffer.from("abc") });
  });

  test.each([
    ["-----BEGIN A-----\n".repeat(50_000)],
    [`-----BEGIN A-----\n${"-".repeat(500_000)}`],
    [`-----BEGIN A-----\n${"A:\n ".repeat(200_000)}`],
    [`-----BEGIN A-----\n${"A-".repeat(400_000)}`],
  ])("PEM that is made to be slow takes no longer to parse (%#)", { timeout: 2000 }, (text) => {
    expect(parsePem(text).every(({ isDamaged }) => isDamaged)).toBe(true);
  });
});
