/**
 * The first message in each direction between a server and its engine: which version of the messages the
 * sender speaks. The two may come from different releases, for an installation may be replaced while a
 * server runs, and the next engine that it starts is of the new one. This message alone never changes.
 */

/**
 * The version of everything in `messages.ts`, the configuration in it included. Raise it with every
 * change that an engine of the release before would not understand.
 */
export const PROTOCOL_VERSION = 2;

const GREETING = /^ucspi-tls-engine ([1-9]\d{0,8})$/;

export function formatGreeting(version: number): Uint8Array {
  return Buffer.from(`ucspi-tls-engine ${version}`);
}

/** The version of the sender; undefined for anything but a greeting. */
export function parseGreeting(bytes: Uint8Array): number | undefined {
  const [, version] = GREETING.exec(Buffer.from(bytes).toString("latin1")) ?? [];
  return version === undefined ? undefined : Number(version);
}
