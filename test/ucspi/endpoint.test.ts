import { describe, expect, test } from "vitest";
import { formatIp } from "../../src/net/index.ts";
import { InvalidArgument } from "../../src/options/index.ts";
import { ENDPOINT, parseListenOperands } from "../../src/ucspi/index.ts";

describe("the operands ip and port", () => {
  test.each([
    ["127.0.0.1", "80", "127.0.0.1 80"],
    ["::1", "0", "::1 0"],
    ["2001:DB8:0::1", "00080", "2001:db8::1 80"],
    ["010.0.0.1", "65535", "10.0.0.1 65535"],
  ])("the operands %s %s are the endpoint %s", (ip, port, expected) => {
    const endpoint = parseListenOperands([ip, port]);
    expect(endpoint && `${formatIp(endpoint.address)} ${endpoint.port}`).toBe(expected);
  });

  test.each([
    ["127.0.0", "80"],
    ["127.0.0.1", "65536"],
    ["127.0.0.1", "-1"],
    ["127.0.0.1", ""],
    ["", "80"],
    ["localhost", "80"],
    ["127.0.0.1x", "80"],
    ["::1%lo", "80"],
  ])("the operands %j %j are refused", (ip, port) => {
    expect(parseListenOperands([ip, port])).toBeUndefined();
  });
});

describe("an address as the argument of an option", () => {
  test.each(["192.0.2.1:80", "[2001:db8::1]:80", "[::]:0", "0.0.0.0:65535"])(
    "the argument %s is an address",
    (text) => {
      expect(ENDPOINT.format(ENDPOINT.parse(text))).toBe(text);
    },
  );

  test.each([
    "192.0.2.1",
    "192.0.2.1:",
    ":80",
    "2001:db8::1:80",
    "[192.0.2.1]:80",
    "[::1]",
    "[::1]:65536",
    "[::1]:80 ",
    "::1:80",
    "[::1:80",
    "",
  ])("the argument %j is no address", (text) => {
    expect(() => ENDPOINT.parse(text)).toThrow(InvalidArgument);
  });
});
