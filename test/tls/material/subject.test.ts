import { describe, expect, test } from "vitest";
import { formatSubject } from "../../../src/tls/index.ts";
import { newSelfSigned } from "../../support/certificates.ts";
import { SUBJECTS } from "./subjects.ts";

describe("the text of a subject", () => {
  test.each(SUBJECTS)(
    "the text of a subject is written as in the C suite: $title",
    ({ subject, text }) => {
      expect(formatSubject(newSelfSigned({ subject }).der)).toBe(text);
    },
  );

  test("the text of a subject is undefined for bytes that are no certificate", () => {
    expect(formatSubject(new Uint8Array(0))).toBeUndefined();
    expect(formatSubject(Buffer.from("certificate"))).toBeUndefined();
  });
});
