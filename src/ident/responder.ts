/**
 * The answer of an IDENT server about a connection: its user, by the kernel's tables, and under which name
 * that user is told (RFC 1413 section 6, on security). No client learns anything about connections to other
 * machines than the one that asks, because its address is a part of what is looked up.
 */

import { createHmac } from "node:crypto";

import { formatIp, unmapIp } from "../net/index.ts";
import { formatIdentAnswer, isIdentUser, OPERATING_SYSTEM_DEFAULT } from "./answer.ts";
import { ConnectionOwners } from "./owners.ts";

import type { Clock } from "../clock/index.ts";
import type { IpAddress } from "../net/index.ts";
import { rememberedNames } from "../posix/index.ts";
import type { Posix, Uid } from "../posix/index.ts";
import type { IdentAnswer } from "./answer.ts";
import type { IdentQuery } from "./query.ts";
import type { PortPair } from "./reply.ts";

/** Under which name users are told. */
export type IdentNaming =
  /** The account's; the number where it has none that can be sent. */
  | { readonly kind: "account" }
  /** The number. */
  | { readonly kind: "uid" }
  /** A pseudonym that differs from one asking machine to the other, and that the secret can undo. */
  | { readonly kind: "hash"; readonly secret: Uint8Array }
  /** The same for every user, and for connections that do not exist. */
  | { readonly kind: "fixed"; readonly user: string }
  /** None: HIDDEN-USER for every question. */
  | { readonly kind: "hidden" };

export interface IdentResponderOptions {
  /** By account unless given. */
  readonly naming?: IdentNaming;
  /** The operating-system field; `UNIX` unless given. */
  readonly operatingSystem?: string;
  /** Hide users that have a file `.noident` in their home directory, or one we cannot look into. */
  readonly respectsNoident?: boolean;
}

/** The two machines: ours, by the address that was asked, and the one that asks. */
export interface IdentAsking {
  readonly local: IpAddress;
  readonly remote: IpAddress;
}

/** An answer, and who it is about, which is for logs. */
export interface IdentResponse {
  readonly answer: IdentAnswer;
  readonly uid?: Uid | undefined;
  /** The line to send, CRLF included. */
  readonly bytes: Uint8Array;
}

/** Hexadecimal digits of a pseudonym: 128 bits. */
const PSEUDONYM_DIGITS = 32;

/** `stat` of a file that does not exist. */
const ABSENT: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR"]);

const HIDDEN: IdentAnswer = { kind: "error", token: "HIDDEN-USER" };

/** Answers the questions of any number of clients. */
export class IdentResponder {
  readonly #posix: Posix;
  readonly #owners: ConnectionOwners;
  readonly #naming: IdentNaming;
  readonly #operatingSystem: string;
  readonly #respectsNoident: boolean;

  constructor(posix: Posix, clock: Clock, options: IdentResponderOptions = {}) {
    this.#posix = posix;
    this.#owners = new ConnectionOwners(posix, clock);
    this.#naming = options.naming ?? { kind: "account" };
    this.#operatingSystem = options.operatingSystem ?? OPERATING_SYSTEM_DEFAULT;
    this.#respectsNoident = options.respectsNoident ?? false;
  }

  /** Answer one question. Rejects with SystemError when the kernel's tables cannot be read. */
  async respond(query: IdentQuery, asking: IdentAsking): Promise<IdentResponse> {
    const { ports } = query;
    if (query.kind === "invalid") return this.#say(ports, { kind: "error", token: "INVALID-PORT" });
    const naming = this.#naming;
    if (naming.kind === "hidden") return this.#say(ports, HIDDEN);
    if (naming.kind === "fixed") return this.#say(ports, { kind: "user", user: naming.user });
    const uid = await this.#owners.ownerOf({
      local: { address: asking.local, port: ports.remote },
      remote: { address: asking.remote, port: ports.local },
    });
    if (uid === undefined) return this.#say(ports, { kind: "error", token: "NO-USER" });
    return this.#say(ports, this.#name(uid, naming, asking), uid);
  }

  /** The answer when `respond` has failed. */
  apologize(ports: PortPair): IdentResponse {
    return this.#say(ports, { kind: "error", token: "UNKNOWN-ERROR" });
  }

  #say(ports: PortPair, answer: IdentAnswer, uid?: Uid): IdentResponse {
    return { answer, uid, bytes: formatIdentAnswer(ports, answer, this.#operatingSystem) };
  }

  #name(
    uid: Uid,
    naming: IdentNaming & { readonly kind: "account" | "uid" | "hash" },
    { remote }: IdentAsking,
  ): IdentAnswer {
    if (this.#respectsNoident && this.#wishesToHide(uid)) return HIDDEN;
    switch (naming.kind) {
      case "account":
        return { kind: "user", user: this.#accountName(uid) };
      case "uid":
        return { kind: "user", user: String(uid) };
      case "hash":
        return { kind: "user", user: pseudonym(naming.secret, uid, remote) };
    }
  }

  #accountName(uid: Uid): string {
    const name = rememberedNames(this.#posix).account(uid)?.name ?? "";
    return isIdentUser(name) ? name : String(uid);
  }

  #wishesToHide(uid: Uid): boolean {
    const home = rememberedNames(this.#posix).account(uid)?.home ?? "";
    return home !== "" && !ABSENT.has(this.#posix.fileVersion(`${home}/.noident`));
  }
}

/**
 * The name that stands for a user towards one machine: the first 32 hexadecimal digits of the
 * HMAC-SHA256 of `UID IP`, `1000 192.0.2.7`. Whoever has the secret finds the user by trying all.
 */
export function pseudonym(secret: Uint8Array, uid: Uid, remote: IpAddress): string {
  const about = `${uid} ${formatIp(unmapIp(remote))}`;
  return createHmac("sha256", secret).update(about).digest("hex").slice(0, PSEUDONYM_DIGITS);
}
