/** Two streams in one process, each of which reads what the other writes. */

import { Duplex } from "node:stream";

/**
 * What is written arrives a moment later: as on a network, a write is over before its answer comes. (Else
 * Node has no turn to send the alert of an error.)
 */
export function streamPair(): readonly [Duplex, Duplex] {
  const left: Duplex = pipeTo(() => right);
  const right: Duplex = pipeTo(() => left);
  return [left, right];
}

function pipeTo(other: () => Duplex): Duplex {
  return new Duplex({
    read() {},
    write(chunk: Buffer, _, done) {
      later(() => other().push(chunk));
      done();
    },
    final(done) {
      later(() => other().push(null));
      done();
    },
  });
}

/** Node tells itself of the end of a write with setImmediate. */
function later(deliver: () => void): void {
  setImmediate(() => setImmediate(() => setImmediate(deliver)));
}
