import { describe, expect, test } from "vitest";
import { describeTlsError, tlsEdits } from "../../../src/tls/index.ts";
import type { ClientMaterial, ServerMaterial } from "../../../src/tls/index.ts";
import { newAuthority, newSelfSigned } from "../../support/certificates.ts";
import type { Certificate } from "../../support/certificates.ts";
import { clientOf, handshake, leaf, pairOf, root, serverOf } from "./handshakes.ts";

/** The verdict of a client on a server. */
async function clientVerdict(
  server: Partial<ServerMaterial>,
  client: Partial<ClientMaterial>,
): Promise<string | undefined> {
  const clients = clientOf(client);
  const outcome = await handshake(serverOf(server), clients);
  expect(outcome.clientSaid).toBe("secure");
  return clients.verdict(outcome.client);
}

describe("a handshake", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)("a handshake settles facts, %s", async (version) => {
    const [servers, clients] = [
      serverOf({ maxVersion: version, alpn: ["imap"] }),
      clientOf({ alpn: ["x", "imap"] }),
    ];
    const { server, client } = await handshake(servers, clients);
    expect([server.verdict(), clients.verdict(client)]).toEqual([undefined, undefined]);
    const shared = {
      protocol: version,
      cipher: version === "TLSv1.3" ? "TLS_AES_128_GCM_SHA256" : "ECDHE-ECDSA-AES128-GCM-SHA256",
      serverName: "localhost",
      alpn: "imap",
    };
    expect(server.facts()).toEqual({ ...shared, reportsPeer: false, peer: undefined });
    expect(clients.facts(client)).toEqual({
      ...shared,
      reportsPeer: true,
      peer: {
        sha256: leaf.sha256,
        subject: "CN=localhost",
        alternativeNames: [
          { kind: "dns", value: "localhost" },
          { kind: "ip", value: "127.0.0.1" },
          { kind: "ip", value: "::1" },
        ],
      },
    });
    expect(tlsEdits(server.facts()).map(({ name }) => name)).toEqual([
      "SSL_PROTOCOL",
      "SSL_CIPHER",
      "SSL_TLS_SNI_SERVERNAME",
      "SSL_TLS_ALPN_PROTOCOL",
    ]);
    expect(tlsEdits(clients.facts(client)).slice(3, 6)).toEqual([
      { name: "SSL_PEER_CERT_HASH", value: `SHA256:${leaf.sha256}` },
      { name: "SSL_PEER_CERT_SUBJECT", value: "CN=localhost" },
      { name: "SSL_PEER_CERT_SAN", value: "dns:localhost ip:127.0.0.1 ip:::1" },
    ]);
  });

  test.each(["rsa", "ed25519"] as const)("a handshake works with %s", async (key) => {
    const defaultPair = pairOf(
      root.issueAuthority({ key }).issue({ key, names: ["dns:localhost"] }),
    );
    expect(await clientVerdict({ defaultPair }, {})).toBeUndefined();
  });

  test("a handshake fails without a version, a cipher or a protocol in common", async () => {
    const old = await handshake(
      serverOf({ minVersion: "TLSv1.3" }),
      clientOf({ maxVersion: "TLSv1.2" }),
    );
    expect(old.serverSaid).toBe("unsupported protocol");
    expect(old.clientSaid).toBe("the peer sent the alert protocol_version");
    const ciphers = await handshake(
      serverOf({ ciphers: "TLS_AES_256_GCM_SHA384" }),
      clientOf({ ciphers: "TLS_AES_128_GCM_SHA256" }),
    );
    expect(ciphers.serverSaid).toBe("no shared cipher");
    expect(ciphers.clientSaid).toBe("the peer sent the alert handshake_failure");
    const protocols = await handshake(serverOf({ alpn: ["imap"] }), clientOf({ alpn: ["pop3"] }));
    expect(protocols.clientSaid).toBe("the peer sent the alert no_application_protocol");
  });
});

