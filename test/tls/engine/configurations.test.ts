/** Which files count for a connection, and how often they are read. */

import { describe, expect, test } from "vitest";
import { Environment } from "../../../src/chain/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { loadPosix } from "../../../src/posix/index.ts";
import { Configurations } from "../../../src/tls/engine/configurations.ts";
import type { EngineConfiguration } from "../../../src/tls/engine/messages.ts";
import { TlsMaterialError } from "../../../src/tls/index.ts";
import type { MaterialFiles } from "../../../src/tls/index.ts";
import { newScene } from "../../support/scene.ts";
import type { Scene } from "../../support/scene.ts";
import { configurationOf } from "./sample-configuration.ts";

/** Configurations of which each says what is in the file that KEYFILE names, and the loads so far. */
function newConfigurations({ hasNames = false } = {}) {
  const loads: string[] = [];
  const warnings: string[] = [];
  const clock = new FakeClock();
  const posix = loadPosix();
  const configurations = new Configurations({
    posix: {
      ...posix,
      // Every file is an hour old, and its time stamp can be relied on.
      realtimeNs: () => posix.realtimeNs() + 3_600_000_000_000n,
    },
    clock,
    hasNames,
    warn: (text) => warnings.push(text),
    load(variables, files) {
      const path = variables.get("KEYFILE") ?? "";
      loads.push(path);
      return loadFrom(path, files);
    },
    renewTrust: (before) => before,
  });
  return { configurations, loads, warnings, clock };
}

function loadFrom(path: string, files: MaterialFiles): EngineConfiguration {
  const text = files.read(path).toString();
  if (text === "broken") throw new TlsMaterialError(96, "it is broken");
  return configurationOf(text);
}

function naming(scene: Scene, file: string, ...others: readonly string[]): Environment {
  return Environment.of([`KEYFILE=${scene.path(file)}`, ...others]);
}

describe("the configuration of an environment", () => {
  test("the configuration of an environment is the same object for all that name the same files, read once", async () => {
    await using scene = await newScene({ files: { key: "one" } });
    const { configurations, loads } = newConfigurations();
    const first = configurations.current(naming(scene, "key", "TCPREMOTEIP=10.0.0.1"));
    expect(first.speaker).toBe("one");
    expect(configurations.current(naming(scene, "key", "TCPREMOTEIP=10.0.0.2"))).toBe(first);
    expect(loads).toHaveLength(1);
  });

  test("the configuration of an environment is another where other files are named", async () => {
    await using scene = await newScene({ files: { one: "one", two: "two" } });
    const { configurations } = newConfigurations();
    expect(configurations.current(naming(scene, "one")).speaker).toBe("one");
    expect(configurations.current(naming(scene, "two")).speaker).toBe("two");
  });

  test.each([
    ["counts", true, 2],
    ["does not count", false, 1],
  ])(
    "another file for a name, which %s, makes another configuration or none",
    async (_, hasNames, count) => {
      await using scene = await newScene({ files: { key: "one" } });
      const { configurations, loads } = newConfigurations({ hasNames });
      configurations.current(naming(scene, "key", "CERTFILE:a=x"));
      configurations.current(naming(scene, "key", "CERTFILE:b=x"));
      expect(loads).toHaveLength(count);
    },
  );

  test("the configuration of an environment is new when a file is, and the old one with a warning when the new file is damaged", async () => {
    await using scene = await newScene({ files: { key: "one" } });
    const { configurations, warnings, clock } = newConfigurations();
    const environment = naming(scene, "key");
    expect(configurations.current(environment).speaker).toBe("one");
    scene.write("key", "another");
    expect(configurations.current(environment).speaker).toBe("another");
    scene.write("key", "broken");
    expect(configurations.current(environment).speaker).toBe("another");
    clock.advance(2000);
    expect(configurations.current(environment).speaker).toBe("another");
    expect(warnings).toEqual(["it is broken; the files read before stay in use"]);
  });

  test("the configuration of an environment is an error where the first reading fails, each time, until it works", async () => {
    await using scene = await newScene({ files: { key: "broken" } });
    const { configurations } = newConfigurations();
    const environment = naming(scene, "key");
    expect(() => configurations.current(environment)).toThrow(TlsMaterialError);
    expect(() => configurations.current(environment)).toThrow(TlsMaterialError);
    scene.write("key", "mended");
    expect(configurations.current(environment).speaker).toBe("mended");
  });

  test("the configurations of clients with files of their own use bounded memory", async () => {
    await using scene = await newScene({ files: { key: "one" } });
    const { configurations, loads } = newConfigurations();
    const environments = Array.from({ length: 65 }, (_, at) =>
      naming(scene, "key", `CAFILE=${at}`),
    );
    for (const environment of environments) configurations.current(environment);
    expect(loads).toHaveLength(65);
    for (const environment of environments.slice(-1)) configurations.current(environment);
    expect(loads).toHaveLength(65);
    for (const environment of environments.slice(0, 1)) configurations.current(environment);
    expect(loads).toHaveLength(66);
  });
});
