/**
 * Chains that clients must trust, and some that they must not, each shown to a client in a handshake. They are
 * made here after the descriptions in x509-limbo (C2SP), a public collection of such chains; none of its
 * certificates is.
 */

import { describe, expect, test } from "vitest";
import { areWildcardsAllowed } from "../../../src/tls/handshake/excluded-names.ts";
import {
  Authority,
  der,
  extension,
  nameConstraints,
  newAuthority,
  newKey,
  newSelfSigned,
} from "../../support/certificates.ts";
import type { Certificate, CertificateOptions } from "../../support/certificates.ts";
import { clientOf, handshake, serverOf } from "./handshakes.ts";

const HOST = "foo.example.com";
const TRUSTED = undefined;
const UNTRUSTED = /^the server's certificate is not trusted: /;
const WILDCARD =
  "the server's certificate is not trusted: no chain from an anchor allows its wildcards";
const NOT_FOR = /^the server's certificate is not for /;

interface Shown {
  readonly server: Certificate;
  /** The certificates behind it; those between it and its root unless given. */
  readonly behind?: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  readonly name?: string;
}

/** The verdict of a client to whom this is shown. */
async function verdict({
  server,
  behind,
  anchors,
  name = HOST,
}: Shown): Promise<string | undefined> {
  const chain = [server, ...(behind ?? server.intermediates)].map(({ pem }) => pem).join("");
  const defaultPair = { file: "server.crt", chain, key: server.keyPem };
  const clients = clientOf({ anchors: anchors.map(({ pem }) => pem), serverName: name });
  const { client, clientSaid } = await handshake(serverOf({ defaultPair }), clients);
  expect(clientSaid).toBe("secure");
  return clients.verdict(client);
}

const root = newAuthority();
const other = newAuthority({ subject: "Other" });

function expectVerdict(actual: string | undefined, expected: string | RegExp | undefined): void {
  if (expected instanceof RegExp) expect(actual ?? "trusted").toMatch(expected);
  else expect(actual).toBe(expected);
}

/** Below the root and an authority with these constraints. */
function constrained(
  subtrees: Parameters<typeof nameConstraints>[0],
  names: readonly string[],
  more: Partial<CertificateOptions> = {},
): Shown {
  const authority = root.issueAuthority({ extensions: [nameConstraints(subtrees)] });
  return { server: authority.issue({ names, subject: [], ...more }), anchors: [root] };
}

describe("name constraints", () => {
  test.each<[string, Shown, string | RegExp | undefined]>([
    ["a name inside", constrained({ permitted: ["dns:example.com"] }, [`dns:${HOST}`]), TRUSTED],
    ["a name outside", constrained({ permitted: ["dns:example.org"] }, [`dns:${HOST}`]), UNTRUSTED],
    [
      "an excluded name",
      constrained({ excluded: ["dns:example.com"] }, [`dns:${HOST}`]),
      UNTRUSTED,
    ],
    ["another name", constrained({ excluded: ["dns:example.org"] }, [`dns:${HOST}`]), TRUSTED],
    [
      "a name that only ends as the excluded one",
      constrained({ excluded: ["dns:o.example.com"] }, [`dns:${HOST}`]),
      TRUSTED,
    ],
    [
      "an excluded name in capitals",
      constrained({ excluded: ["dns:FOO.example.COM"] }, [`dns:${HOST}`]),
      UNTRUSTED,
    ],
    [
      "a name that is permitted and excluded",
      constrained({ permitted: ["dns:com"], excluded: ["dns:example.com"] }, [`dns:${HOST}`]),
      UNTRUSTED,
    ],
    [
      "a name beside an excluded one",
      constrained({ excluded: ["dns:bar.example.com"] }, [`dns:${HOST}`, "dns:bar.example.com"]),
      UNTRUSTED,
    ],
    [
      "a permitted address",
      {
        ...constrained({ permitted: ["ip:192.0.2.0/255.255.255.0"] }, ["ip:192.0.2.1"]),
        name: "192.0.2.1",
      },
      TRUSTED,
    ],
    [
      "an address outside",
      {
        ...constrained({ permitted: ["ip:192.0.2.0/255.255.255.0"] }, ["ip:192.0.3.1"]),
        name: "192.0.3.1",
      },
      UNTRUSTED,
    ],
    [
      "an excluded address of version 6",
      {
        ...constrained({ excluded: ["ip:2001:db8::/ffff:ffff::"] }, ["ip:2001:db8::1"]),
        name: "2001:db8::1",
      },
      UNTRUSTED,
    ],
    [
      "constraints of another kind",
      constrained({ permitted: ["ip:192.0.2.0/255.255.255.0"] }, [`dns:${HOST}`]),
      TRUSTED,
    ],
    [
      "an excluded common name and no other",
      constrained({ excluded: ["dns:example.com"] }, [], { subject: HOST }),
      UNTRUSTED,
    ],
    [
      "constraints of the anchor",
      constrainedRoot({ excluded: ["dns:example.com"] }, [`dns:${HOST}`]),
      UNTRUSTED,
    ],
  ])("name constraints decide about a server with %s", async (_, shown, expected) => {
    expectVerdict(await verdict(shown), expected);
  });
});

