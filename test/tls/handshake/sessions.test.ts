import { once } from "node:events";
import { connect } from "node:tls";
import type { ConnectionOptions } from "node:tls";
import { describe, expect, test } from "vitest";
import type { TlsHandshake } from "../../../src/tls/handshake/handshake.ts";
import type { ServerContexts } from "../../../src/tls/handshake/server-contexts.ts";
import { newAuthority } from "../../support/certificates.ts";
import type { Authority, Certificate } from "../../support/certificates.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { accepted, pairOf, root, said, serverOf, stoppedClock, streamPair } from "./handshakes.ts";

const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
type Version = (typeof VERSIONS)[number];

/** A connection as a client saw it, and the handshake of the server. */
interface Visit {
  /** A session to come back with, of one who came without. */
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
  readonly clientSaid: string;
  readonly server: TlsHandshake;
  readonly serverSaid: string;
}

interface VisitOptions {
  readonly version?: Version;
  /** The name to ask for; none unless given. */
  readonly name?: string;
  readonly session?: Buffer | undefined;
  readonly certificate?: Certificate;
}

async function visit(servers: ServerContexts, options: VisitOptions = {}): Promise<Visit> {
  const { version = "TLSv1.3", name, session, certificate } = options;
  const [left, right] = streamPair();
  const settings: ConnectionOptions = {
    socket: right,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    ...(name === undefined ? {} : { servername: name }),
    ...(session === undefined ? {} : { session }),
    ...(certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem }),
  };
  const client = connect(settings);
  const ticket = once(client, "session").then(
    ([data]) => data as Buffer,
    () => undefined,
  );
  const [{ server, serverSaid }, clientSaid] = await Promise.all([
    accepted(servers, left),
    said(client),
  ]);
  const isResumed = client.isSessionReused();
  const isFirst = session === undefined && serverSaid === "secure" && clientSaid === "secure";
  client.resume();
  return {
    session: isFirst ? await ticket : undefined,
    isResumed,
    clientSaid,
    server,
    serverSaid,
  };
}

/** Connect twice, the second time with the session of the first. */
async function visitTwice(
  servers: ServerContexts,
  first: VisitOptions,
  second: VisitOptions = first,
  between = () => {},
  others = servers,
): Promise<Visit> {
  const { session, server } = await visit(servers, first);
  expect(server.verdict()).toBeUndefined();
  server.facts();
  expect(session).toBeDefined();
  between();
  return visit(others, { ...second, session });
}

const named = ["foo.example.com", "bar.example.com", "*.example.com"].map((name) => ({
  name,
  pair: pairOf(root.issue({ subject: name, names: [`dns:${name}`] })),
}));

