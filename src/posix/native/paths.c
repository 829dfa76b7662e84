/*
 * What is done to the entries of directories. A relative path starts from the directory that a call
 * gives as a descriptor, or else from the working directory.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_argument(struct call *call, size_t index) {
  return is_undefined(call, index) ? AT_FDCWD : int_argument(call, index);
}

/* mkfifo(path, mode[, at]) */
static napi_value method_mkfifo(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int mode = int_argument(&call, 1), directory = directory_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, mkfifoat(directory, path, (mode_t)mode));
  return nothing_or_throw(env, "mkfifo", outcome);
}

/* mkdir(path, mode[, at]) */
static napi_value method_mkdir(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int mode = int_argument(&call, 1), directory = directory_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, mkdirat(directory, path, (mode_t)mode));
  return nothing_or_throw(env, "mkdir", outcome);
}

/* symlink(target, path[, at]) */
static napi_value method_symlink(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *target = string_argument(&call, 0), *path = string_argument(&call, 1);
  int directory = directory_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, symlinkat(target, directory, path));
  return nothing_or_throw(env, "symlink", outcome);
}

/* readlink(path[, at]) */
static napi_value method_readlink(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int directory = directory_argument(&call, 1);
  if (call.invalid) return NULL;
  char target[PATH_MAX];
  ssize_t outcome;
  RETRY(outcome, readlinkat(directory, path, target, sizeof target));
  if (outcome < 0) return throw_errno(env, "readlink", errno);
  if ((size_t)outcome == sizeof target) return throw_errno(env, "readlink", ENAMETOOLONG);
  return bytes_result(env, target, (size_t)outcome);
}

/* link(from, to[, fromAt[, toAt]]): of a symbolic link, the link itself */
static napi_value method_link(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *from = string_argument(&call, 0), *to = string_argument(&call, 1);
  int from_directory = directory_argument(&call, 2), to_directory = directory_argument(&call, 3);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, linkat(from_directory, from, to_directory, to, 0));
  return nothing_or_throw(env, "link", outcome);
}

/* rename(from, to[, fromAt[, toAt]]) */
static napi_value method_rename(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *from = string_argument(&call, 0), *to = string_argument(&call, 1);
  int from_directory = directory_argument(&call, 2), to_directory = directory_argument(&call, 3);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, renameat(from_directory, from, to_directory, to));
  return nothing_or_throw(env, "rename", outcome);
}

/* unlink(path[, at]) */
static napi_value method_unlink(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int directory = directory_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, unlinkat(directory, path, 0));
  return nothing_or_throw(env, "unlink", outcome);
}

/* rmdir(path[, at]) */
static napi_value method_rmdir(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int directory = directory_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, unlinkat(directory, path, AT_REMOVEDIR));
  return nothing_or_throw(env, "rmdir", outcome);
}

/* chmod(path, mode[, at]): follows links */
static napi_value method_chmod(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int mode = int_argument(&call, 1), directory = directory_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fchmodat(directory, path, (mode_t)mode, 0));
  return nothing_or_throw(env, "chmod", outcome);
}

/* chown(path, uid, gid[, at]): -1 leaves one as it is; of a symbolic link, the link itself */
static napi_value method_chown(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  double uid = double_argument(&call, 1), gid = double_argument(&call, 2);
  int directory = directory_argument(&call, 3);
  if (call.invalid) return NULL;
  int outcome;
  RETRY(outcome, fchownat(directory, path, (uid_t)(int64_t)uid, (gid_t)(int64_t)gid,
                          AT_SYMLINK_NOFOLLOW));
  return nothing_or_throw(env, "chown", outcome);
}

const struct method path_methods[] = {
    {"mkfifo", method_mkfifo},   {"mkdir", method_mkdir},   {"symlink", method_symlink},
    {"readlink", method_readlink}, {"link", method_link},   {"rename", method_rename},
    {"unlink", method_unlink},   {"rmdir", method_rmdir},   {"chmod", method_chmod},
    {"chown", method_chown},     {NULL, NULL},
};
