import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { loadPosix } from "../../../src/posix/index.ts";
import {
  loadClientMaterial,
  loadServerMaterial,
  MATERIAL_FILE_BYTES_MAX,
  MaterialFiles,
  TlsMaterialError,
  validityWarnings,
} from "../../../src/tls/index.ts";
import type {
  ClientMaterial,
  ClientMaterialOptions,
  ServerMaterial,
  ServerMaterialOptions,
  TlsVariables,
} from "../../../src/tls/index.ts";
import { newAuthority, newKey, newSelfSigned, pem } from "../../support/certificates.ts";
import { newScene } from "../../support/scene.ts";

const posix = loadPosix();

type Variables = Readonly<Record<string, string>>;

const SERVER: ServerMaterialOptions = {
  sniLevel: 0,
  clientCertificate: "none",
  versions: { min: undefined, max: undefined },
  ciphers: undefined,
  alpn: undefined,
};

const CLIENT: ClientMaterialOptions = {
  versions: { min: undefined, max: undefined },
  ciphers: undefined,
  alpn: undefined,
  sendsCertificate: false,
  serverName: "localhost",
  verifiesCertificate: true,
  verifiesName: true,
};

function environment(variables: Variables): TlsVariables {
  return {
    get: (name) => variables[name],
    strings: () => Object.entries(variables).map(([name, value]) => `${name}=${value}`),
  };
}

function server(
  variables: Variables,
  options: Partial<ServerMaterialOptions> = {},
): ServerMaterial {
  const files = new MaterialFiles(posix);
  return loadServerMaterial(environment(variables), { ...SERVER, ...options }, files);
}

function client(
  variables: Variables,
  options: Partial<ClientMaterialOptions> = {},
): ClientMaterial {
  const files = new MaterialFiles(posix);
  return loadClientMaterial(environment(variables), { ...CLIENT, ...options }, files);
}

