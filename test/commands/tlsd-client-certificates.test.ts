/** s6-tlsd: certificates of clients, and rules for them. */

import type { ConnectionOptions } from "node:tls";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority } from "../support/certificates.ts";
import type { Certificate, TestCertificates } from "../support/certificates.ts";
import { BIN, bothWays, newScene } from "../support/scene.ts";
import { askTls, refusal } from "../support/tls-dial.ts";
import { announced, startServer } from "../ucspi/servers.ts";

const PEER = [
  "sh",
  "-c",
  'echo "${SSL_PEER_CERT_HASH-none} ${SSL_PEER_CERT_SUBJECT-none} ${SSL_PEER_CERT_SAN-none}"',
];

function pairOf(certificate: Certificate): { cert: string; key: string } {
  return { cert: certificate.chainPem, key: certificate.keyPem };
}

/** With an exec for every link each client costs two processes, so some have to do. */
const VERSIONS = { fused: ["TLSv1.2", "TLSv1.3"], exec: ["TLSv1.3"] } as const;

/** The answer of the program to a client, which may be empty: a refusal, whenever it comes. */
async function said(port: number, options: ConnectionOptions): Promise<string> {
  return await askTls(port, "", options).catch(() => "");
}

/** Rules that say, in ROLE, which of them it was. */
function rulesOf(...keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => [
      [`rules/clientcert/${key}/allow`, ""],
      [`rules/clientcert/${key}/env/ROLE`, key],
    ]),
  );
}

const RULES = {
  ...rulesOf(
    "dns:a.example.com",
    "email:me@example.com",
    "ip:192.0.2.7",
    "uri:urn:example:me",
    "subject:CN=b",
  ),
  "rules/clientcert/subject:CN=denied/deny": "",
  "rules/clientcert/dns:banned.example.com/deny": "",
  ...rulesOf("dns:good.example.com"),
};
const ROLE = ["sh", "-c", 'echo "$ROLE"'];

/** Clients, and the rule that admits each; undefined is none. */
function clientsOf({
  root,
  client,
}: TestCertificates): (readonly [Certificate, string | undefined])[] {
  const named = (...names: readonly string[]): Certificate => root.issue({ subject: "", names });
  return [
    [client, `sha256:${client.sha256}`],
    [named("dns:a.example.com", "email:me@example.com"), "dns:a.example.com"],
    [named("email:me@example.com"), "email:me@example.com"],
    [named("ip:192.0.2.7"), "ip:192.0.2.7"],
    [named("uri:urn:example:me"), "uri:urn:example:me"],
    [root.issue({ subject: "b", names: ["dns:b.example.com"] }), "subject:CN=b"],
    [root.issue({ subject: "denied" }), undefined],
    [named("dns:good.example.com", "dns:banned.example.com"), undefined],
    [root.issue({ subject: "nobody", names: ["dns:c.example.com"] }), undefined],
  ];
}

