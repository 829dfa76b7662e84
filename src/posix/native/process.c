/* Processes: execve, spawn, wait, kill, sessions. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifdef SYS_setgroups32
#define RAW_SETGROUPS SYS_setgroups32
#define RAW_SETGID SYS_setgid32
#define RAW_SETUID SYS_setuid32
#else
#define RAW_SETGROUPS SYS_setgroups
#define RAW_SETGID SYS_setgid
#define RAW_SETUID SYS_setuid
#endif

#define IN_CHILD static __attribute__((no_sanitize("address", "undefined")))

enum { WORDS_ON_STACK = 512 };

/* --- the words of a block ---------------------------------------------------------------------- */

static size_t count_words(struct bytes block) {
  size_t count = 0;
  const unsigned char *end = block.data + block.length;
  for (const unsigned char *at = block.data; at < end; count++)
    at = (const unsigned char *)memchr(at, 0, (size_t)(end - at)) + 1;
  return count;
}

static char **list_words(struct bytes block, char **words) {
  char *end = (char *)block.data + block.length;
  for (char *at = (char *)block.data; at < end; at = (char *)memchr(at, 0, (size_t)(end - at)) + 1)
    *words++ = at;
  return words;
}

/* The three vectors that execve takes, pointing into the blocks they came from. */
struct program {
  char **files;
  char **argv;
  char **environment;
  char **allocated;
  char *room[WORDS_ON_STACK];
};

static bool is_block(struct bytes block) {
  return block.length == 0 || block.data[block.length - 1] == 0;
}

static void load_program(struct call *call, struct program *program, struct bytes files,
                         struct bytes argv, struct bytes environment, struct bytes extra) {
  program->allocated = NULL;
  if (call->invalid) return;
  if (files.length == 0 || !is_block(files) || !is_block(argv) || !is_block(environment) ||
      !is_block(extra)) {
    refuse_call(call, "a block of strings without its terminator");
    return;
  }
  size_t total = count_words(files) + count_words(argv) + count_words(environment) +
                 count_words(extra) + 3;
  char **at = program->room;
  if (total > WORDS_ON_STACK) {
    at = program->allocated = malloc(total * sizeof *at);
    if (at == NULL) {
      call->invalid = true;
      throw_errno(call->env, "malloc", ENOMEM);
      return;
    }
  }
  program->files = at;
  at = list_words(files, at);
  *at++ = NULL;
  program->argv = at;
  at = list_words(argv, at);
  *at++ = NULL;
  program->environment = at;
  at = list_words(extra, list_words(environment, at));
  *at = NULL;
}

/* execvp's rules, PATH having been searched already: the last error that was not ENOENT counts. */
IN_CHILD int try_files(const struct program *program) {
  int error = ENOENT;
  for (char **file = program->files; *file != NULL; file++) {
    syscall(SYS_execve, *file, program->argv, program->environment);
    if (errno == ENOENT) continue;
    error = errno;
    if (error != EACCES && error != EPERM && error != EISDIR && error != ENOTDIR) break;
  }
  return error;
}

/* execve(files, argv, environment) */
static napi_value method_execve(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct program program;
  load_program(&call, &program, bytes_argument(&call, 0), bytes_argument(&call, 1),
               bytes_argument(&call, 2), (struct bytes){NULL, 0});
  if (call.invalid) return NULL;

  kernel_action saved[SIGNALS_MAX];
  uint64_t mask = 0;
  save_dispositions(saved);
  default_dispositions();
  set_mask(0, &mask);
  int error = try_files(&program);
  set_mask(~UINT64_C(0), NULL);
  restore_dispositions(saved);
  set_mask(mask, NULL);
  free(program.allocated);
  return throw_errno(env, "execve", error);
}

/* --- spawn ------------------------------------------------------------------------------------- */

