/* Locks on open files: flock(2) and record locks. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

/* The names of the kinds of locks at the border. */
enum { SHARED, EXCLUSIVE, UNLOCK };

/* False when somebody else holds the lock. */
static napi_value locked(napi_env env, const char *syscall, int outcome) {
  if (outcome < 0 && errno != EWOULDBLOCK && errno != EAGAIN && errno != EACCES)
    return throw_errno(env, syscall, errno);
  return bool_result(env, outcome >= 0);
}

/* flock(fd, kind, wait) */
static napi_value method_flock(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), kind = int_argument(&call, 1);
  bool wait = bool_argument(&call, 2);
  if (call.invalid) return NULL;
  int operation = kind == SHARED ? LOCK_SH : kind == EXCLUSIVE ? LOCK_EX : LOCK_UN;
  int outcome;
  RETRY(outcome, flock(fd, wait ? operation : operation | LOCK_NB));
  return locked(env, "flock", outcome);
}

/* A record lock over the whole file, however long it grows. */
static struct flock whole_file(int kind) {
  struct flock lock = {.l_whence = SEEK_SET};
  lock.l_type = kind == SHARED ? F_RDLCK : kind == EXCLUSIVE ? F_WRLCK : F_UNLCK;
  return lock;
}

/*
 * recordLock(fd, kind, wait): the lock belongs to the open file description, as flock's does: whoever
 * shares the description holds it, and closing another descriptor of the file does not lose it.
 */
static napi_value method_record_lock(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct flock lock = whole_file(int_argument(&call, 1));
  bool wait = bool_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock));
  return locked(env, "fcntl", outcome);
}

/*
 * recordLockOwner(fd, kind): the pid of a process in the way, -1 for an open file description, 0 when
 * nobody is
 */
static napi_value method_record_lock_owner(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct flock lock = whole_file(int_argument(&call, 1));
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fcntl(fd, F_OFD_GETLK, &lock));
  if (outcome < 0) return throw_errno(env, "fcntl", errno);
  return int_result(env, lock.l_type == F_UNLCK ? 0 : lock.l_pid);
}

const struct method lock_methods[] = {
    {"flock", method_flock},
    {"recordLock", method_record_lock},
    {"recordLockOwner", method_record_lock_owner},
    {NULL, NULL},
};
