import { describe, expect, test } from "vitest";
import { Environment } from "../../../src/chain/index.ts";
import { sourceOf } from "../../../src/tls/handshake/source.ts";

describe("the source of a handshake", () => {
  test.each([
    [["PROTO=TCP", "TCPREMOTEIP=192.0.2.7"], "192.0.2.7"],
    [["PROTO=TCP", "TCPREMOTEIP=::ffff:192.0.2.7"], "192.0.2.7"],
    [["PROTO=TCP", "TCPREMOTEIP=2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"],
    [["PROTO=TCP", "TCPREMOTEIP=2001:db8:1:2::1"], "2001:db8:1:2::/64"],
    [["PROTO=TCP6", "TCPREMOTEIP=192.0.2.7", "TCP6REMOTEIP=192.0.2.8"], "192.0.2.8"],
    [["PROTO=IPC", "IPCREMOTEEUID=1000"], "uid 1000"],
    [["PROTO=IPC", "IPCREMOTEEUID=1000 or\nso"], "unknown"],
    [["PROTO=TCP", "TCPREMOTEIP=somewhere\n"], "unknown"],
    [["TCPREMOTEIP=192.0.2.7"], "unknown"],
    [[], "unknown"],
  ])("the source of a connection with %j is %s", (variables, source) => {
    expect(sourceOf(Environment.of(variables))).toBe(source);
  });
});
