import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  encodeEdits,
  ipcClientEdits,
  ipcNames,
  ipcPeerEdits,
  readIpcClient,
  UNSIGNED_MAX,
} from "../../src/net/index.ts";

import type { EnvironmentEdit, Variables } from "../../src/net/index.ts";

function variablesOf(values: Readonly<Record<string, string>>): Variables {
  return (name) => values[name];
}

function textOf(edits: readonly EnvironmentEdit[]): string[] {
  return encodeEdits(edits).toString().split("\0").slice(0, -1);
}

const CLIENT = { PROTO: "IPC", IPCREMOTEEUID: "1000", IPCREMOTEEGID: "100" };

describe("the variables of local UCSPI", () => {
  test("the variables of local UCSPI tell a program the ids of its client, and how many connections it had", () => {
    expect(textOf(ipcPeerEdits({ uid: 1000, gid: 100 }, "/run/c", 2))).toEqual([
      "IPCREMOTEEUID=1000",
      "IPCREMOTEEGID=100",
      "IPCREMOTEPATH=/run/c",
      "IPCCONNNUM=2",
    ]);
  });

  test("the variables of local UCSPI without ids are unset, and the number of connections is empty", () => {
    expect(textOf(ipcPeerEdits(undefined, "", 2))).toEqual([
      "IPCREMOTEEUID",
      "IPCREMOTEEGID",
      "IPCREMOTEPATH=",
      "IPCCONNNUM=",
    ]);
  });

  test("the variables of a local client are the protocol and its own path, unset where it is not known", () => {
    expect(textOf(ipcClientEdits("/run/c"))).toEqual(["PROTO=IPC", "IPCLOCALPATH=/run/c"]);
    expect(textOf(ipcClientEdits(""))).toEqual(["PROTO=IPC", "IPCLOCALPATH="]);
    expect(textOf(ipcClientEdits(undefined))).toEqual(["PROTO=IPC", "IPCLOCALPATH"]);
  });

  test("the variables of local UCSPI are read as they are written, whatever the ids", () => {
    const id = fc.nat({ max: UNSIGNED_MAX });
    fc.assert(
      fc.property(id, id, fc.nat(), (uid, gid, number) => {
        const edits = ipcPeerEdits({ uid, gid }, "", number);
        const values = new Map(edits.map(({ name, value }) => [name, value]));
        const read = readIpcClient((name) => (name === "PROTO" ? "IPC" : values.get(name)));
        expect(read).toEqual({ protocol: "IPC", uid, gid });
      }),
    );
  });

  test("the variables of local UCSPI have the names that PROTO says", () => {
    const values = { PROTO: "X", XREMOTEEUID: "1", XREMOTEEGID: "2", IPCREMOTEEUID: "3" };
    expect(readIpcClient(variablesOf(values))).toEqual({ protocol: "X", uid: 1, gid: 2 });
    expect(Object.values(ipcNames("X")).every((name) => name.startsWith("X"))).toBe(true);
  });

  test.each([
    [{}, "PROTO not set"],
    [{ PROTO: "IPC" }, "IPCREMOTEEUID not set"],
    [{ ...CLIENT, IPCREMOTEEUID: "" }, "invalid $IPCREMOTEEUID"],
    [{ ...CLIENT, IPCREMOTEEUID: "-1" }, "invalid $IPCREMOTEEUID"],
    [{ ...CLIENT, IPCREMOTEEUID: "4294967296" }, "invalid $IPCREMOTEEUID"],
    [{ ...CLIENT, IPCREMOTEEGID: "0x1" }, "invalid $IPCREMOTEEGID"],
    [{ ...CLIENT, IPCREMOTEEGID: "1 " }, "invalid $IPCREMOTEEGID"],
  ])("the variables of local UCSPI %j are an error: %s", (values, message) => {
    expect(() => readIpcClient(variablesOf(values))).toThrow(message);
  });
});
