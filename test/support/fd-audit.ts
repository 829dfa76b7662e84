/**
 * Random operations of clients who are killed at random points, and the audit of a holder after them: the
 * files that it has open are exactly those that its table names, each once.
 */

import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { formatUnixMessage } from "../../src/net/index.ts";
import type { Fd } from "../../src/posix/index.ts";
import { connectClient, linkOf, posix, RawClient, storeBody } from "./fd-holder.ts";

/** One client's doing. */
type Step =
  | { readonly kind: "store" | "delete" | "retrieve" | "take"; readonly slot: number }
  | { readonly kind: "list" | "dump" }
  /** Announce a dump of `total` and send `sent` entries of it. */
  | {
      readonly kind: "import";
      readonly total: number;
      readonly sent: number;
      readonly slot: number;
    }
  /** Send descriptors that nobody has asked for. */
  | { readonly kind: "stray" };

interface Visit {
  readonly steps: readonly Step[];
  /** After so many bytes of its last message it is killed; undefined: it reads all answers. */
  readonly cutAfter: number | undefined;
  /** Send everything before reading anything. */
  readonly pipelines: boolean;
}

const slot = fc.nat(60);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("store" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), slot }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("retrieve" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("take" as const), slot }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("list" as const, "dump" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("import" as const),
      total: fc.integer({ min: 1, max: 6 }),
      sent: fc.nat(6),
      slot,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "stray" as const }) },
);

const visits: fc.Arbitrary<Visit> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
  cutAfter: fc.option(fc.nat(40), { nil: undefined }),
  pipelines: fc.boolean(),
});

/** Bytes and descriptors of one request, and how many messages answer it. */
interface Sent {
  readonly bytes: Buffer;
  readonly fds: readonly Fd[];
}

let files = 0;

/** A new file, which has no name any more but the one that /proc shows. */
function newFile(): Fd {
  files += 1;
  const path = join(tmpdir(), `ucspi-held-${process.pid}-${files}`);
  const fd = posix.open(path, "write", { create: 0o600, exclusive: true });
  posix.unlink(path);
  return fd;
}

function message(body: Uint8Array, fds: readonly Fd[] = []): Sent {
  return { bytes: formatUnixMessage(body, fds.length), fds };
}

function idBody(command: string, id: string): Buffer {
  return Buffer.concat([Buffer.from(command), Buffer.of(id.length), Buffer.from(`${id}\0`)]);
}

function requestsOf(one: Step): Sent[] {
  switch (one.kind) {
    case "store":
      return [message(storeBody(`slot ${one.slot}`), [newFile()])];
    case "delete":
      return [message(idBody("D", `slot ${one.slot}`))];
    case "retrieve":
    case "take":
      return [message(idBody(one.kind === "take" ? "R\x01" : "R\0", `slot ${one.slot}`))];
    case "list":
      return [message(Buffer.from("L"))];
    case "dump":
      return [message(Buffer.from("?"))];
    case "stray":
      return [message(Buffer.from("L"), [newFile()])];
    case "import": {
      const announced = Buffer.concat([Buffer.from("!"), Buffer.of(0, 0, 0, one.total)]);
      const entries = Array.from({ length: one.sent }, (_, index) =>
        message(
          Buffer.concat([Buffer.from("."), storeBody(`slot ${one.slot + index}`).subarray(1)]),
          [newFile()],
        ),
      );
      return [message(announced), ...entries];
    }
  }
}

/** Perform one client's doing; how many operations it was. */
async function perform(visit: Visit, path: string): Promise<number> {
  using client = new RawClient(path);
  const sent = visit.steps.flatMap(requestsOf);
  try {
    for (const [index, { bytes, fds }] of sent.entries()) {
      const isCut = visit.cutAfter !== undefined && index === sent.length - 1;
      client.send(isCut ? bytes.subarray(0, Math.max(1, visit.cutAfter)) : bytes, fds);
      if (!isCut && !visit.pipelines) await takeAnswer(client);
    }
    if (visit.cutAfter === undefined) {
      posix.shutdown(client.fd, "write");
      while (await takeAnswer(client));
    }
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error; // it was disconnected
  }
  for (const { fds } of sent) for (const fd of fds) posix.close(fd);
  return sent.length;
}

/** The next answer, whose descriptors are closed; false at the end. */
async function takeAnswer(client: RawClient): Promise<boolean> {
  const answer = await client.receive();
  for (const fd of answer?.fds ?? []) posix.close(fd);
  return answer !== undefined;
}

/** Run random clients, some at a time, until they have made so many operations. */
export async function storm(path: string, operations: number, seed: number): Promise<void> {
  let done = 0;
  for (let round = 0; done < operations; round += 1) {
    const sample = fc.sample(visits, { numRuns: 64, seed: seed + round });
    for (let start = 0; start < sample.length; start += 8) {
      const counts = await Promise.all(
        sample.slice(start, start + 8).map((visit) => perform(visit, path)),
      );
      done += counts.reduce((sum, count) => sum + count, 0);
    }
  }
}

/** The files that the table of a holder names, and those of ours that its process has open. */
export async function audit(
  path: string,
  pid: number,
): Promise<{ readonly named: string[]; readonly open: string[] }> {
  using client = await connectClient(path);
  const dump = await client.getDump();
  const named = dump.map(({ fd }) => {
    const file = linkOf(`/proc/self/fd/${fd}`);
    posix.close(fd);
    return file;
  });
  await client.list();
  const open = readdirSync(`/proc/${pid}/fd`)
    .map((fd) => linkOf(`/proc/${pid}/fd/${fd}`))
    .filter((file) => file.includes("ucspi-held-"));
  return { named: named.toSorted(), open: open.toSorted() };
}
