/** Random chains of state links, and what the program behind one gets to see. */

import fc from "fast-check";
import { expect } from "vitest";
import { newScene, withoutOthers } from "./scene.ts";
import type { Way } from "./scene.ts";

const envdirOptions = fc.subarray(["-n", "-f", "-L", "-I"]);
const number = fc.integer({ min: 28, max: 200 }).map(String);

/** One link with its words, wrong ones among them. */
const link = fc.oneof(
  fc
    .tuple(envdirOptions, fc.constantFrom("one", "two", "missing"))
    .map(([options, directory]) => ["s6-envdir", ...options, directory]),
  fc
    .tuple(fc.constantFrom("", "-H", "-h"), fc.constantFrom("-o", "-c", "-s", "-t"), number)
    .map(([mode, letter, value]) => {
      const scaled = letter === "-s" ? `${value}00000` : value;
      return ["s6-softlimit", ...(mode === "" ? [] : [mode]), letter, scaled];
    }),
  fc.constantFrom(["s6-setsid", "-q"], ["s6-setsid", "-b"], ["s6-setsid", "-i"]),
  fc.constantFrom(["s6-setlock", "-d", "31", "lock"], ["s6-setlock", "-n", "-d", "30", "lock2"]),
  fc.constantFrom(
    ["s6-envuidgid", "daemon"],
    ["s6-envuidgid", "-n", "5:6"],
    ["s6-envuidgid", "no-such-account"],
  ),
  fc.constantFrom(["s6-applyuidgid", "-z"], ["s6-applyuidgid", "-U"], ["s6-connlimit"]),
  withoutOthers === ""
    ? fc.constantFrom(["s6-applyuidgid", "-g", "6"], ["s6-setuidgid", "nobody"])
    : fc.constant(["s6-setuidgid", ""]),
);

/** A chain that waits for a lock of its own waits for ever, unless it is fused and so knows that it does. */
export const chains = fc
  .array(link, { minLength: 1, maxLength: 6 })
  .filter(
    (links) => links.filter(([name, flag]) => name === "s6-setlock" && flag === "-d").length < 2,
  );

/** Everything that a chain decides, one fact a line. */
const PROGRAM = [
  "#!/bin/sh",
  "env | grep -v UCSPI_CHAIN | sort",
  "cat /proc/self/limits",
  "grep -E '^(Uid|Gid|Groups|Sig(Blk|Ign|Cgt))' /proc/self/status",
  "readlink /proc/$$/fd/31 /proc/$$/fd/30",
  "set -- $(cat /proc/$$/stat); test $5 = $$ && echo group; test $6 = $$ && echo session",
].join("\n");

/** Does a chain look the same from outside whether it is fused or not? */
export async function expectSame(links: readonly (readonly string[])[]): Promise<void> {
  expect(await observe(links, "fused")).toEqual(await observe(links, "exec"));
}

async function observe(links: readonly (readonly string[])[], way: Way): Promise<object> {
  const files = {
    "one/A": "1 \n2\n",
    "one/B": "",
    "two/A": "x",
    "two/C": "y\0z \n",
    program: PROGRAM,
  };
  await using scene = await newScene({ files, way });
  const env = { B: "old", PROTO: "TCP", TCPCONNNUM: "1", TCPCONNMAX: "3" };
  const chain = links.flat().map((word) => `'${word}'`);
  // A shell before the chain, lest its first link leads a session; and one that all may enter.
  const script = `chmod -R a+rX .; chmod a+w .; ${chain.join(" ")} ./program; exit $?`;
  const run = await scene.shell(script, { env });
  expect(run.stderr).not.toMatch(/^[^s]*sh: /m); // the shell itself has nothing to say
  const mask = (text: string): string => text.replaceAll(scene.directory, "SCENE");
  return { exitCode: run.exitCode, stdout: mask(run.stdout), stderr: mask(run.stderr) };
}
