/** The option tables of s6-fdholderd and s6-fdholder-daemon (local-services.md, section 9.1). */

import { identityOption } from "../../chain/index.ts";
import {
  atLeastOne,
  choice,
  flag,
  milliseconds,
  millisecondsOrForever,
  parsedBy,
  passedOn,
  pathOfKind,
  pick,
  unsigned,
  value,
} from "../../options/index.ts";
import { HOLDER_CLIENTS_DEFAULT, HOLDER_ENTRIES_DEFAULT, HOLDER_IDLE_MS } from "./fd-store.ts";

/** The most clients that a holder serves at a time, whatever it is told. */
export const HOLDER_CLIENTS_MAX = 16_384;

const POSITIVE = parsedBy((text) => unsigned.parse(text) || undefined, "at least 1");

/** s6-fdholderd. Durations are in milliseconds. */
export const FDHOLDERD_OPTIONS = {
  verbosity: value(
    { short: "v", argument: "verbosity", help: "0: fatal errors only, 1: warnings too (default)" },
    unsigned,
    1,
  ),
  announces: flag({ short: "1", help: "write a newline to standard output when ready" }),
  clientsMax: value(
    {
      short: "c",
      argument: "maxconn",
      help: `serve at most this many clients at a time, ${HOLDER_CLIENTS_DEFAULT} by default`,
    },
    atLeastOne,
    HOLDER_CLIENTS_DEFAULT,
  ),
  entriesMax: value(
    {
      short: "n",
      argument: "maxfds",
      help: `hold at most this many descriptors, ${HOLDER_ENTRIES_DEFAULT} by default`,
    },
    atLeastOne,
    HOLDER_ENTRIES_DEFAULT,
  ),
  answerMs: value(
    {
      short: "t",
      argument: "timeout",
      help: "close the connection of a client that takes longer than this for its first request, or for taking an answer; 0 is for ever",
    },
    milliseconds,
  ),
  drainMs: value(
    {
      short: "T",
      argument: "lameducktimeout",
      help: `on SIGTERM wait this long for answers to be taken, ${HOLDER_IDLE_MS} by default and for 0`,
    },
    milliseconds,
  ),
  rules: pathOfKind([
    {
      short: "i",
      argument: "rulesdir",
      kind: "directory",
      help: "take the rights of clients from this directory",
    },
    { short: "x", argument: "rulesfile", kind: "cdb", help: "take them from this CDB file" },
  ]),
  perUserMax: value(
    {
      long: "max-per-user",
      argument: "n",
      help: "hold at most this many descriptors for each user who has stored them",
      ours: true,
    },
    POSITIVE,
  ),
  idleMs: value(
    {
      long: "idle",
      argument: "ms",
      help: `when all places are taken, have a client that has done nothing for this long make room, ${HOLDER_IDLE_MS} by default; 0: never`,
      ours: true,
    },
    millisecondsOrForever,
    HOLDER_IDLE_MS,
  ),
  takesOver: flag({
    long: "take-over",
    help: "standard input is a connection to a holder: take everything over from it, its listening socket too",
    ours: true,
  }),
};

/** The permission bits of a socket, in octal. */
const PERMISSIONS = parsedBy(
  (text) => (/^[0-7]+$/.test(text) ? Number.parseInt(text, 8) & 0o777 : undefined),
  "permissions in octal",
  (mode) => `0${mode.toString(8)}`,
);

/** s6-fdholder-daemon: what it does not know itself, it hands on to its parts. */
export const FDHOLDER_DAEMON_OPTIONS = {
  verbosity: passedOn(FDHOLDERD_OPTIONS.verbosity),
  reusesAddress: choice(true, [
    { short: "d", value: true, help: "replace a socket that nobody listens to; the default" },
    { short: "D", value: false, help: "fail where the path exists" },
  ]),
  announces: FDHOLDERD_OPTIONS.announces,
  clientsMax: passedOn(FDHOLDERD_OPTIONS.clientsMax),
  entriesMax: passedOn(FDHOLDERD_OPTIONS.entriesMax),
  backlog: value(
    { short: "b", argument: "backlog", help: "let this many clients wait to be accepted" },
    atLeastOne,
  ),
  permissions: value(
    {
      short: "a",
      argument: "perms",
      help: "the permissions of the socket in octal, 0777 by default",
      ours: true,
    },
    PERMISSIONS,
  ),
  identity: identityOption({
    help: {
      G: "supplementary groups of the holder, once it has bound its socket",
      g: "group of the holder, once it has bound its socket; 0 is ignored",
      u: "user of the holder, once it has bound its socket; 0 is ignored",
      U: "take user, group and groups from the variables UID, GID and GIDLIST",
    },
  }),
  answerMs: passedOn(FDHOLDERD_OPTIONS.answerMs),
  drainMs: passedOn(FDHOLDERD_OPTIONS.drainMs),
  ...pick(FDHOLDERD_OPTIONS, "rules", "perUserMax"),
  idleMs: passedOn(FDHOLDERD_OPTIONS.idleMs),
  takesOver: flag({
    long: "take-over",
    help: "where a holder listens at the path, take everything over from it",
    ours: true,
  }),
};
