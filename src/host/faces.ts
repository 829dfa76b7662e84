/**
 * What a resident is given of its process. The calls are the process's own; but an exception that one of
 * its callbacks throws ends there, and is told as a fault of that resident.
 *
 * That covers what the event loop calls: watches, timers, signals, the events of children. A promise that is rejected and that
 * nobody waits for belongs to nobody, and ends the process as it does everywhere in Node.
 */

import type { Clock } from "../clock/index.ts";
import type { Posix } from "../posix/index.ts";
import type { ChildEnd, ChildEvents, Children } from "./children.ts";
import type { Signals } from "./signals.ts";

/** What of a process calls back. */
export interface Faces {
  readonly posix: Posix;
  readonly clock: Clock;
  readonly signals: Signals;
  readonly children: Children;
}

/** The same, for one resident whose faults are told to `fault`. */
export function guard(
  { posix, clock, signals, children }: Faces,
  fault: (error: unknown) => void,
): Faces {
  function guarded<Args extends readonly unknown[]>(
    call: (...args: Args) => void,
  ): (...args: Args) => void {
    return (...args) => {
      try {
        call(...args);
      } catch (error) {
        fault(error);
      }
    };
  }
  function guardedEvents(events: ChildEvents): ChildEvents {
    const ended = guarded((end: ChildEnd) => events.ended(end));
    if (events.executed === undefined) return { ended };
    return { executed: guarded(() => events.executed?.()), ended };
  }
  return {
    posix: withWatch(posix, (fd, interest, ready) => posix.watch(fd, interest, guarded(ready))),
    clock: {
      monotonicMs: () => clock.monotonicMs(),
      realtimeNs: () => clock.realtimeNs(),
      setTimer: (delayMs, fire) => clock.setTimer(delayMs, guarded(fire)),
    },
    signals: { on: (names, handler) => signals.on(names, guarded(handler)) },
    children: {
      has: (pid) => children.has(pid),
      watch: (child, events, options) => children.watch(child, guardedEvents(events), options),
      release: (child) => children.release(child),
      tellExecs: () => children.tellExecs(),
    },
  };
}

/** The calls of each kernel, free of `this`. */
const CALLS = new WeakMap<Posix, Posix>();

function withWatch(posix: Posix, watch: Posix["watch"]): Posix {
  const calls = CALLS.get(posix) ?? callsOf(posix);
  CALLS.set(posix, calls);
  return Object.assign(Object.create(calls) as Posix, { watch });
}

function callsOf(posix: Posix): Posix {
  const names = new Set<string>();
  for (let from: object = posix; from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const name of Object.getOwnPropertyNames(from)) names.add(name);
  }
  const calls: Record<string, unknown> = {};
  for (const name of names) {
    const call: unknown = Reflect.get(posix, name);
    if (typeof call === "function") calls[name] = call.bind(posix);
  }
  return calls as unknown as Posix;
}
