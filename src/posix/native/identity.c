/*
 * Identity, limits, umask and directory of this process. The libc functions change all threads
 * alike, where the raw system calls would change only the calling one.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <grp.h>
#include <math.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the order of RESOURCES in native-plan.ts. */
const int RESOURCES[] = {
    RLIMIT_AS,      RLIMIT_CORE,  RLIMIT_CPU, RLIMIT_DATA,   RLIMIT_FSIZE, RLIMIT_MEMLOCK,
    RLIMIT_NOFILE,  RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_STACK,
};
const int RESOURCES_LENGTH = sizeof RESOURCES / sizeof RESOURCES[0];

/* Infinity, and whatever else does not fit, is no limit. */
uint64_t limit_of_double(double value) {
  return value >= 0 && value < 18446744073709551616.0 ? (uint64_t)value : RLIM_INFINITY;
}

static double double_of_limit(rlim_t limit) {
  return limit == RLIM_INFINITY ? (double)INFINITY : (double)limit;
}

static napi_value method_getuid(napi_env env, napi_callback_info info) {
  (void)info;
  return double_result(env, getuid());
}

static napi_value method_getgid(napi_env env, napi_callback_info info) {
  (void)info;
  return double_result(env, getgid());
}

static napi_value method_geteuid(napi_env env, napi_callback_info info) {
  (void)info;
  return double_result(env, geteuid());
}

static napi_value method_getegid(napi_env env, napi_callback_info info) {
  (void)info;
  return double_result(env, getegid());
}

/* setgroups(gids: Float64Array) */
static napi_value method_setgroups(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  size_t length = 0;
  double *gids = doubles_argument(&call, 0, 0, &length);
  if (call.invalid) return NULL;
  gid_t *groups = calloc(length + 1, sizeof *groups);
  if (groups == NULL) return throw_errno(env, "setgroups", ENOMEM);
  for (size_t i = 0; i < length; i++) groups[i] = (gid_t)gids[i];
  int outcome = setgroups(length, groups), error = errno;
  free(groups);
  errno = error;
  return nothing_or_throw(env, "setgroups", outcome);
}

static napi_value method_setgid(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  gid_t gid = uint_argument(&call, 0);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "setgid", setgid(gid));
}

static napi_value method_setuid(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  uid_t uid = uint_argument(&call, 0);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "setuid", setuid(uid));
}

static int resource_argument(struct call *call, size_t index) {
  int resource = int_argument(call, index);
  if (resource >= 0 && resource < RESOURCES_LENGTH) return RESOURCES[resource];
  refuse_call(call, "no such resource");
  return 0;
}

/* getrlimit(resource, into: Float64Array of soft and hard) */
static napi_value method_getrlimit(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int resource = resource_argument(&call, 0);
  double *into = doubles_argument(&call, 1, 2, NULL);
  if (call.invalid) return NULL;
  struct rlimit limit = {0, 0};
  if (getrlimit(resource, &limit) < 0) return throw_errno(env, "getrlimit", errno);
  into[0] = double_of_limit(limit.rlim_cur);
  into[1] = double_of_limit(limit.rlim_max);
  return undefined_result(env);
}

/* setrlimit(resource, soft, hard) */
static napi_value method_setrlimit(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int resource = resource_argument(&call, 0);
  struct rlimit limit = {.rlim_cur = limit_of_double(double_argument(&call, 1)),
                         .rlim_max = limit_of_double(double_argument(&call, 2))};
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "setrlimit", setrlimit(resource, &limit));
}

static napi_value method_umask(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int mask = int_argument(&call, 0);
  if (call.invalid) return NULL;
  return int_result(env, (int)umask((mode_t)mask));
}

static napi_value method_chdir(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *directory = string_argument(&call, 0);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "chdir", chdir(directory));
}

/* chdirTo(fd) */
static napi_value method_chdir_to(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "fchdir", fchdir(fd));
}

const struct method identity_methods[] = {
    {"getuid", method_getuid},       {"getgid", method_getgid},
    {"geteuid", method_geteuid},     {"getegid", method_getegid},
    {"setgroups", method_setgroups}, {"setgid", method_setgid},
    {"setuid", method_setuid},       {"getrlimit", method_getrlimit},
    {"setrlimit", method_setrlimit}, {"umask", method_umask},
    {"chdir", method_chdir},         {"chdirTo", method_chdir_to},
    {NULL, NULL},
};
