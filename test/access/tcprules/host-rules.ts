/** Texts for tcprules with rules about hosts, clients of every kind that they are about, and who is right. */

import fc from "fast-check";
import { expect } from "vitest";
import { checkS6Rules, RuleLineError } from "../../../src/access/index.ts";
import { compiled } from "./compiled.ts";

import type { DjbVerdict, RemoteClient, Verdict } from "../../../src/access/index.ts";

/** All names of one to three of these labels. No line is about a name with a `z`. */
const LABELS = ["a", "b", "z"];
const HOSTS = [1, 2, 3].flatMap((depth) => namesOf(LABELS, depth));
const RULED = [1, 2, 3].flatMap((depth) => namesOf(["a", "b"], depth));
/** One for which there are lines about single addresses, one of networks, and one of neither. */
const IPS = ["10.1.2.3", "10.9.9.9", "203.0.113.9"];
const OTHER_IP = "203.0.113.9";

const address = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...RULED).map((name) => `=${name}`) },
  { weight: 6, arbitrary: fc.constantFrom(...RULED).map((name) => `=.${name}`) },
  { weight: 3, arbitrary: fc.constantFrom("", "=") },
  { weight: 2, arbitrary: fc.constantFrom("10.", "10.1.2.3", "10.1.2.", "10.1.2.1-9") },
);
const instruction = fc.constantFrom("allow", "allow", "deny", "deny", 'allow,A="1"');
const line = fc.tuple(address, instruction).map(([where, what]) => `${where}:${what}`);

/** Names that are ruled one way are ruled the other way too, so that rules of s6 can say it. */
const wholeName = fc
  .tuple(fc.constantFrom(...RULED), instruction)
  .map(([name, what]) => `=${name}:${what}\n=.${name}:${what}`);

/** Texts, of which rules of s6 can say about half. */
export const hostRules: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.oneof({ weight: 2, arbitrary: wholeName }, { weight: 1, arbitrary: line }), {
      maxLength: 5,
    }),
    fc.constantFrom("", ":deny\n", ":allow\n", "=:deny\n", "=:allow\n:deny\n"),
  )
  .map(([lines, last]) => lines.map((one) => `${one}\n`).join("") + last);

/** Every client that a text could distinguish, whose names are asked for. */
export const CLIENTS: readonly RemoteClient[] = IPS.flatMap((ip) =>
  [undefined, ...HOSTS, ...namesOf(["a", "b"], 3).map((name) => `z.${name}`)].map((host) => ({
    ip,
    host,
    info: undefined,
  })),
);

/**
 * Compile a text for s6 and compare with the judge, for these clients: where it compiles no client is admitted that
 * the judge refuses, and any other difference is warned of; where it does not there is a reason.
 */
export function expectAgreement(
  text: string,
  clients: readonly RemoteClient[],
  judge: (client: RemoteClient) => DjbVerdict,
): "compiled" | "refused" {
  let made: ReturnType<typeof compiled>;
  try {
    made = compiled("s6", [text]);
  } catch (error) {
    if (!(error instanceof RuleLineError)) throw error;
    expectReason(text, error, judge);
    return "refused";
  }
  for (const client of clients) {
    expectSame(judge(client), checkS6Rules(made.bytes, client), made.warnings);
  }
  return "compiled";
}

function expectSame(judged: DjbVerdict, ours: Verdict, warnings: readonly string[]): void {
  const edits = ours.kind === "allow" ? ours.edits : undefined;
  if (judged.rule === undefined) {
    expect(edits ?? []).toEqual([]);
    expect(warnings.join()).toMatch(/tcpserver would admit/);
  } else if (!judged.allow) expect(ours.kind).not.toBe("allow");
  else if (!/decides where both match/.test(warnings.join())) expect(edits).toEqual(judged.edits);
}

/** A line about names is refused only if the names below one have another outcome than it has. */
function expectReason(
  text: string,
  { line: number, message }: RuleLineError,
  judge: (client: RemoteClient) => DjbVerdict,
): void {
  expect(message).toContain(`line ${number} `);
  expect(text.split("\n")[number - 1]).toMatch(/^=/);
  if (message.includes("addresses first")) return;
  const outcome = (host: string): string => {
    const { allow, edits } = judge({ ip: OTHER_IP, host, info: undefined });
    return JSON.stringify([allow, edits]);
  };
  const [, name = ""] = /^=\.?([^:]+):/.exec(text.split("\n")[number - 1] ?? "") ?? [];
  expect(outcome(name)).not.toBe(outcome(`z.${name}`));
}

function namesOf(labels: readonly string[], depth: number): string[] {
  if (depth === 1) return [...labels];
  return namesOf(labels, depth - 1).flatMap((name) => labels.map((label) => `${label}.${name}`));
}
