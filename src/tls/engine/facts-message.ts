/** The facts of a connection on their way from the engine, which is not to be trusted, to the server. */

import { areFewAlternativeNames, isAlternativeNameKind } from "../../net/index.ts";
import type { AlternativeName } from "../../net/index.ts";
import type { TlsFacts } from "../handshake/facts.ts";

const TEXT_CHARACTERS_MAX = 4096;

type Fields = Readonly<Record<string, unknown>>;

export function formatFacts(facts: TlsFacts): string {
  return JSON.stringify(facts);
}

/** Throws RangeError (SyntaxError for what is no JSON) for anything that `formatFacts` does not write. */
export function parseFacts(text: string): TlsFacts {
  const facts = fieldsOf(JSON.parse(text));
  const peer = facts["peer"] === undefined ? undefined : fieldsOf(facts["peer"]);
  return {
    protocol: textOf(facts["protocol"]),
    cipher: textOf(facts["cipher"]),
    serverName: optionalTextOf(facts["serverName"]),
    alpn: optionalTextOf(facts["alpn"]),
    reportsPeer: facts["reportsPeer"] === true,
    peer: peer && {
      sha256: hashOf(peer["sha256"]),
      subject: optionalTextOf(peer["subject"]),
      alternativeNames: optionalNamesOf(peer["alternativeNames"]),
    },
  };
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw new RangeError("not an object");
  return value as Fields;
}

/** Text that may be in a variable. */
function textOf(value: unknown): string {
  if (typeof value !== "string" || value.length > TEXT_CHARACTERS_MAX || value.includes("\0")) {
    throw new RangeError("not a text");
  }
  return value;
}

function optionalTextOf(value: unknown): string | undefined {
  return value === undefined ? undefined : textOf(value);
}

function hashOf(value: unknown): string {
  const hash = textOf(value);
  if (!/^[0-9a-f]{64}$/.test(hash)) throw new RangeError("not a SHA-256");
  return hash;
}

function optionalNamesOf(value: unknown): AlternativeName[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw new RangeError("not a list of names");
  const names = value.map((item: unknown): AlternativeName => {
    const { kind, value: name } = fieldsOf(item);
    if (!isAlternativeNameKind(kind)) throw new RangeError("not a kind of name");
    return { kind, value: textOf(name) };
  });
  if (!areFewAlternativeNames(names)) throw new RangeError("more names than are told");
  return names;
}
