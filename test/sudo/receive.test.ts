import { readdirSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { deadlineAfter, systemClock } from "../../src/clock/index.ts";
import { formatUnixMessage } from "../../src/net/index.ts";
import { loadPosix } from "../../src/posix/index.ts";
import type { Fd, Posix } from "../../src/posix/index.ts";
import { receiveRequest } from "../../src/sudo/receive.ts";
import { formatSudoRequest, SUDO_BYTES_MAX } from "../../src/sudo/request.ts";

const posix = loadPosix();
const BODY = formatSudoRequest({ words: ["ls", "-l"], variables: ["A=b"] });

// The event loop has a descriptor of its own from the first watch on.
beforeAll(() => {
  const [reader, writer] = posix.pipe();
  posix.watch(reader, { readable: true }, () => undefined).close();
  for (const fd of [reader, writer]) posix.close(fd);
});

/** Receive what `send` sends; `leaked` is how many more descriptors are open then. */
async function receive(
  send: (to: Fd, standard: readonly Fd[]) => void,
  kernel: Posix = posix,
): Promise<{ outcome: string; leaked: number }> {
  const [from, to] = posix.socketPair("stream");
  const standard = [posix.open("/dev/null", "read"), ...posix.pipe()];
  send(to, standard);
  for (const fd of [...standard, to]) posix.close(fd);
  const before = readdirSync("/proc/self/fd").length;
  const step = { posix: kernel, deadline: deadlineAfter(systemClock, 2000) };
  let outcome: string;
  try {
    const { request, fds } = await receiveRequest(step, from, 0);
    outcome = request.words.join(" ");
    for (const fd of fds) posix.close(fd);
  } catch (error) {
    const exitCode = (error as { exitCode?: number }).exitCode ?? "";
    outcome = `${exitCode} ${(error as Error).message}`;
  }
  const leaked = readdirSync("/proc/self/fd").length - before;
  posix.close(from);
  return { outcome, leaked };
}

test("a message is received whole, in whichever pieces it comes", async () => {
  const message = formatUnixMessage(BODY, 3);
  for (const cut of [1, 5, 6, 7, 20, message.length - 1]) {
    const { outcome, leaked } = await receive((to, standard) => {
      posix.sendMessage(to, message.subarray(0, cut), standard);
      posix.sendMessage(to, message.subarray(cut), []);
    });
    expect([cut, outcome, leaked]).toEqual([cut, "ls -l", 0]);
  }
});

test.each([
  ["two descriptors", "100 the client has sent 2 descriptors", formatUnixMessage(BODY, 2), 2],
  ["no descriptors", "100 the client has sent 0 descriptors", formatUnixMessage(BODY, 0), 0],
  [
    "descriptors that it announces only",
    "100 the client has sent a message without its descriptors",
    formatUnixMessage(BODY, 3),
    2,
  ],
  [
    "a body that is no request",
    "100 the client has sent a message that is too short",
    formatUnixMessage(Buffer.from("x"), 3),
    3,
  ],
  ["half of it", " the connection has ended", formatUnixMessage(BODY, 3).subarray(0, 20), 3],
  ["nothing", " the connection has ended", Buffer.alloc(0), 0],
])(
  "a client that sends %s is refused, and no descriptor stays open",
  async (_, expected, bytes, count) => {
    const sent = await receive((to, standard) => {
      if (bytes.length > 0) posix.sendMessage(to, bytes, standard.slice(0, count));
    });
    expect(sent).toEqual({ outcome: expected, leaked: 0 });
  },
);

test("a message that is longer than any program may have is refused by its length", async () => {
  const header = formatUnixMessage(Buffer.alloc(0), 3);
  header.writeUInt32BE(SUDO_BYTES_MAX + 1, 0);
  const { outcome, leaked } = await receive((to, standard) =>
    posix.sendMessage(to, header, standard),
  );
  expect([outcome, leaked]).toEqual([
    `100 the client has sent a message of ${SUDO_BYTES_MAX + 1} bytes`,
    0,
  ]);
});

test.each(["lostFds", "wasCut"] as const)(
  "a message of which the kernel tells %s is refused",
  async (mark) => {
    const kernel: Posix = {
      ...posix,
      receiveMessage(fd, into) {
        const message = posix.receiveMessage(fd, into);
        return message === undefined ? undefined : { ...message, [mark]: true };
      },
    };
    const { outcome, leaked } = await receive((to, standard) => {
      posix.sendMessage(to, formatUnixMessage(BODY, 3), standard);
    }, kernel);
    expect([outcome, leaked]).toEqual(["111 descriptors or bytes of the client were lost", 0]);
  },
);
