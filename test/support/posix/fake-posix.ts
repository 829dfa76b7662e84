/**
 * A kernel in memory, for the unit tests of the layers above: a descriptor table, files, pipes,
 * sockets, children and names, with the errno of the real one where a caller could care. Nothing
 * happens by itself: `turn` delivers to watches what is ready, tests end children by hand. A call
 * that would block the process for ever throws a plain Error, for that is a bug. Each family of calls
 * is a class of its own, which builds on the one before.
 */
import type {
  Account,
  Fd,
  Gid,
  Group,
  Interest,
  Posix,
  Readiness,
  Uid,
  Watch,
} from "../../../src/posix/posix.ts";
import { systemError } from "./fake-kernel.ts";
import { FakeProcesses } from "./fake-processes.ts";
import { FakeWatch } from "./fake-watch.ts";

export { FakeExecution } from "./fake-processes.ts";

export class FakePosix extends FakeProcesses implements Posix {
  readonly accounts: Account[] = [];
  readonly groups: Group[] = [];
  /** `name/protocol` to port. */
  readonly services = new Map<string, number>();
  nowNs = 0n;
  #slewLeft = 0n;

  watch(fd: Fd, interest: Interest, ready: (readiness: Readiness) => void): Watch {
    this.mayFail("watch");
    this.opened(fd, "epoll_ctl");
    if (this.watches.has(fd)) throw systemError("EEXIST", "epoll_ctl");
    const watch = new FakeWatch(interest, ready, () => {
      if (this.watches.get(fd) === watch) this.watches.delete(fd);
    });
    this.watches.set(fd, watch);
    return watch;
  }

  account(nameOrUid: string | Uid): Account | undefined {
    this.mayFail("account");
    return this.accounts.find(({ name, uid }) => name === nameOrUid || uid === nameOrUid);
  }

  group(nameOrGid: string | Gid): Group | undefined {
    this.mayFail("group");
    return this.groups.find(({ name, gid }) => name === nameOrGid || gid === nameOrGid);
  }

  groupsListing(account: string): readonly Gid[] {
    this.mayFail("groupsListing");
    return this.groups.filter(({ members }) => members.includes(account)).map(({ gid }) => gid);
  }

  servicePort(name: string, protocol: string): number | undefined {
    return this.services.get(`${name}/${protocol}`);
  }

  realtimeNs(): bigint {
    return this.nowNs;
  }

  setRealtimeNs(ns: bigint): void {
    this.mayFail("setRealtimeNs");
    this.needRoot("clock_settime");
    this.nowNs = ns;
  }

  adjtime(microseconds: bigint): bigint {
    this.mayFail("adjtime");
    this.needRoot("adjtime");
    const left = this.#slewLeft;
    this.#slewLeft = microseconds;
    return left;
  }

  /** The name itself: the words differ between C libraries, and no test should depend on them. */
  strerror(code: string): string {
    return code;
  }
}
