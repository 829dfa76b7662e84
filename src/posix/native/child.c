/*
 * What a child does until it has executed its program. It runs in our memory: raw system calls only,
 * and no write but to its own place. The identity changes last, right before the one execve, for from
 * then on other processes of that identity can send it signals.
 */
#define _GNU_SOURCE
#include "birth.h"
#include "raw.h"

#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifdef SYS_setgroups32
#define RAW_SETGROUPS SYS_setgroups32
#define RAW_SETGID SYS_setgid32
#define RAW_SETUID SYS_setuid32
#else
#define RAW_SETGROUPS SYS_setgroups
#define RAW_SETGID SYS_setgid
#define RAW_SETUID SYS_setuid
#endif

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* Before Linux 5.11 descriptors are marked one by one, up to this number. */
enum { OLD_KERNEL_FDS_MAX = 65536 };

const char *step_name(enum step step) {
  static const char *const NAMES[] = {
      [STEP_NONE] = "none",           [STEP_UNSHARE] = "unshare",
      [STEP_RECVMSG] = "recvmsg",     [STEP_SETSID] = "setsid",
      [STEP_SETPGID] = "setpgid",     [STEP_FCHDIR] = "fchdir",
      [STEP_CHDIR] = "chdir",         [STEP_OOM_SCORE] = "oom_score_adj",
      [STEP_DUP] = "dup3",            [STEP_PRLIMIT] = "prlimit",
      [STEP_SETGROUPS] = "setgroups", [STEP_SETGID] = "setgid",
      [STEP_SETUID] = "setuid",       [STEP_EXECVE] = "execve",
  };
  return NAMES[step];
}

/*
 * Each step gives 0 or more, or the negative errno.
 *
 * A copy of the part of the table that the child needs: so long as the table is the parent's, no
 * descriptor may be touched.
 */
IN_CHILD static long unshare_table(const struct birth *birth) {
  long unshared = raw3(SYS_close_range, birth->table_bound, ~0U, CLOSE_RANGE_UNSHARE);
  return unshared >= 0 ? unshared : raw1(SYS_unshare, CLONE_FILES);
}

IN_CHILD static long receive_rights(struct birth *birth) {
  struct rights *rights = &birth->rights;
  if (rights->count == 0) return 0;
  long received =
      raw3(SYS_recvmsg, birth->receiving, &rights->message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (received < 0) return received;
  __atomic_store_n(&birth->has_rights, true, __ATOMIC_RELEASE);
  if (rights->message.msg_flags & MSG_CTRUNC) return -EMFILE;
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    if (move->source >= 0) move->source = rights->fds[move->right];
  }
  if (birth->directory_fd >= 0) birth->directory_fd = rights->fds[birth->directory_right];
  return 0;
}

IN_CHILD static bool is_target_of_other(const struct birth *birth, int fd, int but) {
  for (int i = 0; i < birth->move_count; i++)
    if (i != but && birth->moves[i].target == fd) return true;
  return false;
}

IN_CHILD static long move_out_of_the_way(struct birth *birth) {
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    if (move->source < 0 || !is_target_of_other(birth, move->source, i)) continue;
    int source = move->source;
    long copy = raw3(SYS_fcntl, source, F_DUPFD_CLOEXEC, birth->first_free_fd);
    if (copy < 0) return copy;
    /* One copy for all that have this source: a low limit may have no room for more. */
    for (int j = i; j < birth->move_count; j++)
      if (birth->moves[j].source == source) birth->moves[j].source = (int)copy;
  }
  return 0;
}

