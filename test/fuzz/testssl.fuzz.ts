/**
 * testssl.sh against s6-tlsserver at default settings: it takes more than a minute, so it is here and not
 * among the tests; CI runs it, and `npm run fuzz`.
 */

import { expect, test } from "vitest";
import { newAuthority } from "../support/certificates.ts";
import { newScene, peer } from "../support/scene.ts";
import { announced } from "../ucspi/servers.ts";

const testssl = peer("testssl");
const busybox = peer("busybox");
const why = testssl.why || busybox.why;

const DAY_MS = 86_400_000;

/** The findings of testssl.sh that are not ours to mend. */
const EXCEPTED: Readonly<Record<string, string>> = {
  engine_problem: "of the openssl that testssl.sh runs",
  cert_revocation: "an authority made for a test publishes no revocations",
  DNS_CAArecord: "nor is there a zone with a record of it",
  HSTS: "headers are up to the HTTP daemon",
  security_headers: "headers are up to the HTTP daemon",
  sessionresumption_ticket:
    "its openssl sends no request, and tickets of TLS 1.3 come with an answer; tlsd-reload.test.ts resumes",
};

/** Some of what has to be looked into, lest a run that found nothing looked at nothing. */
const EXPECTED = [
  ...[
    "SSLv2",
    "SSLv3",
    "TLS1",
    "TLS1_1",
    "TLS1_2",
    "TLS1_3",
    "cipherlist_NULL",
    "cipherlist_3DES_IDEA",
  ],
  ...["cipherlist_AVERAGE", "PFS", "cipher_order", "heartbleed", "ROBOT", "secure_renego"],
  ...[
    "secure_client_renego",
    "CRIME_TLS",
    "SWEET32",
    "BEAST",
    "LUCKY13",
    "RC4",
    "cert_chain_of_trust",
  ],
  "sessionresumption_ticket",
];

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

function isFinding(value: unknown): value is Finding {
  return typeof value === "object" && value !== null && "id" in value && "severity" in value;
}

test.skipIf(why !== "")(`testssl.sh finds no weakness${why}`, { timeout: 600_000 }, async () => {
  await using scene = await newScene({ files: { "www/index.html": "<p>hello</p>\n" } });
  const lasting = { notAfter: new Date(Date.now() + 360 * DAY_MS) };
  const root = newAuthority(lasting);
  const names = ["dns:localhost", "ip:127.0.0.1"];
  const server = root.issue({ names, usage: "server", ...lasting }).write(scene.path("server"));
  const daemon = [busybox.path, "httpd", "-i", "-h", scene.path("www")];
  // -S, for the openssl that it runs calls an end without close_notify a connect problem.
  const words = ["-1", "-q", "-H", "-S", "127.0.0.1", "0", ...daemon];
  const env = { CERTFILE: server.certFile, KEYFILE: server.keyFile };
  const { port } = await announced(scene.start("s6-tlsserver", words, { env }));

  const options = ["--quiet", "--color", "0", "--warnings", "off", "--ip", "one"];
  const files = ["--add-ca", root.write(scene.path("ca")).certFile, "--jsonfile", "findings.json"];
  const url = `127.0.0.1:${port}`;
  await scene.execute(testssl.path, [...options, ...files, url]).finished();

  const findings: unknown = JSON.parse(scene.read("findings.json"));
  if (!Array.isArray(findings)) throw new Error("testssl.sh wrote no list");
  const all = findings.filter(isFinding);
  expect(all.map(({ id }) => id)).toEqual(expect.arrayContaining(EXPECTED));
  const faults = all.filter(({ id, severity }) => {
    return severity !== "OK" && severity !== "INFO" && EXCEPTED[id] === undefined;
  });
  expect(faults.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)).toEqual([]);
});
