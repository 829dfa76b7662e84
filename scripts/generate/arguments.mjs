/** The completion of an operand or an option's argument, by its name. */

const KINDS = {
  dir: "directory",
  rulesdir: "directory",
  path: "file",
  file: "file",
  lockfile: "file",
  cdb: "file",
  cdbfile: "file",
  rulesfile: "file",
  tmp: "file",
  host: "host",
  account: "user",
  service: "service",
};

/** { kind: "directory" | "file" | "host" | "user" | "service" | "none" } or { kind: "words", words } */
export function argumentKind(argument) {
  const name = argument.replace(/^\[(.*)\]$/, "$1");
  if (name === "dir|cdb") return { kind: "file" };
  if (name === "proto") return { kind: "words", words: ["tcp", "udp"] };
  if (/^\w+(\|\w+)+$/.test(name)) return { kind: "words", words: name.split("|") };
  return { kind: KINDS[name] ?? "none" };
}
