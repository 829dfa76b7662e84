/**
 * The package that builds certificates, loaded when the first one is made: it takes 100 ms. Its
 * dependency injection wants the metadata functions of `Reflect` to be there before it.
 */

import type * as X509 from "@peculiar/x509";

export async function loadX509(): Promise<typeof X509> {
  await import("reflect-metadata/lite");
  return import("@peculiar/x509");
}