describe.each(VERSIONS)("sessions of %s", (version) => {
  test("a session is resumed where it was made, and nowhere else", async () => {
    const servers = serverOf();
    expect((await visitTwice(servers, { version })).isResumed).toBe(true);
    const elsewhere = await visitTwice(servers, { version }, { version }, undefined, serverOf());
    expect(elsewhere.isResumed).toBe(false);
  });

  test.each(["foo.example.com", "x.example.com", "other.example", undefined])(
    "a session of %s is resumed for that name, which is told again",
    async (name) => {
      const asked = { version, ...(name === undefined ? {} : { name }) };
      const again = await visitTwice(serverOf({ sniLevel: 1, namedPairs: named }), asked);
      expect(again.isResumed).toBe(true);
      expect(again.server.verdict()).toBeUndefined();
      expect(again.server.facts().serverName).toBe(name);
    },
  );

  test.each([
    ["foo.example.com", "bar.example.com"],
    ["foo.example.com", "x.example.com"],
    ["x.example.com", "y.example.com"],
    ["x.example.com", "foo.example.com"],
    ["foo.example.com", undefined],
    [undefined, "foo.example.com"],
    [undefined, "other.example"],
    ["other.example", "another.example"],
  ])("a session of %s is not resumed for %s", async (first, second) => {
    for (const sniLevel of [0, 1] as const) {
      const servers = serverOf({ sniLevel, namedPairs: sniLevel === 0 ? [] : named });
      const again = await visitTwice(
        servers,
        { version, ...(first === undefined ? {} : { name: first }) },
        { version, ...(second === undefined ? {} : { name: second }) },
      );
      expect(again.isResumed).toBe(false);
      expect(again.server.verdict()).toBeUndefined();
      expect(again.server.facts().serverName).toBe(second);
    }
  });

  test("a name in capitals is the same name, and is told as the client writes it", async () => {
    const again = await visitTwice(
      serverOf(),
      { version, name: "foo.example.com" },
      { version, name: "FOO.example.com" },
    );
    expect(again.isResumed).toBe(true);
    expect(again.server.verdict()).toBeUndefined();
    expect(again.server.facts().serverName).toBe("FOO.example.com");
  });

  test("a server that demands a name refuses a session for another or none, and says so", async () => {
    const servers = serverOf({ sniLevel: 2, defaultPair: undefined, namedPairs: named });
    const asked = { version, name: "foo.example.com" };
    expect((await visitTwice(servers, asked)).isResumed).toBe(true);
    const { session } = await visit(servers, asked);
    for (const [name, why] of [
      ["other.example", "there is no certificate for other.example"],
      ["ex\u001bample", "there is no certificate for an invalid name"],
      [undefined, "there is no certificate for a client that asks for no name"],
    ] as const) {
      const refused = await visit(servers, {
        version,
        session,
        ...(name === undefined ? {} : { name }),
      });
      expect(refused.serverSaid).toMatch(/^no (?:shared cipher|suitable signature algorithm)$/);
      expect(refused.server.describeError(new Error("no shared cipher"))).toBe(why);
      expect(refused.server.verdict()).toBe(why);
      expect(refused.clientSaid).toBe("the peer sent the alert handshake_failure");
    }
  });

  test("a session is not resumed under other rules for clients", async () => {
    const trusting = serverOf({ clientCertificate: "optional", anchors: [root.pem] });
    expect((await visitTwice(trusting, { version })).isResumed).toBe(true);
    const anchors = [newAuthority().pem];
    const changed = serverOf({ clientCertificate: "optional", anchors });
    const again = await visitTwice(trusting, { version }, { version }, undefined, changed);
    expect(again.isResumed).toBe(false);
  });

  test("a session is not resumed after 12 hours", async () => {
    const clock = new FakeClock();
    const servers = serverOf({}, clock);
    const pass = (hours: number) => () => clock.advance(hours * 3_600_000);
    const asked = { version };
    expect((await visitTwice(servers, asked, asked, pass(11))).isResumed).toBe(true);
    expect((await visitTwice(servers, asked, asked, pass(2))).isResumed).toBe(false);
  });
});

describe.each(VERSIONS)("the certificate of a client that resumes a session of %s", (version) => {
  const HOUR_MS = 3_600_000;
  const inHours = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);

  /** The server's second handshake with a client, so many hours after the first. */
  async function comeBack(
    demand: "optional" | "required",
    certificate: Certificate,
    hours: number,
    authority: Authority = root,
  ): Promise<Visit> {
    const clock = stoppedClock();
    const servers = serverOf({ clientCertificate: demand, anchors: [authority.pem] }, clock);
    const asked = { version, certificate, name: "localhost" };
    return visitTwice(servers, asked, asked, () => clock.advance(hours * HOUR_MS));
  }

  const short = root.issue({ subject: "client", usage: "client", notAfter: inHours(1) });
  const expired = "the client's certificate is not trusted: it has expired";

  test("a certificate counts as long as it is valid", async () => {
    const { isResumed, server } = await comeBack("required", short, 0.9);
    expect(isResumed).toBe(true);
    expect(server.verdict()).toBeUndefined();
    expect(server.facts().peer?.sha256).toBe(short.sha256);
  });

  test("a certificate that has expired since is refused where one is required", async () => {
    const { isResumed, server } = await comeBack("required", short, 1.1);
    expect(isResumed).toBe(true);
    expect(server.verdict()).toBe(expired);
  });

  test("a certificate that has expired since is not told of where one is optional", async () => {
    const { isResumed, server } = await comeBack("optional", short, 1.1);
    expect(isResumed).toBe(true);
    expect(server.verdict()).toBeUndefined();
    expect(server.facts().peer).toBeUndefined();
  });

  test("a certificate does not count once an authority between it and the anchor has expired", async () => {
    const between = root.issueAuthority({ subject: "between", notAfter: inHours(1) });
    const below = between.issue({ subject: "client", usage: "client" });
    expect((await comeBack("required", below, 0.9)).server.verdict()).toBeUndefined();
    expect((await comeBack("required", below, 1.1)).server.verdict()).toBe(expired);
  });

  test("a session ends with the anchor that its client was trusted by", async () => {
    const passing = newAuthority({ subject: "passing", notAfter: inHours(1) });
    const below = passing.issue({ subject: "client", usage: "client" });
    expect((await comeBack("required", below, 0.9, passing)).isResumed).toBe(true);
    expect((await comeBack("required", below, 1.1, passing)).isResumed).toBe(false);
  });
});
