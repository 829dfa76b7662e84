/* The system clock. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <sys/time.h>
#include <time.h>

static const int64_t NS_PER_SECOND = 1000000000;
static const int64_t US_PER_SECOND = 1000000;

/* realtime(into: Float64Array of seconds and nanoseconds) */
static napi_value method_realtime(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  double *into = doubles_argument(&call, 0, 2, NULL);
  if (call.invalid) return NULL;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) < 0) return throw_errno(env, "clock_gettime", errno);
  into[0] = (double)now.tv_sec;
  into[1] = (double)now.tv_nsec;
  return undefined_result(env);
}

/* setRealtime(ns: bigint) */
static napi_value method_set_realtime(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int64_t ns = bigint_argument(&call, 0);
  if (call.invalid) return NULL;
  int64_t rest = ns % NS_PER_SECOND;
  if (rest < 0) rest += NS_PER_SECOND;
  struct timespec then = {.tv_sec = (time_t)((ns - rest) / NS_PER_SECOND), .tv_nsec = (long)rest};
  return nothing_or_throw(env, "clock_settime", clock_settime(CLOCK_REALTIME, &then));
}

/* adjtime(microseconds: bigint): the microseconds that an earlier call had left, as a bigint */
static napi_value method_adjtime(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int64_t us = bigint_argument(&call, 0);
  if (call.invalid) return NULL;
  struct timeval delta = {.tv_sec = (time_t)(us / US_PER_SECOND),
                          .tv_usec = (suseconds_t)(us % US_PER_SECOND)};
  struct timeval left = {0, 0};
  if (adjtime(&delta, &left) < 0) return throw_errno(env, "adjtime", errno);
  napi_value result = NULL;
  napi_create_bigint_int64(env, (int64_t)left.tv_sec * US_PER_SECOND + left.tv_usec, &result);
  return result;
}

const struct method clock_methods[] = {
    {"realtime", method_realtime},
    {"setRealtime", method_set_realtime},
    {"adjtime", method_adjtime},
    {NULL, NULL},
};
