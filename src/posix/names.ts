/** Names: accounts, groups, services, and the words for errors. */

import { cString, decodeBytes, type CString } from "./bytes.ts";
import type { Gid, Uid } from "./kernel.ts";

/** An entry of the password database. */
export interface Account {
  readonly name: string;
  readonly uid: Uid;
  readonly gid: Gid;
  readonly home: string;
  readonly shell: string;
}

/** An entry of the group database. */
export interface Group {
  readonly name: string;
  readonly gid: Gid;
  /** The accounts the entry lists, which leaves out those whose primary group it is. */
  readonly members: readonly string[];
}

/** Calls that look names up. */
export interface Names {
  account(nameOrUid: string | Uid): Account | undefined;
  group(nameOrGid: string | Gid): Group | undefined;
  /** The groups whose entries list `account`, in database order. */
  groupsListing(account: string): readonly Gid[];
  /** getservbyname(3): the port of a service name. */
  servicePort(name: string, protocol: string): number | undefined;
  /** strerror(3) of an errno name: `Connection refused` for ECONNREFUSED. */
  strerror(code: string): string;
}

/** The exports of C for this family (`native/`). */
export interface NamesAddon {
  account(name: CString | undefined, uid: number): AccountParts | undefined;
  group(name: CString | undefined, gid: number): GroupParts | undefined;
  groupsListing(account: CString): number[];
  servicePort(name: CString, protocol: CString): number;
  strerror(code: CString): Uint8Array | undefined;
}

/** Name, uid, gid, home and shell of an account. */
type AccountParts = [
  name: Uint8Array,
  uid: number,
  gid: number,
  home: Uint8Array,
  shell: Uint8Array,
];

type GroupParts = [name: Uint8Array, gid: number, members: Uint8Array[]];

/** The look-ups of this machine, by way of its name service switch. */
export function nativeNames(addon: NamesAddon): Names {
  return {
    account(nameOrUid: string | Uid): Account | undefined {
      const [byName, uid] = nameOrNumber(nameOrUid);
      const parts = addon.account(byName, uid);
      if (parts === undefined) return undefined;
      const [name, entryUid, gid, home, shell] = parts;
      return {
        name: decodeBytes(name),
        uid: entryUid,
        gid,
        home: decodeBytes(home),
        shell: decodeBytes(shell),
      };
    },

    group(nameOrGid: string | Gid): Group | undefined {
      const [byName, gid] = nameOrNumber(nameOrGid);
      const parts = addon.group(byName, gid);
      if (parts === undefined) return undefined;
      const [name, entryGid, members] = parts;
      return { name: decodeBytes(name), gid: entryGid, members: members.map(decodeBytes) };
    },

    groupsListing(account: string): readonly Gid[] {
      return addon.groupsListing(cString(account));
    },

    servicePort(name: string, protocol: string): number | undefined {
      const port = addon.servicePort(cString(name), cString(protocol));
      return port < 0 ? undefined : port;
    },

    strerror(code: string): string {
      const message = addon.strerror(cString(code));
      return message === undefined ? code : decodeBytes(message);
    },
  };
}

function nameOrNumber(value: string | number): [CString | undefined, number] {
  return typeof value === "string" ? [cString(value), 0] : [undefined, value];
}
