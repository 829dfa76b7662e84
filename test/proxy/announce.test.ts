import { describe, expect, test } from "vitest";
import {
  announcement,
  removalEdits,
  variablesSetAside,
  setAsideEdits,
  tlsExtensions,
  Tlvs,
} from "../../src/proxy/index.ts";
import { end } from "./samples.ts";

type Values = Readonly<Record<string, string>>;

function variables(values: Values): (name: string) => string | undefined {
  return (name) => values[name];
}

const TCP = {
  PROTO: "TCP",
  TCPREMOTEIP: "192.0.2.7",
  TCPREMOTEPORT: "49152",
  TCPLOCALIP: "192.0.2.1",
  TCPLOCALPORT: "80",
};
const REMOTE = end("192.0.2.7", 49152);
const LOCAL = end("192.0.2.1", 80);

describe("an announcement", () => {
  test("an announcement is about the client that is served, or about oneself", () => {
    expect(announcement(variables(TCP), true, Tlvs.none)).toMatchObject({
      family: "tcp4",
      source: REMOTE,
      destination: LOCAL,
    });
    expect(announcement(variables(TCP), false, Tlvs.none)).toMatchObject({
      source: LOCAL,
      destination: REMOTE,
    });
  });

  test("an announcement has addresses of one family", () => {
    const mixed = { ...TCP, TCPREMOTEIP: "2001:db8::7" };
    expect(announcement(variables(mixed), true, Tlvs.none)).toMatchObject({
      family: "tcp6",
      source: end("2001:db8::7", 49152),
      destination: end("::ffff:192.0.2.1", 80),
    });
  });

  test("an announcement of a Unix connection has its paths, as far as they are known", () => {
    const unix = { PROTO: "IPC", IPCREMOTEPATH: "/run/client" };
    expect(announcement(variables(unix), true, Tlvs.none)).toMatchObject({
      family: "unixStream",
      source: "/run/client",
      destination: "",
    });
  });

  test("an announcement requires the variables", () => {
    expect(() => announcement(variables({}), true, Tlvs.none)).toThrow("PROTO not set");
    const bad = { ...TCP, TCPREMOTEPORT: "x" };
    expect(() => announcement(variables(bad), true, Tlvs.none)).toThrow("invalid $TCPREMOTEPORT");
  });
});

describe("variables that are set aside", () => {
  test("variables that are set aside are copied, used as copies and removed", () => {
    const edits = setAsideEdits(variables(TCP));
    const copies: Values = Object.fromEntries(edits.map(({ name, value }) => [name, value ?? ""]));
    expect(Object.keys(copies).toSorted()).toEqual(
      Object.keys(TCP)
        .map((name) => `proxybak_${name}`)
        .toSorted(),
    );
    expect(announcement(variablesSetAside(variables(copies)), true, Tlvs.none)).toMatchObject({
      source: REMOTE,
      destination: LOCAL,
    });
    expect(removalEdits(variables(copies))).toEqual(
      edits.map(({ name }) => ({ name, value: undefined })),
    );
  });

  test("setting aside requires variables, and using the copies requires variables that were set aside", () => {
    expect(() => setAsideEdits(variables({}))).toThrow("PROTO not set");
    expect(() => removalEdits(variables(TCP))).toThrow("proxybak_PROTO not set");
  });
});

describe("the SSL_* variables", () => {
  const tls = { SSL_PROTOCOL: "TLSv1.3", SSL_CIPHER: "TLS_AES_256_GCM_SHA384" };
  const known = { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };

  test("the SSL_* variables announce nothing where there is no TLS", () => {
    expect(tlsExtensions(variables({}))).toEqual({});
    expect(tlsExtensions(variables({ SSL_CIPHER: "x" }))).toEqual({});
  });

  test("the SSL_* variables announce version, cipher, the name that was asked for and the protocol agreed on", () => {
    const names = { SSL_TLS_SNI_SERVERNAME: "www.example.com", SSL_TLS_ALPN_PROTOCOL: "h2" };
    expect(tlsExtensions(variables({ ...tls, ...names }))).toEqual({
      alpn: "h2",
      authority: "www.example.com",
      tls: { ...known, certificate: "none", isVerified: false },
    });
  });

  test.each([
    ["CN=joe", "joe"],
    ["C=US, O=Example\\, Inc, CN=x  y\\,  z", "x  y,  z"],
    ["C=US, O=a\\, CN\\=admin", undefined],
    ["O=x, OU=CN, CN=a\\\\b\\=c", "a\\b=c"],
    ["<invalid>", undefined],
    ["/C=US/CN=joe", undefined],
  ])(
    "the SSL_* variables announce a verified certificate with the common name of its subject: %s",
    (subject, name) => {
      const env = { ...tls, SSL_PEER_CERT_SUBJECT: subject };
      const { tls: told } = tlsExtensions(variables(env));
      expect(told).toMatchObject({ certificate: "connection", isVerified: true });
      expect(told?.commonName).toBe(name);
    },
  );

  test("the SSL_* variables announce no verified certificate where a proxy has sent the name", () => {
    const env = { ...tls, SSL_PEER_CERT_CN: "joe", SSL_PEER_CERT_SUBJECT: "CN=proxy" };
    expect(tlsExtensions(variables(env)).tls).toMatchObject({
      commonName: "joe",
      certificate: "connection",
      isVerified: false,
    });
  });
});
