/** UCSPI-TLS as a program sees it: three descriptors, and the variables that name them (section 16). */

import { isOwnDescriptor } from "../../chain/index.ts";
import type { Launch, LinkContext } from "../../chain/index.ts";
import type { EnvironmentEdit } from "../../net/index.ts";
import type { Posix } from "../../posix/index.ts";
import type { TlsCommand } from "./tls-command.ts";

/** The numbers of the descriptors in the program. */
export interface ControlNumbers {
  readonly control: number;
  readonly read: number;
  readonly write: number;
}

export function controlEdits({ control, read, write }: ControlNumbers): EnvironmentEdit[] {
  return [
    { name: "SSLCTLFD", value: String(control) },
    { name: "SSLREADFD", value: String(read) },
    { name: "SSLWRITEFD", value: String(write) },
  ];
}

/** The lowest numbers that the program has no other descriptor under. */
export function controlNumbers({ descriptors }: Launch, posix: Posix): ControlNumbers {
  const [control = 3, read = 4, write = 5] = freeNumbers(
    3,
    (number) => descriptors.has(number) || (posix.isOpen(number) && !isOwnDescriptor(number)),
  );
  return { control, read, write };
}

/** So many numbers above 2 that are not taken, lowest first. */
export function freeNumbers(count: number, isTaken: (number: number) => boolean): number[] {
  const free: number[] = [];
  for (let number = 3; free.length < count; number += 1) {
    if (!isTaken(number)) free.push(number);
  }
  return free;
}

/** Log what the program has decided, where everything is logged. */
export function tellDecision(
  accepts: boolean | undefined,
  pid: number,
  { name, verbosity }: TlsCommand,
  { report }: LinkContext,
): void {
  if (verbosity < 2 || accepts === undefined) return;
  report(name, "info", `pid ${pid} ${accepts ? "accepted" : "declined"} opportunistic TLS`);
}
