/**
 * Descriptors that a link opens for the process of a launch. A process that becomes the program keeps them.
 * One that spawns it, a server for instance, has to close its own copies: it would hold a connection
 * open that everybody else has ended, and have one descriptor less with each child.
 */

import type { Fd, Posix } from "../posix/index.ts";
import { withCompanion, withDescriptors } from "./launch.ts";
import type { Companion, Launch } from "./launch.ts";
import type { LinkContext } from "./link.ts";

/**
 * Give these descriptors, which nobody else in this process uses, to the process of the launch, each
 * under its number. `letGo` is called once this process has them no more, if it does not become the program.
 */
export function withOpened(
  launch: Launch,
  opened: Iterable<readonly [number, Fd]>,
  { posix, isBecoming }: Pick<LinkContext, "posix" | "isBecoming">,
  letGo: () => void = () => undefined,
): Launch {
  const placed = [...opened];
  const given = withDescriptors(launch, placed);
  if (isBecoming) return given;
  const fds = new Set(placed.map(([, fd]) => fd));
  return withCompanion(given, closer([...fds], posix, letGo));
}

function closer(fds: readonly Fd[], posix: Posix, letGo: () => void): Companion {
  return {
    release() {
      try {
        closeEach(fds, posix);
      } finally {
        letGo();
      }
    },
    abort: () => undefined,
    ended: Promise.resolve(),
  };
}

/** Close all of them, even if one of the closes fails. */
export function closeEach([fd, ...others]: readonly Fd[], posix: Pick<Posix, "close">): void {
  if (fd === undefined) return;
  try {
    posix.close(fd);
  } finally {
    closeEach(others, posix);
  }
}