/* The plan is an array of doubles: these fields, then groups, limits and descriptors. */
enum {
  PLAN_SESSION, /* 0, 1 setsid, 2 background */
  PLAN_UMASK,   /* -1 leaves it, as it does below */
  PLAN_UID,
  PLAN_GID,
  PLAN_GROUPS,      /* how many, -1 to leave them */
  PLAN_LIMITS,      /* how many triples of resource, soft, hard */
  PLAN_DESCRIPTORS, /* how many pairs of target, source */
  PLAN_HEADER,
};

struct kernel_limit {
  uint64_t soft;
  uint64_t hard;
};

struct limit {
  int resource;
  struct kernel_limit value;
};

struct move {
  int target;
  int source;
  bool is_in_the_way; /* the source is the target of another move */
};

/* Everything the child has to know, and where it leaves word of what went wrong. */
struct birth {
  struct program *program;
  int session;
  int umask;
  double uid;
  double gid;
  int group_count;
  int limit_count;
  int move_count;
  gid_t *groups;
  struct limit *limits;
  struct move *moves;
  int first_free_fd;
  const char *directory;
  volatile int error;
  const char *volatile syscall;
};

enum { DETAILS_ON_STACK = 64 };

/* Room for the parts of a plan that vary in number, mostly few. */
struct details {
  struct move moves[DETAILS_ON_STACK];
  struct limit limits[DETAILS_ON_STACK];
  gid_t groups[DETAILS_ON_STACK];
  void *allocated;
};

static bool make_room(struct birth *birth, struct details *details) {
  details->allocated = NULL;
  birth->moves = details->moves;
  birth->limits = details->limits;
  birth->groups = details->groups;
  int most = birth->move_count;
  if (birth->limit_count > most) most = birth->limit_count;
  if (birth->group_count > most) most = birth->group_count;
  if (most <= DETAILS_ON_STACK) return true;

  size_t each = sizeof(struct move) + sizeof(struct limit) + sizeof(gid_t);
  unsigned char *room = details->allocated = malloc((size_t)most * each);
  if (room == NULL) return false;
  birth->limits = (struct limit *)room;
  birth->moves = (struct move *)(room + (size_t)most * sizeof(struct limit));
  birth->groups = (gid_t *)(room + (size_t)most * (sizeof(struct limit) + sizeof(struct move)));
  return true;
}

static void read_moves(struct birth *birth, const double *at) {
  birth->first_free_fd = 3;
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    move->target = (int)*at++;
    move->source = (int)*at++;
    move->is_in_the_way = false;
    if (move->target >= birth->first_free_fd) birth->first_free_fd = move->target + 1;
  }
  for (int i = 0; i < birth->move_count; i++)
    for (int j = 0; j < birth->move_count && !birth->moves[i].is_in_the_way; j++)
      birth->moves[i].is_in_the_way = i != j && birth->moves[i].source == birth->moves[j].target;
}

static void read_plan(struct call *call, struct birth *birth, struct details *details,
                      const double *plan, size_t length) {
  birth->session = (int)plan[PLAN_SESSION];
  birth->umask = (int)plan[PLAN_UMASK];
  birth->uid = plan[PLAN_UID];
  birth->gid = plan[PLAN_GID];
  birth->group_count = (int)plan[PLAN_GROUPS];
  birth->limit_count = (int)plan[PLAN_LIMITS];
  birth->move_count = (int)plan[PLAN_DESCRIPTORS];
  size_t groups = birth->group_count < 0 ? 0 : (size_t)birth->group_count;
  if (birth->limit_count < 0 || birth->move_count < 0 ||
      length < PLAN_HEADER + groups + 3 * (size_t)birth->limit_count +
                   2 * (size_t)birth->move_count) {
    refuse_call(call, "a plan that is too short");
    return;
  }
  if (!make_room(birth, details)) {
    call->invalid = true;
    throw_errno(call->env, "malloc", ENOMEM);
    return;
  }
  const double *at = plan + PLAN_HEADER;
  for (size_t i = 0; i < groups; i++) birth->groups[i] = (gid_t)*at++;
  for (int i = 0; i < birth->limit_count; i++, at += 3) {
    if (at[0] < 0 || at[0] >= RESOURCES_LENGTH) {
      refuse_call(call, "no such resource");
      free(details->allocated);
      return;
    }
    birth->limits[i].resource = RESOURCES[(int)at[0]];
    birth->limits[i].value.soft = limit_of_double(at[1]);
    birth->limits[i].value.hard = limit_of_double(at[2]);
  }
  read_moves(birth, at);
}