/** The error with which loading fails: `96 unable to ...`. */
function failure(load: () => unknown): string {
  try {
    load();
  } catch (error) {
    if (error instanceof TlsMaterialError) return `${error.exitCode} ${error.message}`;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("a key and its certificate", () => {
  const root = newAuthority();

  test.each(["p256", "rsa", "ed25519"] as const)(
    "a key and its certificate are read from PEM and DER: %s",
    async (kind) => {
      await using scene = await newScene();
      const leaf = root.issue({ key: kind });
      const files = leaf.write(scene.path("pem"));
      scene.write("der.crt", leaf.der);
      scene.write("der.key", leaf.key.export({ type: "pkcs8", format: "der" }));
      const fromPem = server({ KEYFILE: files.keyFile, CERTFILE: files.certFile });
      const der = { KEYFILE: scene.path("der.key"), CERTFILE: scene.path("der.crt") };
      const pair = { chain: leaf.chainPem, key: leaf.keyPem };
      expect(fromPem.defaultPair).toEqual({ file: files.certFile, ...pair });
      expect(server(der).defaultPair).toEqual({ file: der.CERTFILE, ...pair });
    },
  );

  test.each([
    ["EC PRIVATE KEY", "p256", "sec1"],
    ["RSA PRIVATE KEY", "rsa", "pkcs1"],
  ] as const)(
    "a key and its certificate are read from %s, PEM and DER",
    async (label, kind, type) => {
      await using scene = await newScene();
      const leaf = root.issue({ key: kind });
      const der = leaf.key.export({ type, format: "der" });
      scene.write("key.der", der);
      scene.write("key.pem", pem(label, der));
      const CERTFILE = leaf.write(scene.path("leaf")).certFile;
      for (const name of ["key.der", "key.pem"]) {
        expect(server({ KEYFILE: scene.path(name), CERTFILE }).defaultPair?.key).toBe(leaf.keyPem);
      }
    },
  );

  test("a key and its certificate may share a file with each other and with more", async () => {
    await using scene = await newScene();
    const leaf = root.issueAuthority().issue();
    const dhParameters = pem("DH PARAMETERS", Buffer.from("anything"));
    const text = `who: me\n${dhParameters}${leaf.keyPem}${leaf.chainPem}${newKey("p256").export({ type: "pkcs8", format: "pem" }).toString()}`;
    scene.write("all.pem", text.replaceAll("\n", "\r\n"));
    const path = scene.path("all.pem");
    expect(server({ KEYFILE: path, CERTFILE: path }).defaultPair).toEqual({
      file: path,
      chain: leaf.chainPem,
      key: leaf.keyPem,
    });
  });

  test("a key that is encrypted is refused, in each of the three forms", async () => {
    await using scene = await newScene();
    const leaf = root.issue({ key: "rsa" });
    const CERTFILE = leaf.write(scene.path("leaf")).certFile;
    const secret = { cipher: "aes-256-cbc", passphrase: "x" } as const;
    scene.write("a", leaf.key.export({ type: "pkcs8", format: "pem", ...secret }));
    scene.write("b", leaf.key.export({ type: "pkcs1", format: "pem", ...secret }));
    scene.write("c", leaf.key.export({ type: "pkcs8", format: "der", ...secret }));
    for (const name of ["a", "b", "c"]) {
      const KEYFILE = scene.path(name);
      expect(failure(() => server({ KEYFILE, CERTFILE }))).toBe(
        `96 unable to use KEYFILE ${KEYFILE}: it is encrypted with a passphrase`,
      );
    }
  });

  test.each([
    ["", "it is neither PEM nor a private key in DER"],
    ["\0".repeat(100), "it is neither PEM nor a private key in DER"],
    [newSelfSigned().pem, "there is no private key in it"],
    [pem("PRIVATE KEY", Buffer.from("nonsense")), "its PRIVATE KEY is damaged"],
    [newSelfSigned().keyPem.slice(0, -12), "its PRIVATE KEY is damaged"],
    [
      generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }),
      "x25519 keys are not supported",
    ],
    ["x".repeat(MATERIAL_FILE_BYTES_MAX + 1), "it is longer than 1048576 bytes"],
  ])("a key file that is unusable is refused (%#)", async (content, why) => {
    await using scene = await newScene({ files: { key: content } });
    const CERTFILE = root.issue().write(scene.path("leaf")).certFile;
    const KEYFILE = scene.path("key");
    expect(failure(() => server({ KEYFILE, CERTFILE }))).toBe(
      `96 unable to use KEYFILE ${KEYFILE}: ${why}`,
    );
  });

  const intermediate = root.issueAuthority();
  const chained = intermediate.issue();
  test.each([
    ["", "it is neither PEM nor a certificate in DER"],
    [chained.keyPem, "there is no certificate in it"],
    [chained.chainPem.slice(0, -100), "certificate 2 of 2 is damaged"],
    [chained.pem.replace("MII", "MI!"), "certificate 1 of 1 is damaged"],
    [intermediate.pem, "its key is not that of KEYFILE"],
    [chained.pem.repeat(33), "there are more than 32 certificates in it"],
  ])("a certificate file that is unusable is refused (%#)", async (content, why) => {
    await using scene = await newScene({ files: { crt: content } });
    const KEYFILE = chained.write(scene.path("leaf")).keyFile;
    const CERTFILE = scene.path("crt");
    const said = failure(() => server({ KEYFILE, CERTFILE }));
    expect(said).toContain(`96 unable to use CERTFILE ${CERTFILE}: ${why}`);
  });

  test("a missing key file is exit code 96 for a server and 111 for a client", async () => {
    await using scene = await newScene();
    const KEYFILE = scene.path("none");
    const message = `unable to read KEYFILE ${KEYFILE}: No such file or directory`;
    const variables = { KEYFILE, CERTFILE: KEYFILE };
    expect(failure(() => server(variables))).toBe(`96 ${message}`);
    const options = { sendsCertificate: true };
    expect(failure(() => client(variables, options))).toBe(`111 ${message}`);
    expect(failure(() => server({ ...variables, KEYFILE: scene.directory }))).toBe(
      `96 unable to use KEYFILE ${scene.directory}: it is not a regular file`,
    );
  });

  test("a key and its certificate are required", () => {
    expect(failure(() => server({}))).toBe("100 KEYFILE not set");
    expect(failure(() => server({ KEYFILE: "/x" }))).toBe("100 CERTFILE not set");
    expect(failure(() => client({}, { sendsCertificate: true }))).toBe("100 KEYFILE not set");
  });

  test("a certificate that has expired gives a warning", () => {
    const day = 86_400_000;
    const at = Date.UTC(2030, 0, 1);
    const leaf = newSelfSigned({ notBefore: new Date(at - day), notAfter: new Date(at + day) });
    const pairs = [{ file: "leaf.crt", chain: leaf.chainPem, key: leaf.keyPem }];
    expect(validityWarnings(pairs, BigInt(at) * 1_000_000n)).toEqual([]);
    expect(validityWarnings(pairs, BigInt(at + 2 * day) * 1_000_000n)).toEqual([
      "certificate leaf.crt has expired on Jan  2 00:00:00 2030 GMT",
    ]);
    expect(validityWarnings(pairs, BigInt(at - 2 * day) * 1_000_000n)).toEqual([
      "certificate leaf.crt is not valid before Dec 31 00:00:00 2029 GMT",
    ]);
  });
});

