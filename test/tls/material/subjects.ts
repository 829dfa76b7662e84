/** Subjects, and the text that the C suite on BearSSL makes of each; test/interop/tls-subject.test.ts asks it. */

import type { Attribute } from "../../support/certificates.ts";

export interface SubjectCase {
  readonly title: string;
  readonly subject: readonly Attribute[];
  readonly text: string | undefined;
}

const UTF8 = 0x0c;
const NUMERIC = 0x12;
const PRINTABLE = 0x13;
const T61 = 0x14;
const IA5 = 0x16;
const UNIVERSAL = 0x1c;
const BMP = 0x1e;

export const SUBJECTS: readonly SubjectCase[] = [
  {
    title: "escapes some characters and drops spaces at the ends",
    subject: [
      of("C", "US"),
      of("ST", "Cal  ifornia"),
      of("L", "A,B;E+"),
      of("O", '#hash"q'),
      of("OU", "a\\b=c<1>#d"),
      of("CN", "x  y,  z  "),
    ],
    text: 'C=US, ST=Cal  ifornia, L=A\\,B;E\\+, O=\\#hash"q, OU=a\\\\b\\=c\\<1\\>\\#d, CN=x  y\\,  z',
  },
  {
    title: "has an order of its own",
    subject: ["CN", "OU", "O", "L", "ST"].map((type) => of(type, type)).concat(of("C", "C")),
    text: "C=C, ST=ST, L=L, O=O, OU=OU, CN=CN",
  },
  { title: "has the first of each", subject: [of("CN", "1"), of("CN", "2")], text: "CN=1" },
  {
    title: "leaves other attributes out",
    subject: [of("emailAddress", "a@b", IA5), of("CN", "x")],
    text: "CN=x",
  },
  { title: "is none without any", subject: [], text: undefined },
  {
    title: "is none with other attributes alone",
    subject: [of("emailAddress", "a@b", IA5)],
    text: undefined,
  },
  { title: "keeps what is empty", subject: [of("O", ""), of("CN", "x")], text: "O=, CN=x" },
  { title: "keeps what is all spaces", subject: [of("CN", "   ")], text: "CN=" },
  {
    title: "escapes a newline, no other control character",
    subject: [of("CN", "a\nb\rc\td\u0001\u007f")],
    text: "CN=a\\\nb\rc\td\u0001\u007f",
  },
  { title: "fits 64 bytes of CN", subject: [of("CN", xs(64))], text: `CN=${xs(64)}` },
  {
    title: "counts before escapes",
    subject: [of("CN", ",".repeat(64))],
    text: `CN=${"\\,".repeat(64)}`,
  },
  { title: "does not fit 65 bytes of CN", subject: [of("CN", xs(65))], text: "<invalid>" },
  { title: "counts spaces at the ends", subject: [of("CN", ` ${xs(64)}`)], text: "<invalid>" },
  {
    title: "does not fit 65 bytes of O",
    subject: [of("O", xs(65)), of("CN", "x")],
    text: "<invalid>",
  },
  { title: "fits 64 bytes of OU", subject: [of("OU", xs(64))], text: `OU=${xs(64)}` },
  { title: "fits 128 bytes of ST", subject: [of("ST", xs(128))], text: `ST=${xs(128)}` },
  { title: "does not fit 129 bytes of ST", subject: [of("ST", xs(129))], text: "<invalid>" },
  { title: "fits 128 bytes of L", subject: [of("L", xs(128))], text: `L=${xs(128)}` },
  { title: "does not fit 129 bytes of L", subject: [of("L", xs(129))], text: "<invalid>" },
  { title: "fits one byte of C", subject: [of("C", "U")], text: "C=U" },
  { title: "does not fit 3 bytes of C", subject: [of("C", "USA")], text: "<invalid>" },
  { title: "reads UTF8String", subject: [of("CN", "é😀", UTF8)], text: "CN=é😀" },
  { title: "reads PrintableString", subject: [of("CN", "a@b", PRINTABLE)], text: "CN=a@b" },
  { title: "reads NumericString", subject: [of("CN", "12", NUMERIC)], text: "CN=12" },
  { title: "reads IA5String as Latin-1", subject: [of("CN", latin1("é"), IA5)], text: "CN=é" },
  { title: "reads T61String as Latin-1", subject: [of("CN", latin1("é"), T61)], text: "CN=é" },
  {
    title: "counts bytes of UTF-8 for Latin-1 too",
    subject: [of("CN", latin1("é".repeat(33)), T61)],
    text: "<invalid>",
  },
  { title: "reads BMPString", subject: [of("CN", utf16("hé"), BMP)], text: "CN=hé" },
  { title: "drops a byte order mark", subject: [of("CN", "\ufeffx")], text: "CN=x" },
  { title: "has no NUL", subject: [of("CN", "a\0b")], text: "<invalid>" },
  { title: "has no U+FFFF", subject: [of("CN", "\uffffx")], text: "<invalid>" },
  { title: "has no U+FDD0", subject: [of("CN", "\ufdd0x")], text: "<invalid>" },
  {
    title: "does not read UniversalString",
    subject: [of("CN", utf32("A"), UNIVERSAL)],
    text: "<invalid>",
  },
];

function of(type: string, value: string | Uint8Array, tag = UTF8): Attribute {
  return { type, value, tag };
}

function xs(length: number): string {
  return "x".repeat(length);
}

function latin1(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

function utf16(text: string): Buffer {
  return Buffer.from(text, "utf16le").swap16();
}

function utf32(character: string): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(character.codePointAt(0) ?? 0);
  return bytes;
}
