import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { makeCertificates, newAuthority, newSelfSigned } from "./certificates.ts";
import { newScene } from "./scene.ts";

describe("the certificates of tests", () => {
  test.each(["p256", "rsa", "ed25519"] as const)("openssl accepts a chain with %s", async (key) => {
    await using scene = await newScene();
    const root = newAuthority({ key });
    const intermediate = root.issueAuthority({ key });
    const leaf = intermediate.issue({ key, usage: "server", names: ["dns:localhost", "ip:::1"] });
    root.write(scene.path("root"));
    intermediate.write(scene.path("intermediate"));
    leaf.write(scene.path("leaf"));
    const words = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "::1"];
    const files = ["-CAfile", "root.crt", "-untrusted", "intermediate.crt", "leaf.crt"];
    const output = execFileSync("openssl", [...words, ...files], { cwd: scene.directory });
    expect(output.toString()).toBe("leaf.crt: OK\n");
  });

  test("a leaf names its alternative names and matches its key", () => {
    const leaf = newSelfSigned({ names: ["dns:a.example", "ip:192.0.2.1", "ip:2001:db8::1"] });
    expect(leaf.x509.subjectAltName).toBe(
      "DNS:a.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1",
    );
    expect(leaf.x509.checkPrivateKey(leaf.key)).toBe(true);
    expect(leaf.x509.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(leaf.sha256);
  });

  test("the usual set is written as files", async () => {
    await using scene = await newScene();
    const pki = makeCertificates(scene.directory);
    expect(scene.read("server.crt")).toBe(pki.server.pem);
    expect(pki.clientEnvironment.KEYFILE).toBe(scene.path("client.key"));
    expect(pki.client.x509.verify(pki.root.x509.publicKey)).toBe(true);
  });
});
