/* Files by path, and locks on open ones. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VERSION_FIELDS = 8 };

/*
 * stat(2). On 64-bit machines glibc's structure is the kernel's, and asking the kernel directly
 * keeps the addon loadable where glibc is older than 2.33, which gave stat a symbol of its own.
 */
static int stat_path(const char *path, struct stat *status) {
#if defined(SYS_newfstatat) && __SIZEOF_LONG__ == 8
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
#else
  return stat(path, status);
#endif
}

/* fileVersion(path, into: Float64Array): undefined, or the errno name */
static napi_value method_file_version(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  double *into = doubles_argument(&call, 1, VERSION_FIELDS, NULL);
  if (call.invalid) return NULL;
  struct stat status;
  int outcome;
  RETRY(outcome, stat_path(path, &status));
  if (outcome < 0) return errno_name_result(env, errno);
  into[0] = (double)status.st_dev;
  into[1] = (double)status.st_ino;
  into[2] = (double)status.st_size;
  into[3] = (double)status.st_mtim.tv_sec;
  into[4] = (double)status.st_mtim.tv_nsec;
  into[5] = (double)status.st_ctim.tv_sec;
  into[6] = (double)status.st_ctim.tv_nsec;
  into[7] = (double)status.st_mode;
  return undefined_result(env);
}

/* readable(path): undefined, or the errno name */
static napi_value method_readable(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, access(path, R_OK));
  return outcome < 0 ? errno_name_result(env, errno) : undefined_result(env);
}

static napi_value method_mkfifo(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int mode = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "mkfifo", mkfifo(path, (mode_t)mode));
}

static napi_value method_fsync(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fsync(fd));
  return nothing_or_throw(env, "fsync", outcome);
}

/* What kinds of locks are called at the border. */
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

/* recordLock(fd, kind, wait) */
static napi_value method_record_lock(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct flock lock = whole_file(int_argument(&call, 1));
  bool wait = bool_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock));
  return locked(env, "fcntl", outcome);
}

/* recordLockOwner(fd, kind): a pid, 0 when nobody is in the way */
static napi_value method_record_lock_owner(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct flock lock = whole_file(int_argument(&call, 1));
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fcntl(fd, F_GETLK, &lock));
  if (outcome < 0) return throw_errno(env, "fcntl", errno);
  return int_result(env, lock.l_type == F_UNLCK ? 0 : lock.l_pid);
}

const struct method file_methods[] = {
    {"fileVersion", method_file_version}, {"readable", method_readable},
    {"mkfifo", method_mkfifo},            {"fsync", method_fsync},
    {"flock", method_flock},              {"recordLock", method_record_lock},
    {"recordLockOwner", method_record_lock_owner},
    {NULL, NULL},
};