describe("pairs by name", () => {
  test("pairs by name are read from level 1 on, by their variables", async () => {
    await using scene = await newScene();
    const root = newAuthority();
    const pair = root.issue().write(scene.path("default"));
    const other = root.issue({ subject: "other" });
    const { keyFile, certFile } = other.write(scene.path("other"));
    const variables = {
      KEYFILE: pair.keyFile,
      CERTFILE: pair.certFile,
      "KEYFILE:other": keyFile,
      "CERTFILE:other": certFile,
      "CERTFILE:alone": certFile,
      "KEYFILE:": "/nonexistent",
    };
    const named = [
      { name: "other", pair: { file: certFile, chain: other.chainPem, key: other.keyPem } },
    ];
    expect(server(variables).namedPairs).toEqual([]);
    const first = server(variables, { sniLevel: 1 });
    expect(first.namedPairs).toEqual(named);
    expect(first.defaultPair).toBeDefined();
    const second = server(variables, { sniLevel: 2 });
    expect(second.namedPairs).toEqual(named);
    expect(second.defaultPair).toBeUndefined();
    expect(server({ ...variables, KEYFILE: "/none" }, { sniLevel: 2 })).toEqual(second);
  });

  test("pairs by name are of the same name in other letters, with a dot at its end or not", async () => {
    await using scene = await newScene();
    const one = newAuthority().issue().write(scene.path("one"));
    const other = newAuthority().issue().write(scene.path("other"));
    const variables = {
      KEYFILE: one.keyFile,
      CERTFILE: one.certFile,
      "KEYFILE:A.example.": one.keyFile,
      "CERTFILE:a.Example": one.certFile,
      "KEYFILE:a.example": one.keyFile,
      "KEYFILE:.": "/nonexistent",
    };
    const { namedPairs } = server(variables, { sniLevel: 1 });
    expect(namedPairs.map(({ name, pair }) => [name, pair.file])).toEqual([
      ["a.example", one.certFile],
    ]);
    const ambiguous = { ...variables, "KEYFILE:a.example": other.keyFile };
    expect(failure(() => server(ambiguous, { sniLevel: 1 }))).toBe(
      "96 KEYFILE:A.example. and KEYFILE:a.example are of one name, and name two files",
    );
    expect(server(ambiguous).namedPairs).toEqual([]);
  });

  test("pairs by name require both variables, and level 2 a pair", () => {
    expect(failure(() => server({ "KEYFILE:x": "/x" }, { sniLevel: 1 }))).toBe(
      "96 KEYFILE:x is set, CERTFILE:x is not",
    );
    expect(failure(() => server({ KEYFILE: "/x", CERTFILE: "/x" }, { sniLevel: 2 }))).toBe(
      "96 no suitable keypairs found in the environment",
    );
  });
});