describe.concurrent("certificates of clients", () => {
  bothWays("s6-tlsd -Y exports a certificate that was verified, and no other", async (newScene) => {
    await using scene = await newScene();
    const { root, client, serverEnvironment } = makeCertificates(scene.directory);
    const stale = { SSL_PEER_CERT_HASH: "SHA256:of somebody", SSL_PEER_CERT_SUBJECT: "somebody" };
    const env = { ...serverEnvironment, ...stale };
    const { port } = await startServer(scene, "", ["s6-tlsd", "-Y", ...PEER], { env });
    expect(await askTls(port)).toBe("none none none\n");
    const stranger = newAuthority().issue({ subject: "client", names: ["dns:client.example.com"] });
    expect(await askTls(port, "", pairOf(stranger))).toBe("none none none\n");
    expect(await askTls(port, "", pairOf(client))).toBe(`SHA256:${client.sha256} CN=client \n`);
    const names = ["dns:client.example.com", "email:me@example.com"];
    const named = root.issueAuthority().issue({ subject: "other", names, usage: "client" });
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      expect(await askTls(port, "", { ...pairOf(named), maxVersion })).toBe(
        `SHA256:${named.sha256} CN=other ${names.join(" ")}\n`,
      );
    }
  });

  bothWays("s6-tlsd -y refuses clients without a verified certificate", async (newScene, way) => {
    await using scene = await newScene();
    const { client, root, serverEnvironment: env } = makeCertificates(scene.directory);
    const { port, process } = await startServer(scene, "-v", ["s6-tlsd", "-y", ...PEER], { env });
    expect(await askTls(port, "", pairOf(client))).toMatch(/CN=client/);
    await process.line(/ end pid \d+ exitcode 0 /);
    const others = [
      [undefined, "peer did not return a certificate"],
      [newAuthority().issue({ subject: "client" }), "its issuer is not known"],
      [root.issue({ usage: "server" }), "it is for another purpose"],
      [root.issue({ notAfter: new Date(Date.now() - 1000) }), "it has expired"],
    ] as const;
    for (const [certificate, why] of others) {
      for (const maxVersion of VERSIONS[way]) {
        const pair = certificate === undefined ? {} : pairOf(certificate);
        expect(await said(port, { ...pair, maxVersion })).toBe("");
        await process.line(new RegExp(`^s6-tlsd-io: fatal: .* during the handshake: .*${why}$`));
        await process.line(/ end pid \d+ exitcode 98 /);
      }
    }
    expect(await refusal(port)).toMatch(/alert certificate required/);
  });

  bothWays(
    "rules for certificates admit by fingerprint, name and subject, and by nothing else",
    async (newScene, way) => {
      await using scene = await newScene({ files: RULES });
      const certificates = makeCertificates(scene.directory);
      const { client, serverEnvironment: env } = certificates;
      for (const [name, content] of Object.entries(rulesOf(`sha256:${client.sha256}`))) {
        scene.write(name, content);
      }
      (await scene.run("s6-accessrules-cdb-from-fs", ["rules.cdb", "rules"])).exits(0);
      const all = ["--rules-directory=rules", "--rules-file=rules.cdb"];
      for (const rules of way === "fused" ? all : all.slice(1)) {
        const program = ["s6-tlsd", "-Yv2", rules, ...ROLE];
        const { port, process } = await startServer(scene, "-v", program, { env });
        const clients = clientsOf(certificates);
        for (const [certificate, rule] of way === "fused" ? clients : clients.slice(5, 7)) {
          const expected = rule === undefined ? "" : `${rule}\n`;
          expect(await askTls(port, "", pairOf(certificate))).toBe(expected);
          if (rule !== undefined) continue;
          await process.line(new RegExp(`^s6-tlsd: info: deny sha256:${certificate.sha256}: `));
          await process.line(/ end pid \d+ exitcode 1 /);
        }
        expect(await askTls(port)).toBe("");
        await process.line(/^s6-tlsd: info: deny a client without a certificate: no rule matches$/);
      }
    },
  );

  bothWays(
    "the rule @ applies to any certificate that was verified, and none to all other clients",
    async (newScene) => {
      await using scene = await newScene({ files: rulesOf("@", "none") });
      const { client, serverEnvironment: env } = makeCertificates(scene.directory);
      const program = ["s6-tlsd", "-Y", "--rules-directory=rules", ...ROLE];
      const { port } = await startServer(scene, "", program, { env });
      expect(await askTls(port, "", pairOf(client))).toBe("@\n");
      expect(await askTls(port)).toBe("none\n");
      expect(await askTls(port, "", pairOf(newAuthority().issue({ subject: "client" })))).toBe(
        "none\n",
      );
    },
  );

  bothWays("a rule for a certificate may run another program", async (newScene) => {
    await using scene = await newScene({
      files: {
        "rules/clientcert/subject:CN=client/allow": "",
        "rules/clientcert/subject:CN=client/exec": "echo instead",
        "other/execlineb": '#!/bin/sh\necho "$* $SSL_PEER_CERT_SUBJECT"\n',
      },
    });
    const { client, serverEnvironment } = makeCertificates(scene.directory);
    const PATH = `${scene.path("other")}:${BIN}:${process.env["PATH"]}`;
    const program = ["s6-tlsd", "-y", "--rules-directory=rules", "touch", "ran"];
    const { port } = await startServer(scene, "", program, { env: { ...serverEnvironment, PATH } });
    expect(await askTls(port, "", pairOf(client))).toBe("-c echo instead CN=client\n");
    expect(scene.has("ran")).toBe(false);
  });

  bothWays("rules for certificates that cannot be read admit no client", async (newScene) => {
    await using scene = await newScene({ files: { "rules.cdb": "no database" } });
    const { client, serverEnvironment: env } = makeCertificates(scene.directory);
    const program = ["s6-tlsd", "-y", "--rules-file=rules.cdb", ...ROLE];
    const { port, process } = await startServer(scene, "-v", program, { env });
    expect(await askTls(port, "", pairOf(client))).toBe("");
    await process.line(/^s6-tlsd: fatal: unable to check the client's certificate: /);
    await process.line(/ end pid \d+ exitcode 111 /);
  });

  bothWays(
    "names in a certificate that cannot be read admit no client, though a rule admits all",
    async (newScene) => {
      await using scene = await newScene({ files: rulesOf("@") });
      const { root, serverEnvironment: env } = makeCertificates(scene.directory);
      const names = (...texts: string[]) => pairOf(root.issue({ subject: "", names: texts }));
      const program = ["s6-tlsd", "-y", "--rules-directory=rules", ...ROLE];
      const { port, process } = await startServer(scene, "-v", program, { env });
      expect(await askTls(port, "", names("dns:a.example.com"))).toBe("@\n");
      expect(await askTls(port, "", names("dns:a.example.com", "email:two words"))).toBe("");
      await process.line(
        / client's certificate: its alternative names cannot be read, or are longer than 2048 bytes$/,
      );
      await process.line(/ end pid \d+ exitcode 111 /);
    },
  );

  bothWays(
    "a certificate that a rule knows by its fingerprint is decided by that, whatever its names",
    async (newScene) => {
      await using scene = await newScene();
      const { root, serverEnvironment: env } = makeCertificates(scene.directory);
      const many = Array.from({ length: 100 }, (_, at) => `dns:n${at}.example`.padEnd(28, "e"));
      const [known, lost, other, odd] = [many, many, many, ["email:two words"]].map((names) =>
        root.issue({ subject: "", names }),
      );
      for (const [one, file] of [
        [known, "allow"],
        [odd, "allow"],
        [lost, "deny"],
      ] as const) {
        scene.write(`rules/clientcert/sha256:${one?.sha256}/${file}`, "");
      }
      scene.write("rules/clientcert/@/allow", "");
      const program = ["s6-tlsd", "-v2", "-y", "--rules-directory=rules", "echo", "served"];
      const { port, process } = await startServer(scene, "-v", program, { env });
      const ask = (one: Certificate | undefined) => askTls(port, "", one && pairOf(one));
      expect([await ask(known), await ask(odd)]).toEqual(["served\n", "served\n"]);
      expect(await ask(lost)).toBe("");
      await process.line(/ deny sha256:[0-9a-f]{64}: rule clientcert\/sha256:/);
      expect(await ask(other)).toBe("");
      await process.line(
        / client's certificate: its alternative names cannot be read, or are longer than 2048 bytes$/,
      );
    },
  );

  bothWays("a certificate of the outer TLS is not one of the inner TLS", async (newScene) => {
    await using scene = await newScene({
      files: { "rules/clientcert/subject:CN=client/allow": "" },
    });
    const { client, serverEnvironment } = makeCertificates(scene.directory);
    const variables = {
      SSL_PEER_CERT_HASH: `SHA256:${client.sha256}`,
      SSL_PEER_CERT_SUBJECT: "CN=client",
      SSL_PEER_CERT_SAN: "",
    };
    const env = { ...serverEnvironment, ...variables };
    const program = ["s6-tlsd", "--rules-directory=rules", "echo", "served"];
    const { port, process } = await startServer(scene, "-v", program, { env });
    expect(await askTls(port)).toBe("");
    await process.line(/ end pid \d+ exitcode 1 /);
  });

  test("s6-tlsserver --cert-rules looks up rules for the address, and for the certificate", async () => {
    await using scene = await newScene({ files: RULES });
    scene.write("rules/ip4/127.0.0.1_32/allow", "");
    const { root, client, serverEnvironment: env } = makeCertificates(scene.directory);
    const options = ["-1", "-y", "-H", "-i", "rules", "--cert-rules"];
    const words = [...options, "127.0.0.1", "0", ...ROLE];
    const { port } = await announced(scene.start("s6-tlsserver", words, { env }));
    const known = pairOf(root.issue({ subject: "b" }));
    expect(await askTls(port, "", known)).toBe("subject:CN=b\n");
    expect(await askTls(port, "", pairOf(client))).toBe("");
    expect(await refusal(port, { ...known, localAddress: "127.0.0.2" })).not.toBe("none");
  });
});