function constrainedRoot(
  subtrees: Parameters<typeof nameConstraints>[0],
  names: readonly string[],
): Shown {
  const anchor = newAuthority({ extensions: [nameConstraints(subtrees)] });
  return { server: anchor.issue({ names, subject: [] }), anchors: [anchor] };
}

describe("a wildcard", () => {
  const wildcard = ["dns:*.example.com"];
  test.each<[string, Shown, string | RegExp | undefined]>([
    ["no constraints", { server: root.issue({ names: wildcard }), anchors: [root] }, TRUSTED],
    ["its own anchor", selfSignedShown(wildcard), TRUSTED],
    ["a permitted domain", constrained({ permitted: ["dns:example.com"] }, wildcard), TRUSTED],
    ["one permitted name", constrained({ permitted: [`dns:${HOST}`] }, wildcard), UNTRUSTED],
    ["the excluded name asked for", constrained({ excluded: [`dns:${HOST}`] }, wildcard), WILDCARD],
    ["another excluded name", constrained({ excluded: ["dns:b.example.com"] }, wildcard), WILDCARD],
    [
      "an excluded name in capitals",
      constrained({ excluded: ["dns:B.Example.Com"] }, wildcard),
      WILDCARD,
    ],
    ["its excluded domain", constrained({ excluded: ["dns:example.com"] }, wildcard), UNTRUSTED],
    [
      "all that is below its domain excluded",
      constrained({ excluded: ["dns:.example.com"] }, wildcard),
      UNTRUSTED,
    ],
    ["an excluded top", constrained({ excluded: ["dns:com"] }, wildcard), UNTRUSTED],
    [
      "an excluded name below others",
      constrained({ excluded: ["dns:a.b.example.com"] }, wildcard),
      TRUSTED,
    ],
    [
      "what is below one name excluded",
      constrained({ excluded: ["dns:.b.example.com"] }, wildcard),
      TRUSTED,
    ],
    [
      "an excluded name of another domain",
      constrained({ excluded: ["dns:b.example.org"] }, wildcard),
      TRUSTED,
    ],
    [
      "an excluded domain that ends alike",
      constrained({ excluded: ["dns:b.anexample.com"] }, wildcard),
      TRUSTED,
    ],
    [
      "an excluded name beside the exact one",
      constrained({ excluded: ["dns:b.example.com"] }, [`dns:${HOST}`, ...wildcard]),
      WILDCARD,
    ],
    [
      "an excluded name in a chain of two",
      twoAuthorities({ excluded: ["dns:b.example.com"] }, wildcard),
      WILDCARD,
    ],
    [
      "a name excluded by the anchor",
      constrainedRoot({ excluded: ["dns:b.example.com"] }, wildcard),
      WILDCARD,
    ],
    [
      "a name excluded in the second place",
      constrained(
        { excluded: ["dns:example.org", "ip:192.0.2.0/255.255.255.0", `dns:${HOST}`] },
        wildcard,
      ),
      WILDCARD,
    ],
  ])("a wildcard is trusted, or not, with %s", async (_, shown, expected) => {
    expectVerdict(await verdict(shown), expected);
  });

  test.each(["example.com", "com", ".example.com", ".com", "", "."])(
    "a wildcard is below the excluded name %j, whether OpenSSL finds it or not",
    (name) => {
      const { server, anchors } = constrained({ excluded: [`dns:${name}`] }, wildcard);
      const shown = [server, ...server.intermediates].map((one) => one.der);
      const trusted = anchors.map((one) => one.der);
      expect(areWildcardsAllowed({ shown, anchors: trusted, nowMs: Date.now() })).toBe(false);
    },
  );

  const keyPair = newKey("p256");
  const constraints = [nameConstraints({ excluded: [`dns:${HOST}`] })];
  const authority = root.issueAuthority({ keyPair, extensions: constraints });
  const server = authority.issue({ names: wildcard });
  const free = { keyPair, subject: "Intermediate" };

  test.each<[string, Certificate]>([
    ["signed by nobody trusted", new Authority(other.issueAuthority(free), false)],
    ["signed by itself", newAuthority(free)],
    [
      "signed by a namesake of its issuer",
      newAuthority().issueAuthority({ ...free, statedIssuer: root.key }),
    ],
    ["that has expired", root.issueAuthority({ ...free, notAfter: new Date(Date.now() - 1000) })],
    ["of no authority", root.issue(free)],
    ["of no authority, though its key may sign", root.issue({ ...free, hasKeyUsage: false })],
    [
      "not valid yet",
      root.issueAuthority({ ...free, notBefore: new Date(Date.now() + 86_400_000) }),
    ],
  ])("a wildcard gains nothing by a certificate of its issuer %s", async (_, decoy) => {
    const [nowMs, anchors] = [Date.now(), [root.der]];
    for (const shown of [
      [server, decoy],
      [server, decoy, authority],
    ]) {
      const chain = { shown: shown.map((one) => one.der), anchors, nowMs };
      expect(areWildcardsAllowed(chain)).toBe(false);
    }
    for (const behind of [
      [decoy, authority],
      [authority, decoy],
    ]) {
      expectVerdict(await verdict({ server, behind, anchors: [root] }), UNTRUSTED);
    }
  });

  test("a wildcard is trusted by one of two certificates of its issuer that excludes no name", async () => {
    const unconstrained = root.issueAuthority(free);
    for (const behind of [[unconstrained], [unconstrained, authority]]) {
      expectVerdict(await verdict({ server, behind, anchors: [root] }), TRUSTED);
    }
  });

  test("a wildcard is trusted by an anchor whose name is the same in another type of string", async () => {
    const subject = [{ type: "CN", value: "rOOT", tag: 0x13 }];
    const anchor = newAuthority({ subject, keyPair: root.key });
    const shown = { server: root.issue({ names: wildcard }), anchors: [anchor] };
    expectVerdict(await verdict(shown), TRUSTED);
  });

  test("a wildcard is trusted whatever else is shown, and by an anchor that is shown as another's", async () => {
    const crossSigned = other.issueAuthority({ subject: "Root", keyPair: root.key });
    const own = root.issueAuthority();
    const leaf = own.issue({ names: wildcard });
    for (const behind of [
      [own, crossSigned],
      [own, root],
      [own, other],
    ]) {
      expectVerdict(await verdict({ server: leaf, behind, anchors: [root] }), TRUSTED);
    }
  });
});

