import { renameSync, rmSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../support/fake-clock.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import {
  loadClientMaterial,
  loadServerMaterial,
  MaterialSource,
  TlsMaterialError,
} from "../../../src/tls/index.ts";
import type { MaterialFiles, MaterialPosix } from "../../../src/tls/index.ts";
import { newAuthority } from "../../support/certificates.ts";
import { newScene } from "../../support/scene.ts";
import type { Scene } from "../../support/scene.ts";

const root = newAuthority();
const NONE = { versions: { min: undefined, max: undefined }, ciphers: undefined, alpn: undefined };

/** A source, with the calls it makes and the complaints it has. */
function watched<M>(load: (files: MaterialFiles) => M) {
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
  const onBroken = (error: Error) => complaints.push(error.message);
  const source = new MaterialSource({ posix, clock, load, onBroken });
  return { source, looks, complaints, clock, posix };
}

function watchedServer(scene: Scene) {
  const variables = { KEYFILE: scene.path("leaf.key"), CERTFILE: scene.path("leaf.crt") };
  return watched((files) =>
    loadServerMaterial(
      environment(variables),
      { ...NONE, sniLevel: 0, clientCertificate: "none" },
      files,
    ),
  );
}

function watchedClient(variables: Readonly<Record<string, string>>) {
  const verification = { verifiesCertificate: true, verifiesName: true, serverName: undefined };
  return watched((files) =>
    loadClientMaterial(
      environment(variables),
      { ...NONE, ...verification, sendsCertificate: false },
      files,
    ),
  );
}

function environment(variables: Readonly<Record<string, string>>) {
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
    expect(complaints).toEqual(["Too many open files"]);
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

  test("a source of material checks a directory every time, and its entries once a second", async () => {
    await using scene = await newScene();
    const other = newAuthority({ subject: "Other" });
    scene.write("ca/a.pem", root.pem);
    const { source, looks, clock } = watchedClient({ CADIR: scene.path("ca") });
    expect(source.current().anchors).toEqual([root.pem]);

    looks.length = 0;
    source.current();
    expect(looks).toEqual([scene.path("ca")]);

    scene.write("ca/b.pem", other.pem);
    expect(source.current().anchors).toEqual([root.pem, other.pem]);

    scene.write("ca/a.pem", "nothing any more");
    expect(source.current().anchors).toEqual([root.pem, other.pem]);
    clock.advance(1000);
    expect(source.current().anchors).toEqual([other.pem]);
  });

  test("a source of material cannot be made of files that are unusable", async () => {
    await using scene = await newScene();
    expect(() => watchedClient({ CAFILE: scene.path("none") })).toThrow(/^unable to read CAFILE/);
  });
});
