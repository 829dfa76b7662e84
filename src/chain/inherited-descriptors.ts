/**
 * Which descriptors this process was given, as against those that Node has opened for itself, where no
 * launcher has noted them. Node marks what it inherits close-on-exec, as all of its own are: up to the
 * first number above 15 that is closed. What it has not marked is inherited.
 *
 * Node's own are known by how it makes them. Each of its event loops has an epoll descriptor, a pipe and
 * an event descriptor, made in this order, each with the lowest number that is free; before the first pipe
 * comes one more that is not non-blocking. Nothing here needs /proc. Where something inherited looks so much
 * like one of these that either may be Node's, both are kept: one too many harms no program, one too few may.
 */

import { fstatSync } from "node:fs";
import { errnoOf } from "../posix/index.ts";
import type { Fd, Posix } from "../posix/index.ts";

/** Node marks all of these that are open, and those above until one is closed. */
const ALWAYS_MARKED_MAX = 15;

/** Anything above is somebody's who has raised a limit on purpose; Node's are far below. */
const NUMBER_MAX = 1 << 20;

const FILE_TYPE = 0o170000;
const FIFO = 0o010000;

/** A descriptor as far as Node's are told by it. */
export interface Described {
  readonly fd: number;
  readonly kind: "anonymous" | "pipe" | "other";
  /** The same for both ends of a pipe, and for no other. */
  readonly inode: number;
  readonly access: "read" | "write" | "readwrite";
  readonly isNonblocking: boolean;
}

/** Let the program have what this process was given: clear close-on-exec where Node has set it. */
export function keepInherited(posix: Posix): void {
  const marked = markedDescriptors(posix);
  const nodes = nodesOwn(marked.filter(({ fd }) => fd > 2));
  for (const { fd } of marked) {
    if (!nodes.has(fd) && posix.isOpen(fd)) posix.setCloseOnExec(fd, false);
  }
}

/** The descriptors of one run from 0 that are close-on-exec, in ascending order. */
function markedDescriptors(posix: Posix): Described[] {
  const marked: Described[] = [];
  for (let fd = 0; fd < NUMBER_MAX; fd += 1) {
    if (posix.isOpen(fd)) {
      if (posix.isCloseOnExec(fd)) marked.push(describe(posix, fd));
    } else if (fd > ALWAYS_MARKED_MAX) {
      break;
    }
  }
  return marked;
}

function describe(posix: Posix, fd: Fd): Described {
  const { kind, inode } = kindOf(fd);
  return { fd, kind, inode, access: posix.accessMode(fd), isNonblocking: posix.isNonblocking(fd) };
}

function kindOf(fd: Fd): Pick<Described, "kind" | "inode"> {
  try {
    const { mode, ino } = fstatSync(fd);
    const type = mode & FILE_TYPE;
    if (type === FIFO) return { kind: "pipe", inode: ino };
    return { kind: type === 0 ? "anonymous" : "other", inode: ino };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return { kind: "other", inode: 0 };
  }
}

/** One of the things that Node makes, and its descriptors. */
interface Piece {
  readonly kind: "epoll" | "event" | "pipe" | "lock";
  readonly fds: readonly [number, ...number[]];
}

/** The parts of an event loop, in the order in which they are made. */
const LOOP = ["epoll", "pipe", "event"] as const;
const FIRST_LOOP = ["epoll", "lock", "pipe", "event"] as const;

/**
 * Node's own loop, that of its platform's delayed tasks, and that of its tracing. What looks like more of
 * them is inherited, at least in part, and which part nobody can tell.
 */
const LOOPS_MAX = 3;

/** Those of these descriptors, given in ascending order, that can only be Node's. */
export function nodesOwn(descriptors: readonly Described[]): ReadonlySet<number> {
  const pieces = piecesOf(descriptors);
  let order: Piece["kind"][] = firstFit(pieces, FIRST_LOOP) === undefined ? [] : [...FIRST_LOOP];
  for (let loops = 1; loops < LOOPS_MAX; loops += 1) {
    const longer = [...order, ...LOOP];
    if (firstFit(pieces, longer) === undefined) break;
    order = longer;
  }
  return new Set(certainPieces(pieces, order).flatMap(({ fds }) => fds));
}

function piecesOf(descriptors: readonly Described[]): Piece[] {
  return descriptors
    .map((descriptor) => pieceAt(descriptor, descriptors))
    .filter((piece) => piece !== undefined)
    .toSorted((a, b) => a.fds[0] - b.fds[0]);
}

/** The piece that begins with this descriptor; undefined where Node makes none like it. */
function pieceAt(first: Described, all: readonly Described[]): Piece | undefined {
  if (first.kind === "anonymous" && first.access === "readwrite") {
    return { kind: first.isNonblocking ? "event" : "epoll", fds: [first.fd] };
  }
  if (first.kind !== "pipe" || first.access !== "read") return undefined;
  const others = all.filter(({ kind, inode, fd }) => {
    return kind === "pipe" && inode === first.inode && fd !== first.fd;
  });
  const [second] = others;
  const isPair =
    others.length === 1 &&
    second?.access === "write" &&
    second.fd > first.fd &&
    second.isNonblocking === first.isNonblocking;
  if (!isPair) return undefined;
  return { kind: first.isNonblocking ? "pipe" : "lock", fds: [first.fd, second.fd] };
}

/** The first places in `pieces` of those of `order`; undefined where they are not all there. */
function firstFit(pieces: readonly Piece[], order: readonly Piece["kind"][]): number[] | undefined {
  const places: number[] = [];
  for (const kind of order) {
    const from = (places.at(-1) ?? -1) + 1;
    const place = pieces.findIndex((piece, index) => index >= from && piece.kind === kind);
    if (place < 0) return undefined;
    places.push(place);
  }
  return places;
}

/** The pieces that are in the order's places wherever it begins: at the earliest and at the latest. */
function certainPieces(pieces: readonly Piece[], order: readonly Piece["kind"][]): Piece[] {
  const earliest = firstFit(pieces, order) ?? [];
  const fromTheEnd = firstFit(pieces.toReversed(), order.toReversed()) ?? [];
  const latest = fromTheEnd.map((place) => pieces.length - 1 - place).toReversed();
  return pieces.filter((_, index) => {
    const at = earliest.indexOf(index);
    return at >= 0 && latest[at] === index;
  });
}