IN_CHILD bool place_descriptors(const struct birth *birth) {
  struct move *end = birth->moves + birth->move_count;
  for (struct move *move = birth->moves; move < end; move++) {
    if (!move->is_in_the_way) continue;
    long copy = syscall(SYS_fcntl, move->source, F_DUPFD_CLOEXEC, birth->first_free_fd);
    if (copy < 0) return false;
    move->source = (int)copy;
  }
  for (struct move *move = birth->moves; move < end; move++) {
    if (move->source < 0)
      syscall(SYS_close, move->target); /* it may be closed already */
    else if (move->source == move->target
                 ? syscall(SYS_fcntl, move->target, F_SETFD, 0) < 0
                 : syscall(SYS_dup3, move->source, move->target, 0) < 0)
      return false;
  }
  return true;
}

IN_CHILD bool set_limits(const struct birth *birth) {
  for (int i = 0; i < birth->limit_count; i++)
    if (syscall(SYS_prlimit64, 0, birth->limits[i].resource, &birth->limits[i].value, NULL) < 0)
      return false;
  return true;
}

/* The name of the call that failed, errno being set. Only raw system calls from here on. */
IN_CHILD const char *prepare_child(const struct birth *birth) {
  if (birth->session == 1 && syscall(SYS_setsid) < 0) return "setsid";
  if (birth->session == 2 && syscall(SYS_setpgid, 0, 0) < 0) return "setpgid";
  /* Before the limits: the descriptors that a chain has put in place outlive a lower limit. */
  if (!place_descriptors(birth)) return "dup3";
  if (!set_limits(birth)) return "prlimit";
  if (birth->group_count >= 0 &&
      syscall(RAW_SETGROUPS, (long)birth->group_count, birth->groups) < 0)
    return "setgroups";
  if (birth->gid >= 0 && syscall(RAW_SETGID, (gid_t)birth->gid) < 0) return "setgid";
  if (birth->uid >= 0 && syscall(RAW_SETUID, (uid_t)birth->uid) < 0) return "setuid";
  if (birth->directory != NULL && syscall(SYS_chdir, birth->directory) < 0) return "chdir";
  if (birth->umask >= 0) syscall(SYS_umask, birth->umask);
  return NULL;
}

IN_CHILD int child_main(void *argument) {
  struct birth *birth = argument;
  default_dispositions(); /* the handlers of Node and libuv must never run here */
  set_mask(0, NULL);
  birth->syscall = prepare_child(birth);
  if (birth->syscall != NULL) {
    birth->error = errno;
  } else {
    birth->error = try_files(birth->program);
    birth->syscall = "execve";
  }
  syscall(SYS_exit_group, 127);
  return 127;
}

static bool prepare_stack(struct instance *instance) {
  if (instance->child_stack != NULL) return true;
  void *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return false;
  instance->child_stack = stack;
  return true;
}

static int clone_child(struct instance *instance, struct birth *birth, int *pidfd) {
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  void *top = instance->child_stack + CHILD_STACK_BYTES;
  int pid = -1;
  if (!instance->lacks_clone_pidfd) {
    pid = clone(child_main, top, flags | CLONE_PIDFD, birth, pidfd);
    if (pid >= 0 || errno != EINVAL) return pid;
    instance->lacks_clone_pidfd = true;
  }
  pid = clone(child_main, top, flags, birth, pidfd);
  if (pid >= 0) *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  return pid;
}