describe("a client", () => {
  const untrusted = "the server's certificate is not trusted: ";

  test("a client trusts an anchor, be it a root, an authority below one, or the server's own", async () => {
    const intermediate = root.issueAuthority();
    const below = intermediate.issue({ names: ["dns:localhost"] });
    const defaultPair = pairOf(below);
    for (const anchor of [root, intermediate, below]) {
      expect(await clientVerdict({ defaultPair }, { anchors: [anchor.pem] })).toBeUndefined();
    }
    const own = newSelfSigned({ names: ["dns:localhost"] });
    const anchors = [own.pem];
    expect(await clientVerdict({ defaultPair: pairOf(own) }, { anchors })).toBeUndefined();
  });

  test("a client trusts no other server", async () => {
    const anchors = [newAuthority({ subject: "Other" }).pem];
    expect(await clientVerdict({}, { anchors })).toBe(`${untrusted}its issuer is not known`);
    expect(await clientVerdict({}, { anchors: [] })).toBe(`${untrusted}its issuer is not known`);
    const own = pairOf(newSelfSigned());
    expect(await clientVerdict({ defaultPair: own }, {})).toBe(
      `${untrusted}it is signed by itself and not an anchor`,
    );
    const expired = pairOf(root.issue({ notAfter: new Date(Date.now() - 3_600_000) }));
    expect(await clientVerdict({ defaultPair: expired }, {})).toBe(`${untrusted}it has expired`);
    const forClients = pairOf(root.issue({ names: ["dns:localhost"], usage: "client" }));
    expect(await clientVerdict({ defaultPair: forClients }, {})).toBe(
      `${untrusted}it is for another purpose`,
    );
  });

  test("a client without verification trusts any server, and reports no certificate", async () => {
    const clients = clientOf({ anchors: [], verifiesCertificate: false });
    const { client } = await handshake(serverOf({ defaultPair: pairOf(newSelfSigned()) }), clients);
    expect(clients.verdict(client)).toBeUndefined();
    expect(clients.facts(client)).toMatchObject({ reportsPeer: true, peer: undefined });
  });

  test.each(["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "::1", undefined])(
    "a client finds %s in the certificate",
    async (serverName) => {
      expect(await clientVerdict({}, { serverName })).toBeUndefined();
    },
  );

  test.each(["other.example", "127.0.0.2", "::2", "host"])(
    "a client does not find %s in the certificate",
    async (serverName) => {
      const verdict = `the server's certificate is not for ${serverName}`;
      expect(await clientVerdict({}, { serverName })).toBe(verdict);
      expect(await clientVerdict({}, { serverName, verifiesName: false })).toBeUndefined();
    },
  );

  test("a client sends a name, not an address, and no dot at its end", async () => {
    for (const [serverName, sent] of [
      ["localhost.", "localhost"],
      ["127.0.0.1", undefined],
      [undefined, undefined],
    ] as const) {
      const [servers, clients] = [serverOf(), clientOf({ serverName })];
      const { server, client } = await handshake(servers, clients);
      expect(server.facts().serverName).toBe(sent);
      expect(clients.facts(client).serverName).toBe(sent);
    }
  });
});

describe("a server that asks for certificates", () => {
  const known = root.issue({ subject: "client", usage: "client" });
  const stranger = newAuthority({ subject: "Other" }).issue({ subject: "stranger" });

  async function meet(
    policy: Partial<ServerMaterial>,
    shown: Certificate | undefined,
  ): Promise<{
    said: string;
    verdict: string | undefined;
    hash: string | undefined;
    clientSaid: string;
  }> {
    const servers = serverOf({ anchors: [root.pem], ...policy });
    const clients = clientOf({ pair: shown && pairOf(shown) });
    const { server, serverSaid, clientSaid } = await handshake(servers, clients);
    const isSecure = serverSaid === "secure";
    return {
      said: serverSaid,
      verdict: isSecure ? server.verdict() : undefined,
      hash: isSecure ? server.facts().peer?.sha256 : undefined,
      clientSaid,
    };
  }

  describe.each(["TLSv1.2", "TLSv1.3"] as const)("in %s", (maxVersion) => {
    test.each(["optional", "required"] as const)(
      "a server that requests certificates determines which client is trusted: %s",
      async (clientCertificate) => {
        const met = await meet({ clientCertificate, maxVersion }, known);
        expect(met).toMatchObject({ said: "secure", verdict: undefined, hash: known.sha256 });
      },
    );

    test("a server admits other clients where a certificate is optional, and exports nothing of theirs", async () => {
      for (const shown of [undefined, stranger]) {
        const met = await meet({ clientCertificate: "optional", maxVersion }, shown);
        expect(met).toMatchObject({ said: "secure", verdict: undefined, hash: undefined });
      }
    });

    test("a server refuses other clients where a certificate is required", async () => {
      const none = await meet({ clientCertificate: "required", maxVersion }, undefined);
      expect(none.said).toBe("peer did not return a certificate");
      expect(none.clientSaid).toMatch(/the alert (?:certificate_required|handshake_failure)$/);
      const met = await meet({ clientCertificate: "required", maxVersion }, stranger);
      expect(met.verdict).toBe("the client's certificate is not trusted: its issuer is not known");
      expect(met.hash).toBeUndefined();
    });
  });

  test("a server that requested a certificate reports that there is none", async () => {
    const servers = serverOf({ anchors: [root.pem], clientCertificate: "optional" });
    const { server } = await handshake(servers, clientOf());
    expect(tlsEdits(server.facts()).slice(3)).toEqual([
      { name: "SSL_PEER_CERT_HASH", value: undefined },
      { name: "SSL_PEER_CERT_SUBJECT", value: undefined },
      { name: "SSL_PEER_CERT_SAN", value: undefined },
    ]);
  });
});

describe("a server of several names", () => {
  const named = ["foo.example.com", "*.example.com"].map((name) => ({
    name,
    pair: pairOf(root.issue({ subject: name })),
  }));

  async function served(sniLevel: 0 | 1 | 2, serverName: string | undefined): Promise<string> {
    const defaultPair = sniLevel === 2 ? undefined : pairOf(root.issue({ subject: "default" }));
    const servers = serverOf({ sniLevel, defaultPair, namedPairs: named });
    const clients = clientOf({ serverName, verifiesName: false });
    const { client, clientSaid } = await handshake(servers, clients);
    return clientSaid === "secure" ? (clients.facts(client).peer?.subject ?? "") : clientSaid;
  }

  const failure = "the peer sent the alert handshake_failure";
  test.each([
    [0, "foo.example.com", "CN=default"],
    [1, "FOO.Example.COM", "CN=foo.example.com"],
    [1, "bar.example.com", "CN=*.example.com"],
    [1, "a.b.example.com", "CN=default"],
    [1, undefined, "CN=default"],
    [2, "bar.example.com", "CN=*.example.com"],
    [2, "a.b.example.com", failure],
    [2, undefined, failure],
  ] as const)(
    "a server of several names at level %i serves for %s the certificate %s",
    async (level, name, subject) => {
      expect(await served(level, name)).toBe(subject);
    },
  );
});

describe("settings", () => {
  test("a list of ciphers without a usable one is an error", () => {
    expect(() => serverOf({ ciphers: "NOSUCH" })).toThrow("no such ciphers: NOSUCH");
    expect(() => clientOf({ ciphers: "TLS_AES_128_GCM_SHA256", maxVersion: "TLSv1.2" })).toThrow(
      "no cipher for TLSv1.2 to TLSv1.2 in TLS_AES_128_GCM_SHA256",
    );
    expect(() =>
      clientOf({ ciphers: "ECDHE-RSA-AES128-GCM-SHA256", minVersion: "TLSv1.3" }),
    ).toThrow("no cipher for TLSv1.3 to TLSv1.3");
    expect(() => serverOf({ ciphers: "ECDHE+AESGCM:!aNULL" })).not.toThrow();
  });

  test("a key that OpenSSL refuses is reported", () => {
    const pair = { file: "leaf.crt", chain: leaf.pem, key: newSelfSigned().keyPem };
    expect(() => serverOf({ defaultPair: pair })).toThrow(/^unable to use certificate leaf.crt: /);
  });
});

describe("the words for an error", () => {
  test.each([
    [
      new Error(
        "C0FF:error:0A000418:SSL routines:f:tlsv1 alert unknown ca:../x.c:1:SSL alert number 48",
      ),
      "the peer sent the alert unknown_ca",
    ],
    [new Error("SSL alert number 250"), "the peer sent the alert 250"],
    [new Error("error:0A0000B9:SSL routines::no cipher match"), "no cipher match"],
    [
      Object.assign(new Error("error:0A00010B"), { reason: "wrong version number" }),
      "wrong version number",
    ],
    [Object.assign(new Error("x"), { code: "ECONNRESET" }), "the peer closed the connection"],
    [new Error("two\nlines\u001b[0m"), "two lines [0m"],
    ["no error", "unknown error"],
  ])("an error of OpenSSL has a text (%#)", (error, words) => {
    expect(describeTlsError(error)).toBe(words);
  });
});
