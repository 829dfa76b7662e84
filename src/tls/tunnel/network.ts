/** The descriptors of the network, by the numbers that a command line has for them. */

import { descriptorAt } from "../../chain/index.ts";
import type { Launch } from "../../chain/index.ts";
import type { Fd, Posix } from "../../posix/index.ts";
import type { Ends } from "./wire.ts";

/** A pair of numbers: what a process reads from, and what it writes to. */
export interface EndNumbers {
  readonly read: number;
  readonly write: number;
}

/**
 * The descriptors of the launch under these numbers, or, if it names none, those that its process would
 * inherit from this one. Undefined when one of them is not open.
 */
export function networkOf(launch: Launch, ends: EndNumbers, posix: Posix): Ends | undefined {
  const [read, write] = [ends.read, ends.write].map((number) => openUnder(launch, number, posix));
  return read === undefined || write === undefined ? undefined : { read, write };
}

/** The descriptor of the process of a launch under one number; undefined when that is not open. */
export function openUnder(launch: Launch, number: number, posix: Posix): Fd | undefined {
  const fd = descriptorAt(launch, number);
  return posix.isOpen(fd) ? fd : undefined;
}