function selfSignedShown(names: readonly string[]): Shown {
  const server = newSelfSigned({ names });
  return { server, anchors: [server] };
}

function twoAuthorities(
  subtrees: Parameters<typeof nameConstraints>[0],
  names: readonly string[],
): Shown {
  const upper = root.issueAuthority({ subject: "Upper", extensions: [nameConstraints(subtrees)] });
  return { server: upper.issueAuthority({ subject: "Lower" }).issue({ names }), anchors: [root] };
}

describe("a chain", () => {
  const names = [`dns:${HOST}`];
  const past = new Date(Date.now() - 60_000);
  const future = new Date(Date.now() + 3_600_000);
  const unknownExtension = extension("1.3.6.1.4.1.99999.1", true, der(0x05));
  const brokenExtension = extension("2.5.29.30", true, Buffer.from("junk"));

  const chains: readonly [string, () => Shown, string | RegExp | undefined][] = [
    ["of one authority", () => below(root.issueAuthority()), TRUSTED],
    [
      "of two",
      () => below(root.issueAuthority({ subject: "A" }).issueAuthority({ subject: "B" })),
      TRUSTED,
    ],
    ["in the wrong order", () => wrongOrder(), TRUSTED],
    ["without its authority", () => ({ ...below(root.issueAuthority()), behind: [] }), UNTRUSTED],
    ["of another root", () => ({ ...below(other.issueAuthority()), anchors: [root] }), UNTRUSTED],
    [
      "of a root that only has the name",
      () => ({ ...below(newAuthority()), anchors: [root] }),
      UNTRUSTED,
    ],
    [
      "with its own root behind it",
      () => ({ ...below(other), behind: [other], anchors: [root] }),
      UNTRUSTED,
    ],
    [
      "of an authority that has expired",
      () => below(root.issueAuthority({ notAfter: past })),
      UNTRUSTED,
    ],
    [
      "of an authority that is not valid yet",
      () => below(root.issueAuthority({ notBefore: future })),
      UNTRUSTED,
    ],
    ["of a root that has expired", () => below(newAuthority({ notAfter: past })), UNTRUSTED],
    ["of a server that is not valid yet", () => leaf({ notBefore: future }), UNTRUSTED],
    [
      "below a server",
      () => below(new Authority(root.issue({ subject: "Leaf" }), false)),
      UNTRUSTED,
    ],
    ["as long as is allowed", () => below(root.issueAuthority({ pathLength: 0 })), TRUSTED],
    ["longer than is allowed", () => below(limited(0)), UNTRUSTED],
    [
      "of an authority for clients",
      () => below(root.issueAuthority({ usage: "client" })),
      UNTRUSTED,
    ],
    ["of a server for clients", () => leaf({ usage: "client" }), UNTRUSTED],
    [
      "of a server with an unknown critical extension",
      () => leaf({ extensions: [unknownExtension] }),
      UNTRUSTED,
    ],
    [
      "of an authority with an unknown critical extension",
      () => below(root.issueAuthority({ extensions: [unknownExtension] })),
      UNTRUSTED,
    ],
    [
      "of an authority with a broken critical extension",
      () => below(root.issueAuthority({ extensions: [brokenExtension] })),
      UNTRUSTED,
    ],
    ["of a server without names", () => leaf({ names: [] }), NOT_FOR],
    [
      "of a server with another common name alone",
      () => leaf({ names: [], subject: "other.example" }),
      NOT_FOR,
    ],
    [
      "of a server with a partial wildcard as common name alone",
      () => leaf({ names: [], subject: "fo*.example.com" }),
      NOT_FOR,
    ],
    [
      "of a server with another name",
      () => leaf({ names: ["dns:other.example"], subject: HOST }),
      NOT_FOR,
    ],
    [
      "of a server with an address and a common name",
      () => leaf({ names: ["ip:192.0.2.1"], subject: HOST }),
      NOT_FOR,
    ],
    [
      "of a server with a URI and a common name",
      () => leaf({ names: [`uri:https://${HOST}/`], subject: HOST }),
      NOT_FOR,
    ],
    [
      "of a server with an email and a common name",
      () => leaf({ names: [`email:${HOST}`], subject: HOST }),
      NOT_FOR,
    ],
    [
      "of a server with a partial wildcard",
      () => leaf({ names: ["dns:fo*.example.com"] }),
      NOT_FOR,
    ],
    [
      "of a server with its name in a URI, behind a comma",
      () => leaf({ names: [`uri:http://x.example, DNS:${HOST}`] }),
      NOT_FOR,
    ],
    [
      "of a server with a NUL behind its name",
      () => leaf({ names: [`dns:${HOST}\0.evil.example`] }),
      NOT_FOR,
    ],
  ];

  function below(authority: Authority): Shown {
    const anchor = authority.isRoot ? authority : root;
    return { server: authority.issue({ names }), anchors: [anchor] };
  }

  function leaf(options: CertificateOptions): Shown {
    return { server: root.issue({ names, ...options }), anchors: [root] };
  }

  function limited(pathLength: number): Authority {
    return root.issueAuthority({ subject: "A", pathLength }).issueAuthority({ subject: "B" });
  }

  function wrongOrder(): Shown {
    const shown = below(root.issueAuthority({ subject: "A" }).issueAuthority({ subject: "B" }));
    return { ...shown, behind: shown.server.intermediates.toReversed() };
  }

  test.each(chains)("a chain %s is trusted for its name, or not", async (_, make, expected) => {
    expectVerdict(await verdict(make()), expected);
  });
});
