/**
 * As much of DER (X.690) as it takes to walk to a few fields of a certificate that OpenSSL has accepted:
 * elements with tags of one byte and definite lengths. Nothing is copied, and nothing is read twice.
 */

/** The tags that certificates are made of; context-specific ones are written in place. */
export const DER_TAG = {
  oid: 0x06,
  octetString: 0x04,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element; `content` is a view of the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** No length that fits this many bytes is refused, and none is computed with rounding. */
const LENGTH_BYTES_MAX = 4;

/** The elements one after the other that `bytes` consist of; undefined when they do not. */
export function readElements(bytes: Uint8Array): DerElement[] | undefined {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const header = readHeader(bytes, at);
    if (header === undefined || header.end > bytes.length) return undefined;
    elements.push({ tag: header.tag, content: bytes.subarray(header.start, header.end) });
    at = header.end;
  }
  return elements;
}

/** The elements within an element; undefined without one, with another tag, and for other contents. */
export function readInside(element: DerElement | undefined, tag: number): DerElement[] | undefined {
  return element?.tag === tag ? readElements(element.content) : undefined;
}

interface Header {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  const start = at + 2 + count;
  if (count === 0 || count > LENGTH_BYTES_MAX || start > bytes.length) return undefined;
  let length = 0;
  for (const byte of bytes.subarray(at + 2, start)) length = length * 0x100 + byte;
  return { tag, start, end: start + length };
}
