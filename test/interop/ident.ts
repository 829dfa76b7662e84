/** An IDENT server of other people. */

import { expect } from "vitest";
import { identAddress } from "../support/ident.ts";
import { isRoot, peer } from "../support/scene.ts";
import type { Scene } from "../support/scene.ts";
import { ask } from "../ucspi/dial.ts";

/** The reason why tests on the port of IDENT are skipped; empty when they are not. */
export const withoutRoot = isRoot ? "" : " (skipped unless root: IDENT is asked on port 113)";

export const oidentd = peer("oidentd");

/** An oidentd with this configuration; resolves to its address, once it answers. */
export async function startOidentd(scene: Scene, configuration = ""): Promise<string> {
  const ip = identAddress();
  scene.write("oidentd.conf", configuration);
  scene.execute(oidentd.path, ["-i", "-S", "-a", ip, "-C", scene.path("oidentd.conf")]);
  await expect
    .poll(() => ask(113, "1,2\r\n", { host: ip }).catch(() => ""), { timeout: 20_000 })
    .toContain("ERROR");
  return ip;
}