/* Marked only, for some are sources: what is placed afterwards is not, and execve closes the rest. */
IN_CHILD static void mark_others(void) {
  if (raw3(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) >= 0) return;
  for (int fd = 3; fd < OLD_KERNEL_FDS_MAX; fd++) raw3(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

IN_CHILD static long place_descriptors(struct birth *birth) {
  if (birth->closes_others) mark_others();
  long moved = move_out_of_the_way(birth);
  if (moved < 0) return moved;
  for (int i = 0; i < birth->move_count; i++) {
    const struct move *move = &birth->moves[i];
    if (move->source < 0) {
      raw1(SYS_close, move->target); /* it may be closed already */
      continue;
    }
    long placed = move->source == move->target ? raw3(SYS_fcntl, move->target, F_SETFD, 0)
                                               : raw3(SYS_dup3, move->source, move->target, 0);
    if (placed < 0) return placed;
  }
  return 0;
}

IN_CHILD static long set_limit(const struct limit *limit) {
  struct kernel_limit value = limit->value;
  if (limit->keeps_hard) {
    struct kernel_limit current;
    long got = raw4(SYS_prlimit64, 0, limit->resource, NULL, &current);
    if (got < 0) return got;
    value.hard = current.hard;
    if (value.soft > value.hard) value.soft = value.hard;
  }
  return raw4(SYS_prlimit64, 0, limit->resource, &value, NULL);
}

IN_CHILD static long set_limits(const struct birth *birth) {
  for (int i = 0; i < birth->limit_count; i++) {
    long set = set_limit(&birth->limits[i]);
    if (set < 0) return set;
  }
  return 0;
}

IN_CHILD static long set_oom_score(const struct birth *birth) {
  long fd = raw4(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  int length = 0;
  while (birth->oom_score[length] != 0) length++;
  long written = raw3(SYS_write, fd, birth->oom_score, length);
  raw1(SYS_close, fd);
  return written;
}

/* Where the kernel has no such list, /proc may tell whether the program was executed. */
IN_CHILD static void set_running(struct birth *birth) {
  struct robust_list *robust = &birth->robust;
  robust->first = &robust->entry;
  robust->entry = robust;
  robust->offset = (char *)birth->running - (char *)&robust->entry;
  robust->pending = NULL;
  __atomic_store_n(birth->running, (pid_t)raw1(SYS_gettid, 0), __ATOMIC_RELEASE);
  raw2(SYS_set_robust_list, robust, offsetof(struct robust_list, entry));
}

/* True when a step went well; else leaves word of it. */
IN_CHILD static bool went_well(struct birth *birth, enum step step, long result) {
  if (result >= 0) return true;
  birth->step = step;
  birth->error = (int)-result;
  return false;
}

/* The child's first steps, unless clone has made the copy. */
IN_CHILD static bool take_descriptors(struct birth *birth) {
  return birth->table_bound < 0 || (went_well(birth, STEP_UNSHARE, unshare_table(birth)) &&
                                    went_well(birth, STEP_RECVMSG, receive_rights(birth)));
}

/* What needs our rights and our descriptors under their old numbers. */
IN_CHILD static bool set_surroundings(struct birth *birth) {
  if (birth->session == 1 && !went_well(birth, STEP_SETSID, raw1(SYS_setsid, 0))) return false;
  if (birth->session == 2 && !went_well(birth, STEP_SETPGID, raw2(SYS_setpgid, 0, 0)))
    return false;
  if (birth->directory_fd >= 0 &&
      !went_well(birth, STEP_FCHDIR, raw1(SYS_fchdir, birth->directory_fd)))
    return false;
  if (birth->directory != NULL && !went_well(birth, STEP_CHDIR, raw1(SYS_chdir, birth->directory)))
    return false;
  if (birth->umask >= 0) raw1(SYS_umask, birth->umask);
  return birth->oom_score[0] == 0 || went_well(birth, STEP_OOM_SCORE, set_oom_score(birth));
}

/* The limits come after the descriptors: those that have been put in place outlive a lower limit. */
IN_CHILD static bool set_descriptors_and_limits(struct birth *birth) {
  return went_well(birth, STEP_DUP, place_descriptors(birth)) &&
         went_well(birth, STEP_PRLIMIT, set_limits(birth));
}

IN_CHILD static bool set_identity(struct birth *birth) {
  if (birth->group_count >= 0 &&
      !went_well(birth, STEP_SETGROUPS, raw2(RAW_SETGROUPS, birth->group_count, birth->groups)))
    return false;
  if (birth->gid >= 0 && !went_well(birth, STEP_SETGID, raw1(RAW_SETGID, (gid_t)birth->gid)))
    return false;
  return birth->uid < 0 || went_well(birth, STEP_SETUID, raw1(RAW_SETUID, (uid_t)birth->uid));
}

/* After the identity, which clears it; the parent may have died before. */
IN_CHILD static bool set_death_signal(const struct birth *birth) {
  if (birth->death_signal == 0) return true;
  raw2(SYS_prctl, PR_SET_PDEATHSIG, birth->death_signal);
  return raw1(SYS_getppid, 0) == birth->parent;
}

IN_CHILD int child_main(void *argument) {
  struct birth *birth = argument;
  if (birth->running != NULL) set_running(birth);
  bool has_descriptors = take_descriptors(birth);
  /* The handlers of Node and libuv must never run here. */
  if (birth->has_no_handlers)
    program_ignored();
  else
    program_dispositions();
  if (has_descriptors && set_surroundings(birth) && set_descriptors_and_limits(birth) &&
      set_identity(birth) && set_death_signal(birth)) {
    program_mask();
    went_well(birth, STEP_EXECVE, -try_files(&birth->program));
  }
  raw1(SYS_exit_group, 127);
  return 127;
}
