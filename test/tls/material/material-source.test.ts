import { renameSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import {
  loadClientMaterial,
  loadServerMaterial,
  MaterialSource,
  TlsMaterialError,
} from "../../../src/tls/index.ts";
import { withClientTrust, withServerTrust } from "../../../src/tls/material/material.ts";
import type {
  ClientCertificateDemand,
  MaterialFiles,
  MaterialPosix,
} from "../../../src/tls/index.ts";
import { newAuthority } from "../../support/certificates.ts";
import { newScene } from "../../support/scene.ts";
import type { Scene } from "../../support/scene.ts";

const root = newAuthority();
const NONE = { versions: { min: undefined, max: undefined }, ciphers: undefined, alpn: undefined };

/** A source, with the calls it makes and the complaints it has. */
function watched<M>(
  load: (files: MaterialFiles) => M,
  renewTrust: (before: M, files: MaterialFiles) => M = (before) => before,
) {
  const real = loadPosix();
  const looks: string[] = [];
  const complaints: string[] = [];
  const clock = new FakeClock();
  const posix: MaterialPosix & { laterNs: bigint } = {
    ...real,
    laterNs: 3_600_000_000_000n, // every file is an hour old, and its time stamp can be relied on
    fileVersion: (path) => {
      looks.push(path);
      return real.fileVersion(path);
    },
    realtimeNs: () => real.realtimeNs() + posix.laterNs,
  };
  const warn = (text: string) => complaints.push(text);
  const source = new MaterialSource({ posix, clock, load, renewTrust, warn });
  return { source, looks, complaints, clock, posix };
}

function watchedServer(scene: Scene, clientCertificate: ClientCertificateDemand = "none") {
  const [KEYFILE, CERTFILE, CAFILE] = ["leaf.key", "leaf.crt", "ca.crt"].map((name) =>
    scene.path(name),
  );
  const variables = environment({ KEYFILE, CERTFILE, CAFILE });
  const options = { ...NONE, sniLevel: 0, clientCertificate } as const;
  return watched(
    (files) => loadServerMaterial(variables, options, files),
    (before, files) => withServerTrust(before, variables, files),
  );
}

function watchedClient(words: Readonly<Record<string, string>>) {
  const verification = { verifiesCertificate: true, verifiesName: true, serverName: undefined };
  const variables = environment(words);
  return watched(
    (files) =>
      loadClientMaterial(variables, { ...NONE, ...verification, sendsCertificate: false }, files),
    (before, files) => withClientTrust(before, variables, files),
  );
}

function environment(variables: Readonly<Record<string, string | undefined>>) {
  return { get: (name: string) => variables[name], strings: () => [] };
}

describe("a source of material", () => {
  test("a source of material gives the same object while nothing changes, for two checks", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    const { source, looks } = watchedServer(scene);
    const material = source.current();
    looks.length = 0;
    expect(source.current()).toBe(material);
    expect(looks).toEqual([scene.path("leaf.key"), scene.path("leaf.crt")]);
  });

  test("a source of material gives the same object for files that were only touched", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    const { source } = watchedServer(scene);
    const material = source.current();
    utimesSync(scene.path("leaf.crt"), 1, 1);
    expect(source.current()).toBe(material);
  });

  test("a source of material never gives a key with the certificate of another", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    const { source, complaints } = watchedServer(scene);
    const before = source.current();
    const renewed = root.issue();
    renewed.write(scene.path("new"));

    renameSync(scene.path("new.key"), scene.path("leaf.key"));
    expect(source.current()).toBe(before);
    expect(source.current()).toBe(before);
    expect(complaints).toEqual([
      expect.stringContaining(`its key is not that of KEYFILE ${scene.path("leaf.key")}`),
    ]);

    renameSync(scene.path("new.crt"), scene.path("leaf.crt"));
    expect(source.current().defaultPair).toMatchObject({ chain: renewed.pem, key: renewed.keyPem });
    expect(complaints.length).toBe(1);
  });

  test("a source of material keeps its last value while files are missing or cut short", async () => {
    await using scene = await newScene();
    const leaf = root.issue();
    leaf.write(scene.path("leaf"));
    const { source, complaints, clock } = watchedServer(scene);
    const before = source.current();

    rmSync(scene.path("leaf.crt"));
    expect(source.current()).toBe(before);
    scene.write("leaf.crt", leaf.pem.slice(0, 300));
    expect(source.current()).toBe(before);
    clock.advance(1000);
    expect(source.current()).toBe(before);
    expect(complaints.length).toBe(2);

    scene.write("leaf.crt", leaf.pem);
    expect(source.current()).toBe(before);
    rmSync(scene.path("leaf.crt"));
    source.current();
    expect(complaints.length).toBe(3);
  });

  test("a source of material retries a failure once a second though the files stay the same", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    let isRefused = false;
    const { source, complaints, clock } = watched((files) => {
      const text = files.read(scene.path("leaf.key")).toString();
      if (isRefused) throw new TlsMaterialError(96, "Too many open files");
      return text;
    });
    const before = source.current();
    const renewed = root.issue();
    renewed.write(scene.path("leaf"));
    isRefused = true;
    expect(source.current()).toBe(before);
    isRefused = false;
    expect(source.current()).toBe(before);
    clock.advance(1000);
    expect(source.current()).toBe(renewed.keyPem);
    expect(complaints).toEqual(["Too many open files; the files read before stay in use"]);
  });

  test("a source of material reads files that changed a moment ago once more", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    const { source, posix, looks } = watchedServer(scene);
    posix.laterNs = 0n;
    const renewed = root.issue();
    renewed.write(scene.path("leaf"));
    expect(source.current().defaultPair?.key).toBe(renewed.keyPem);
    posix.laterNs = 3_600_000_000_000n;
    looks.length = 0;
    const material = source.current();
    expect(looks.length).toBe(2); // read, not compared
    expect(source.current()).toBe(material);
  });

  test("a source of material checks a directory every time, and its entries too where they are few", async () => {
    await using scene = await newScene();
    const other = newAuthority({ subject: "Other" });
    scene.write("ca/a.pem", root.pem);
    const { source, looks } = watchedClient({ CADIR: scene.path("ca") });
    expect(source.current().anchors).toEqual([root.pem]);

    looks.length = 0;
    source.current();
    expect(looks).toEqual([scene.path("ca"), scene.path("ca/a.pem")]);

    scene.write("ca/b.pem", other.pem);
    expect(source.current().anchors).toEqual([root.pem, other.pem]);
    scene.write("ca/a.pem", "nothing any more");
    expect(source.current().anchors).toEqual([other.pem]);
  });

  test("a source of material checks the entries of a directory once a second where they are many", async () => {
    await using scene = await newScene();
    for (let count = 10; count < 27; count += 1) scene.write(`ca/${count}.pem`, "nothing");
    scene.write("ca/a.pem", root.pem);
    const { source, looks, clock } = watchedClient({ CADIR: scene.path("ca") });
    looks.length = 0;
    source.current();
    expect(looks).toEqual([scene.path("ca")]);
    scene.write("ca/10.pem", root.pem);
    scene.write("ca/a.pem", newAuthority().pem);
    expect(source.current().anchors).toEqual([root.pem]);
    clock.advance(1000);
    expect(source.current().anchors).toHaveLength(2);
  });

  test("a source of material cannot be made of files that are unusable", async () => {
    await using scene = await newScene();
    expect(() => watchedClient({ CAFILE: scene.path("none") })).toThrow(/^unable to read CAFILE/);
  });
});