describe("anchors", () => {
  const [first, second] = [newAuthority(), newAuthority({ subject: "Other" })];

  test("anchors are read from a bundle, PEM or DER, each once", async () => {
    await using scene = await newScene();
    scene.write("bundle", `# two\n${first.pem}${second.pem}${first.pem}`);
    scene.write("der", second.der);
    expect(client({ CAFILE: scene.path("bundle") }).anchors).toEqual([first.pem, second.pem]);
    expect(client({ CAFILE: scene.path("der") }).anchors).toEqual([second.pem]);
  });

  test("anchors are read from the files of a directory that are named by hashes, if any", async () => {
    await using scene = await newScene();
    scene.write("ca/00000000.0", first.pem);
    scene.write("ca/ffffffff.12", second.der);
    scene.write("ca/00000000.1", "nonsense");
    scene.write("ca/00000001.0/", "");
    scene.write("ca/third.pem", newAuthority().pem);
    expect(client({ CADIR: scene.path("ca") }).anchors).toEqual([first.pem, second.pem]);
  });

  test("anchors are read from the certificates of a directory without such names", async () => {
    await using scene = await newScene();
    scene.write("ca/a.PEM", first.pem);
    scene.write("ca/b.crt", second.der);
    scene.write("ca/c.cer", first.pem);
    scene.write("ca/README", second.pem);
    expect(client({ CADIR: scene.path("ca") }).anchors).toEqual([first.pem, second.pem]);
  });

  test("anchors are read from CADIR before CAFILE, unless it is empty", async () => {
    await using scene = await newScene();
    scene.write("ca/a.pem", first.pem);
    scene.write("bundle", second.pem);
    const CAFILE = scene.path("bundle");
    expect(client({ CADIR: scene.path("ca"), CAFILE }).anchors).toEqual([first.pem]);
    expect(client({ CADIR: "", CAFILE }).anchors).toEqual([second.pem]);
  });

  test("anchors are required for verification", async () => {
    await using scene = await newScene();
    const pair = first.issue().write(scene.path("leaf"));
    const variables = { KEYFILE: pair.keyFile, CERTFILE: pair.certFile };
    expect(server(variables).anchors).toEqual([]);
    expect(client({ CADIR: "" }, { verifiesCertificate: false }).anchors).toEqual([]);
    const missing = "100 CADIR or CAFILE not set";
    expect(failure(() => client({ CADIR: "", CAFILE: "" }))).toBe(missing);
    expect(failure(() => server(variables, { clientCertificate: "optional" }))).toBe(missing);
  });

  test("anchors that are missing, or no certificates, are refused", async () => {
    await using scene = await newScene({ files: { "empty/README": "", bundle: first.keyPem } });
    const CADIR = scene.path("empty");
    expect(failure(() => client({ CADIR }))).toBe(
      `96 unable to use CADIR ${CADIR}: there is no certificate in it`,
    );
    const CAFILE = scene.path("bundle");
    expect(failure(() => client({ CAFILE }))).toBe(
      `96 unable to use CAFILE ${CAFILE}: there is no certificate in it`,
    );
    const gone = scene.path("gone");
    for (const variable of ["CADIR", "CAFILE"]) {
      expect(failure(() => client({ [variable]: gone }))).toBe(
        `111 unable to read ${variable} ${gone}: No such file or directory`,
      );
    }
    const pair = first.issue().write(scene.path("leaf"));
    const variables = { KEYFILE: pair.keyFile, CERTFILE: pair.certFile, CAFILE: gone };
    expect(failure(() => server(variables, { clientCertificate: "required" }))).toMatch(/^96 /);
  });
});

test("material is the same after JSON, and carries the options", async () => {
  await using scene = await newScene();
  const root = newAuthority();
  const variables = { CAFILE: root.write(scene.path("ca")).certFile };
  const material = client(variables, {
    versions: { min: "1.3", max: undefined },
    alpn: ["imap"],
    ciphers: "TLS_AES_256_GCM_SHA384",
  });
  expect(material).toMatchObject({ minVersion: "TLSv1.3", maxVersion: "TLSv1.3", alpn: ["imap"] });
  expect({ ...JSON.parse(JSON.stringify(material)), pair: undefined }).toEqual(material);
});
