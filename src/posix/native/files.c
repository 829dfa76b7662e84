/* Facts about files: their versions, whether they can be read; what is done to open ones. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { VERSION_FIELDS = 9 };

/*
 * fstatat(2). On 64-bit machines glibc's structure is the kernel's, and asking the kernel directly
 * keeps the addon loadable where glibc is older than 2.33, which gave stat a symbol of its own.
 */
static int stat_at(int directory, const char *path, struct stat *status, int flags) {
#if defined(SYS_newfstatat) && __SIZEOF_LONG__ == 8
  return (int)syscall(SYS_newfstatat, directory, path, status, flags);
#else
  return fstatat(directory, path, status, flags);
#endif
}

static void put_version(double *into, const struct stat *status) {
  into[0] = (double)status->st_dev;
  into[1] = (double)status->st_ino;
  into[2] = (double)status->st_size;
  into[3] = (double)status->st_mtim.tv_sec;
  into[4] = (double)status->st_mtim.tv_nsec;
  into[5] = (double)status->st_ctim.tv_sec;
  into[6] = (double)status->st_ctim.tv_nsec;
  into[7] = (double)status->st_mode;
  into[8] = (double)status->st_uid;
}

/* fileVersion(path, into: Float64Array, noFollow[, at]): undefined, or the errno name */
static napi_value method_file_version(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  double *into = doubles_argument(&call, 1, VERSION_FIELDS, NULL);
  int flags = bool_argument(&call, 2) ? AT_SYMLINK_NOFOLLOW : 0;
  int directory = directory_argument(&call, 3);
  if (call.invalid) return NULL;
  struct stat status;
  int outcome;
  RETRY(outcome, stat_at(directory, path, &status, flags));
  if (outcome < 0) return errno_name_result(env, errno);
  put_version(into, &status);
  return undefined_result(env);
}

/* openFileVersion(fd, into: Float64Array) */
static napi_value method_open_file_version(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  double *into = doubles_argument(&call, 1, VERSION_FIELDS, NULL);
  if (call.invalid) return NULL;
  struct stat status;
  int outcome;
  RETRY(outcome, stat_at(fd, "", &status, AT_EMPTY_PATH));
  if (outcome < 0) return throw_errno(env, "fstat", errno);
  put_version(into, &status);
  return undefined_result(env);
}

/* readable(path[, at]): undefined, or the errno name */
static napi_value method_readable(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int directory = directory_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, faccessat(directory, path, R_OK, 0));
  return outcome < 0 ? errno_name_result(env, errno) : undefined_result(env);
}

static napi_value method_fsync(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fsync(fd));
  return nothing_or_throw(env, "fsync", outcome);
}

/* truncate(fd, length) */
static napi_value method_truncate(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  double length = double_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, ftruncate(fd, (off_t)length));
  return nothing_or_throw(env, "ftruncate", outcome);
}

/* setMode(fd, mode) */
static napi_value method_set_mode(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), mode = int_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fchmod(fd, (mode_t)mode));
  return nothing_or_throw(env, "fchmod", outcome);
}

/* setOwner(fd, uid, gid): -1 leaves one as it is */
static napi_value method_set_owner(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  double uid = double_argument(&call, 1), gid = double_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fchown(fd, (uid_t)(int64_t)uid, (gid_t)(int64_t)gid));
  return nothing_or_throw(env, "fchown", outcome);
}

/*
 * readDirectory(fd, into): how many bytes of struct linux_dirent64 there are now, 0 at the end. The
 * descriptor keeps the place.
 */
static napi_value method_read_directory(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes into = bytes_argument(&call, 1);
  if (call.invalid) return NULL;
  long outcome;
  RETRY(outcome, syscall(SYS_getdents64, fd, into.data, into.length));
  return int_or_throw(env, "getdents64", (int)outcome);
}

const struct method file_methods[] = {
    {"fileVersion", method_file_version},
    {"openFileVersion", method_open_file_version},
    {"readable", method_readable},
    {"fsync", method_fsync},
    {"truncate", method_truncate},
    {"setMode", method_set_mode},
    {"setOwner", method_set_owner},
    {"readDirectory", method_read_directory},
    {NULL, NULL},
};