/* spawn(files, argv, environment, extra | undefined, plan, directory | undefined, result) */
static napi_value method_spawn(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  struct program program;
  struct details details;
  size_t plan_length = 0;
  struct birth birth = {.program = &program, .error = 0};
  double *plan = doubles_argument(&call, 4, PLAN_HEADER, &plan_length);
  if (!is_undefined(&call, 5)) birth.directory = string_argument(&call, 5);
  int32_t *result = ints_argument(&call, 6, 2, NULL);
  load_program(&call, &program, bytes_argument(&call, 0), bytes_argument(&call, 1),
               bytes_argument(&call, 2), optional_bytes_argument(&call, 3));
  if (call.invalid) return NULL;
  read_plan(&call, &birth, &details, plan, plan_length);
  if (call.invalid) {
    free(program.allocated);
    return NULL;
  }

  int pid = -1, pidfd = -1, error = ENOMEM;
  if (prepare_stack(instance)) {
    uint64_t mask = 0;
    set_mask(~UINT64_C(0), &mask);
    pid = clone_child(instance, &birth, &pidfd);
    error = errno;
    set_mask(mask, NULL);
  }
  free(details.allocated);
  free(program.allocated);
  if (pid < 0) return throw_errno(env, "clone", error);
  if (birth.error != 0) {
    int reaped;
    RETRY(reaped, waitpid(pid, NULL, 0));
    if (pidfd >= 0) close(pidfd);
    return throw_errno(env, birth.syscall, birth.error);
  }
  result[0] = pid;
  result[1] = pidfd;
  return undefined_result(env);
}

/* --- children and groups ----------------------------------------------------------------------- */

/* reap(pid): the raw status, -1 while the child runs */
static napi_value method_reap(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int status = 0, outcome;
  RETRY(outcome, waitpid(pid, &status, WNOHANG));
  if (outcome < 0) return throw_errno(env, "waitpid", errno);
  return int_result(env, outcome == 0 ? -1 : status);
}

/* peekEndedChild(): a pid, 0 when there is none */
static napi_value method_peek_ended_child(napi_env env, napi_callback_info info) {
  (void)info;
  siginfo_t child = {.si_pid = 0};
  int outcome;
  RETRY(outcome, waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT));
  if (outcome < 0 && errno != ECHILD) return throw_errno(env, "waitid", errno);
  return int_result(env, outcome < 0 ? 0 : child.si_pid);
}

static napi_value method_kill(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = int_argument(&call, 0), signal = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "kill", kill(pid, signal));
}

static napi_value method_getpid(napi_env env, napi_callback_info info) {
  (void)info;
  return int_result(env, getpid());
}

static napi_value method_setsid(napi_env env, napi_callback_info info) {
  (void)info;
  return nothing_or_throw(env, "setsid", setsid());
}

static napi_value method_setpgid(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = int_argument(&call, 0), group = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "setpgid", setpgid(pid, group));
}

/* tcsetpgrp(fd, group, ignoreTtou): a thread that blocks SIGTTOU may do it from the background */
static napi_value method_tcsetpgrp(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), group = int_argument(&call, 1);
  bool ignore = bool_argument(&call, 2);
  if (call.invalid) return NULL;
  uint64_t before = 0;
  if (ignore) add_to_mask(SIGTTOU, &before);
  int outcome;
  RETRY(outcome, tcsetpgrp(fd, group));
  int error = errno;
  if (ignore) set_mask(before, NULL);
  errno = error;
  return nothing_or_throw(env, "tcsetpgrp", outcome);
}

const struct method process_methods[] = {
    {"execve", method_execve},       {"spawn", method_spawn},
    {"reap", method_reap},           {"peekEndedChild", method_peek_ended_child},
    {"kill", method_kill},           {"getpid", method_getpid},
    {"setsid", method_setsid},       {"setpgid", method_setpgid},
    {"tcsetpgrp", method_tcsetpgrp}, {NULL, NULL},
};
