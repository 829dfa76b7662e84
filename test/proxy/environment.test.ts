import { describe, expect, test } from "vitest";
import { proxyEdits, restoreEdits } from "../../src/proxy/index.ts";
import type { ProxyEditsOptions } from "../../src/proxy/index.ts";
import { parsed, ssl, tlv, v2, withTlvs } from "./samples.ts";

const PLAIN: ProxyEditsOptions = { backsUp: false, verifiedNamesOnly: false };

/** The edits as an object, undefined for a removal. */
function edits(bytes: Uint8Array | string, options: Partial<ProxyEditsOptions> = {}) {
  const list = proxyEdits(parsed(bytes).header, { ...PLAIN, ...options });
  return Object.fromEntries(list.map(({ name, value }) => [name, value]));
}

/** The variables of the proxy's own connection do not pass for the client's. */
const FORGOTTEN = { TCPREMOTEHOST: undefined, TCPREMOTEINFO: undefined };

const TCP4 = {
  ...FORGOTTEN,
  PROTO: "TCP",
  TCPREMOTEIP: "1.2.3.4",
  TCPREMOTEPORT: "111",
  TCPLOCALIP: "5.6.7.8",
  TCPLOCALPORT: "222",
};

describe("the variables of a header", () => {
  test("a header sets addresses and ports", () => {
    expect(edits("PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n")).toStrictEqual(TCP4);
    expect(edits(withTlvs())).toStrictEqual(TCP4);
    expect(edits("PROXY TCP6 2001:DB8::1 ::ffff:1.2.3.4 1 65535\r\n")).toStrictEqual({
      ...FORGOTTEN,
      PROTO: "TCP",
      TCPREMOTEIP: "2001:db8::1",
      TCPREMOTEPORT: "1",
      TCPLOCALIP: "::ffff:102:304",
      TCPLOCALPORT: "65535",
    });
  });

  test("a header sets paths", () => {
    const body = Buffer.alloc(216);
    body.write("/run/client", 0);
    body.write("/run/server", 108);
    expect(edits(v2(0x21, 0x31, body))).toEqual({
      PROTO: "IPC",
      IPCREMOTEPATH: "/run/client",
      IPCLOCALPATH: "/run/server",
    });
  });

  test("a header sets nothing where it announces no connection", () => {
    for (const bytes of ["PROXY UNKNOWN\r\n", v2(0x20, 0x11, Buffer.alloc(12))]) {
      expect(edits(bytes)).toEqual({});
    }
  });

  const full = withTlvs(
    tlv(0x01, "h2"),
    tlv(0x02, "www.example.com"),
    ssl(7, 0, tlv(0x21, "TLSv1.3"), tlv(0x22, "joe"), tlv(0x23, "TLS_AES_256_GCM_SHA384")),
  );

  test("a header sets its fields of TLS", () => {
    expect(edits(full)).toEqual({
      ...TCP4,
      SSL_TLS_ALPN_PROTOCOL: "h2",
      SSL_TLS_SNI_SERVERNAME: "www.example.com",
      SSL_PROTOCOL: "TLSv1.3",
      SSL_PEER_CERT_CN: "joe",
      SSL_CIPHER: "TLS_AES_256_GCM_SHA384",
    });
  });

  test("a header sets the name that the client asked for without a dot at its end", () => {
    expect(edits(withTlvs(tlv(0x02, "Www.example.com.")))).toMatchObject({
      SSL_TLS_SNI_SERVERNAME: "Www.example.com",
    });
    expect(edits(withTlvs(tlv(0x02, ".")))).toMatchObject({ SSL_TLS_SNI_SERVERNAME: undefined });
  });

  test("a header sets under other names the variables that are to be set aside", () => {
    expect(edits(full, { backsUp: true })).toEqual({
      ...TCP4,
      tlsbak_SSL_TLS_ALPN_PROTOCOL: "h2",
      tlsbak_SSL_TLS_SNI_SERVERNAME: "www.example.com",
      tlsbak_SSL_PROTOCOL: "TLSv1.3",
      tlsbak_SSL_PEER_CERT_CN: "joe",
      tlsbak_SSL_CIPHER: "TLS_AES_256_GCM_SHA384",
    });
  });

  test.each<[string, string]>([
    ["a NUL", "joe\0.example"],
    ["a newline", "joe\nroot"],
    ["an escape sequence", "joe\x1b[2J"],
    ["DEL", "joe\x7f"],
    ["a control character of C1", "joe\u0085"],
    ["too many bytes", "j".repeat(256)],
  ])("a header with a value that has %s sets no variable to it, or to a part of it", (_, value) => {
    const bytes = withTlvs(
      tlv(0x01, value),
      tlv(0x02, value),
      ssl(7, 0, tlv(0x21, value), tlv(0x22, value), tlv(0x23, value)),
    );
    const removed = {
      SSL_TLS_ALPN_PROTOCOL: undefined,
      SSL_TLS_SNI_SERVERNAME: undefined,
      SSL_PROTOCOL: undefined,
      SSL_PEER_CERT_CN: undefined,
      SSL_CIPHER: undefined,
    };
    const unfit: string[] = [];
    const onUnfit = (variable: string): void => void unfit.push(variable);
    expect(edits(bytes, { onUnfit })).toStrictEqual({ ...TCP4, ...removed });
    expect(unfit).toEqual(Object.keys(removed));
    expect(Object.keys(edits(bytes, { backsUp: true }))).toContain("tlsbak_SSL_PEER_CERT_CN");
  });

  test("a header with a path that has a control character sets no variable to it", () => {
    const body = Buffer.alloc(216);
    body.write("/run/cli\nent", 0);
    body.write("/run/server", 108);
    expect(edits(v2(0x21, 0x31, body))).toStrictEqual({
      PROTO: "IPC",
      IPCREMOTEPATH: undefined,
      IPCLOCALPATH: "/run/server",
    });
  });

  test("a common name in a header may have blanks and letters of any script, words may not", () => {
    const bytes = withTlvs(tlv(0x02, "a b"), ssl(7, 0, tlv(0x22, "José Müller"), tlv(0x23, "é")));
    expect(edits(bytes)).toStrictEqual({
      ...TCP4,
      SSL_TLS_SNI_SERVERNAME: undefined,
      SSL_PEER_CERT_CN: "José Müller",
      SSL_CIPHER: undefined,
    });
  });

  test("a header sets nothing of TLS that the client did not use", () => {
    expect(edits(withTlvs(ssl(2, 0, tlv(0x21, "TLSv1.3"))))).toStrictEqual(TCP4);
  });

  test("a header sets the name of a certificate that was not verified, unless an option forbids it", () => {
    const bytes = withTlvs(ssl(3, 1, tlv(0x21, "TLSv1.3"), tlv(0x22, "joe")));
    const others = { ...TCP4, SSL_PROTOCOL: "TLSv1.3" };
    expect(edits(bytes)).toEqual({ ...others, SSL_PEER_CERT_CN: "joe" });
    expect(edits(bytes, { verifiedNamesOnly: true })).toEqual(others);
    expect(edits(full, { verifiedNamesOnly: true })).toMatchObject({ SSL_PEER_CERT_CN: "joe" });
  });
});

describe("restoring", () => {
  const variables = new Map([
    ["SSL_PROTOCOL", "TLSv1.2"],
    ["SSL_CIPHER", "the tunnel's"],
    ["tlsbak_SSL_PROTOCOL", "TLSv1.3"],
  ]);
  const restored = [
    { name: "SSL_PROTOCOL", value: "TLSv1.3" },
    { name: "tlsbak_SSL_PROTOCOL", value: undefined },
  ];

  test("restoring renames the variables that were set aside, and removes the rest", () => {
    const list = restoreEdits((name) => variables.get(name), false);
    expect(list).toEqual(expect.arrayContaining(restored));
    const removed = list.filter(({ value }) => value === undefined).map(({ name }) => name);
    expect(removed.toSorted()).toEqual([
      "SSL_CIPHER",
      "SSL_PEER_CERT_CN",
      "SSL_TLS_ALPN_PROTOCOL",
      "SSL_TLS_SNI_SERVERNAME",
      "tlsbak_SSL_PROTOCOL",
    ]);
  });

  test("restoring keeps the rest if it is told to", () => {
    expect(restoreEdits((name) => variables.get(name), true)).toEqual(restored);
  });
});
