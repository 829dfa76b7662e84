/* Processes: execve, wait, kill, sessions. */
#define _GNU_SOURCE
#include "birth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* execve(files, argv, environment) */
static napi_value method_execve(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct blocks blocks = {bytes_argument(&call, 0), bytes_argument(&call, 1),
                          bytes_argument(&call, 2), {NULL, 0}};
  check_blocks(&call, &blocks);
  if (call.invalid) return NULL;
  char **vectors = malloc(count_vectors(&blocks) * sizeof *vectors);
  if (vectors == NULL) return throw_errno(env, "malloc", ENOMEM);
  struct program program;
  make_vectors(&program, &blocks, vectors);

  kernel_action saved[SIGNALS_MAX];
  uint64_t mask = 0;
  save_dispositions(saved);
  set_mask(~UINT64_C(0), &mask);
  program_dispositions();
  program_mask();
  int error = try_files(&program);
  set_mask(~UINT64_C(0), NULL);
  restore_dispositions(saved);
  set_mask(mask, NULL);
  free(vectors);
  return throw_errno(env, "execve", error);
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

/* endedStatus(pid): as reap, but the child is left to be reaped */
static napi_value method_ended_status(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = int_argument(&call, 0);
  if (call.invalid) return NULL;
  siginfo_t child = {.si_pid = 0};
  int outcome;
  RETRY(outcome, waitid(P_PID, (id_t)pid, &child, WEXITED | WNOHANG | WNOWAIT));
  if (outcome < 0) return throw_errno(env, "waitid", errno);
  if (child.si_pid == 0) return int_result(env, -1);
  if (child.si_code == CLD_EXITED) return int_result(env, (child.si_status & 0xff) << 8);
  return int_result(env, child.si_status | (child.si_code == CLD_DUMPED ? 0x80 : 0));
}

enum { STAT_BYTES = 1024, FORKED_WITHOUT_EXEC = 0x40 };

/* The fields of /proc/PID/stat of a process: its parent and its flags; false when it does not. */
static bool read_stat(int pid, int *parent, unsigned *flags) {
  char text[STAT_BYTES];
  snprintf(text, sizeof text, "/proc/%d/stat", pid);
  int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = 0;
  const char *after_name = strrchr(text, ')');
  return after_name != NULL &&
         sscanf(after_name + 1, " %*c %d %*d %*d %*d %*d %u", parent, flags) == 2;
}

/* In a /proc of another pid namespace the number is somebody else's. */
int has_executed(int pid) {
  int parent = 0;
  unsigned flags = 0;
  if (!read_stat(pid, &parent, &flags) || parent != getpid()) return -1;
  return (flags & FORKED_WITHOUT_EXEC) == 0;
}

/* hasExecuted(pid): undefined when /proc does not tell */
static napi_value method_has_executed(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int pid = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int answer = has_executed(pid);
  return answer < 0 ? undefined_result(env) : bool_result(env, answer);
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

/* hasChildren() */
static napi_value method_has_children(napi_env env, napi_callback_info info) {
  (void)info;
  siginfo_t child;
  int outcome;
  RETRY(outcome, waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT));
  return bool_result(env, outcome == 0);
}

/* isSubreaper() */
static napi_value method_is_subreaper(napi_env env, napi_callback_info info) {
  (void)info;
  int answer = 0;
  return bool_result(env, prctl(PR_GET_CHILD_SUBREAPER, &answer, 0, 0, 0) == 0 && answer != 0);
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
    {"execve", method_execve},
    {"reap", method_reap},
    {"endedStatus", method_ended_status},
    {"hasExecuted", method_has_executed},
    {"hasChildren", method_has_children},
    {"isSubreaper", method_is_subreaper},
    {"peekEndedChild", method_peek_ended_child},
    {"kill", method_kill},           {"getpid", method_getpid},
    {"setsid", method_setsid},       {"setpgid", method_setpgid},
    {"tcsetpgrp", method_tcsetpgrp}, {NULL, NULL},
};