describe("trust that is withdrawn", () => {
  const REFUSED = "connections are refused until that can be used";

  test.each([
    ["is removed", (scene: Scene) => rmSync(scene.path("ca.crt")), /No such file or directory/],
    ["is emptied", (scene: Scene) => scene.write("ca.crt", ""), /neither PEM nor/],
    [
      "has no certificate any more",
      (scene: Scene) => scene.write("ca.crt", root.keyPem),
      /there is no certificate in it/,
    ],
    ["is cut short", (scene: Scene) => scene.write("ca.crt", root.pem.slice(0, 200)), /is damaged/],
  ])("a bundle that %s leaves no material, until it is back", async (_, withdraw, why) => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    scene.write("ca.crt", root.pem);
    const { source, complaints, clock } = watchedServer(scene, "required");
    const before = source.current();
    withdraw(scene);
    for (let times = 0; times < 2; times += 1) {
      expect(() => source.current()).toThrow(why);
      expect(() => source.current()).toThrow(TlsMaterialError);
      clock.advance(1000);
    }
    expect(complaints).toEqual([expect.stringMatching(new RegExp(`; ${REFUSED}$`))]);
    scene.write("ca.crt", root.pem);
    expect(source.current()).toBe(before);
  });

  test.each([
    ["is removed", (scene: Scene) => rmSync(scene.path("ca"), { recursive: true })],
    ["is emptied", (scene: Scene) => rmSync(scene.path("ca/a.pem"))],
    ["has a link that leads nowhere now", (scene: Scene) => rmSync(scene.path("real.pem"))],
  ])("a directory of authorities that %s leaves no material", async (_, withdraw) => {
    await using scene = await newScene({ files: { "real.pem": root.pem, "ca/": "" } });
    symlinkSync("../real.pem", scene.path("ca/a.pem"));
    const { source, complaints } = watchedClient({ CADIR: scene.path("ca") });
    expect(source.current().anchors).toEqual([root.pem]);
    withdraw(scene);
    expect(() => source.current()).toThrow(/^unable to (?:read|use) CADIR/);
    expect(complaints).toEqual([expect.stringMatching(new RegExp(`; ${REFUSED}$`))]);
  });

  test("new trust counts with the key and certificate of before while the new ones cannot be used", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    scene.write("ca.crt", root.pem);
    const { source, complaints } = watchedServer(scene, "optional");
    const { defaultPair } = source.current();
    const other = newAuthority({ subject: "Other" });
    scene.write("leaf.key", "not a key");
    scene.write("ca.crt", other.pem);
    expect(source.current()).toMatchObject({ defaultPair, anchors: [other.pem] });
    expect(complaints).toEqual([expect.stringMatching(/KEYFILE .*stay in use$/)]);
    rmSync(scene.path("ca.crt"));
    expect(() => source.current()).toThrow(/^unable to read CAFILE/);
    scene.write("ca.crt", root.pem);
    expect(source.current()).toMatchObject({ defaultPair, anchors: [root.pem] });
  });

  test("a server that asks for no certificates does not need its bundle of authorities", async () => {
    await using scene = await newScene();
    root.issue().write(scene.path("leaf"));
    const { source } = watchedServer(scene);
    scene.write("leaf.key", "not a key");
    expect(source.current().anchors).toEqual([]);
  });
});
