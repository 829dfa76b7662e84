/*
 * Descriptors in the event loop. The environment has one private epoll descriptor, and libuv polls
 * that one only: it never learns of the descriptors themselves, so it takes no share in what they
 * are and when they are closed, and a batch of ready ones costs one call into JavaScript.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* The part of libuv that is used here (its ABI is stable since version 1.0). */
typedef struct uv_loop_s uv_loop_t;
typedef struct uv_poll_s uv_poll_t;
typedef struct uv_handle_s uv_handle_t;
enum { UV_HANDLE_TYPE_POLL = 8, UV_READABLE = 1 };
size_t uv_handle_size(int type);
void *uv_handle_get_data(const uv_handle_t *handle);
void uv_handle_set_data(uv_handle_t *handle, void *data);
void uv_ref(uv_handle_t *handle);
void uv_unref(uv_handle_t *handle);
void uv_close(uv_handle_t *handle, void (*closed)(uv_handle_t *handle));
int uv_poll_init(uv_loop_t *loop, uv_poll_t *poll, int fd);
int uv_poll_start(uv_poll_t *poll, int events,
                  void (*ready)(uv_poll_t *poll, int status, int events));

enum { BATCH_MAX = 128 }; /* what is ready beyond that comes with the next turn of the loop */

/* Bits of interest and readiness at the border. */
enum { READABLE = 1, WRITABLE = 2, HANGUP = 4 };

static void throw_pending_as_uncaught(napi_env env) {
  napi_value error;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

static void deliver(struct instance *instance, int count) {
  napi_env env = instance->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value receiver, dispatch, argument = int_result(env, count);
  if (napi_get_global(env, &receiver) == napi_ok &&
      napi_get_reference_value(env, instance->dispatch, &dispatch) == napi_ok &&
      napi_make_callback(env, instance->context, receiver, dispatch, 1, &argument, NULL) ==
          napi_pending_exception)
    throw_pending_as_uncaught(env);
  napi_close_handle_scope(env, scope);
}

/* The epoll descriptor is readable: collect what is ready as pairs of token and readiness. */
static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct instance *instance = uv_handle_get_data((uv_handle_t *)poll);
  struct epoll_event ready[BATCH_MAX];
  int count = epoll_wait(instance->epoll_fd, ready, BATCH_MAX, 0);
  if (count <= 0) return;
  for (int i = 0; i < count; i++) {
    uint32_t bits = ready[i].events;
    instance->events[2 * i] = (double)ready[i].data.u64;
    instance->events[2 * i + 1] = (bits & EPOLLIN ? READABLE : 0) | (bits & EPOLLOUT ? WRITABLE : 0) |
                                  (bits & (EPOLLHUP | EPOLLERR) ? HANGUP : 0);
  }
  deliver(instance, count);
}

/* Have libuv poll an epoll descriptor of ours. 0, or an errno, and then nothing is left of it. */
static int start_polling(struct instance *instance, struct uv_loop_s *loop) {
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) return errno;
  uv_poll_t *poll = calloc(1, uv_handle_size(UV_HANDLE_TYPE_POLL));
  int error = poll == NULL ? -ENOMEM : uv_poll_init(loop, poll, epoll_fd);
  if (error < 0) { /* libuv has not taken the handle */
    free(poll);
    close(epoll_fd);
    return -error;
  }
  instance->epoll_fd = epoll_fd;
  instance->poll = poll;
  uv_handle_set_data((uv_handle_t *)poll, instance);
  uv_poll_start(poll, UV_READABLE, on_ready); /* cannot fail: the descriptor is good, and so are the bits */
  uv_unref((uv_handle_t *)poll);
  return 0;
}

/* Let go of what watchStart has got so far; it may be asked for again. */
static void forget_start(napi_env env, struct instance *instance) {
  if (instance->dispatch != NULL) napi_delete_reference(env, instance->dispatch);
  if (instance->events_owner != NULL) napi_delete_reference(env, instance->events_owner);
  if (instance->context != NULL) napi_async_destroy(env, instance->context);
  instance->dispatch = instance->events_owner = NULL;
  instance->context = NULL;
  instance->events = NULL;
}

/* watchStart(dispatch, events: Float64Array of pairs), once per environment */
static napi_value method_watch_start(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  double *events = doubles_argument(&call, 1, 2 * BATCH_MAX, NULL);
  if (instance->poll != NULL) refuse_call(&call, "already started");
  if (call.invalid) return NULL;
  struct uv_loop_s *loop = NULL;
  napi_value name;
  int error = ENOMEM;
  if (napi_get_uv_event_loop(env, &loop) == napi_ok &&
      napi_create_string_latin1(env, "ucspi:watch", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_async_init(env, NULL, name, &instance->context) == napi_ok &&
      napi_create_reference(env, call.argv[0], 1, &instance->dispatch) == napi_ok &&
      napi_create_reference(env, call.argv[1], 1, &instance->events_owner) == napi_ok)
    error = start_polling(instance, loop);
  if (error != 0) {
    forget_start(env, instance);
    return throw_errno(env, "watch", error);
  }
  instance->events = events;
  return undefined_result(env);
}

static struct epoll_event event_arguments(struct call *call, size_t interest, size_t token) {
  int bits = int_argument(call, interest);
  struct epoll_event event = {.events = (bits & READABLE ? (uint32_t)EPOLLIN : 0) |
                                        (bits & WRITABLE ? (uint32_t)EPOLLOUT : 0)};
  event.data.u64 = (uint64_t)double_argument(call, token);
  return event;
}

/* watchAdd(fd, interest, token) */
static napi_value method_watch_add(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct epoll_event event = event_arguments(&call, 1, 2);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "epoll_ctl",
                          epoll_ctl(instance_of(env)->epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

/* watchModify(fd, interest, token) */
static napi_value method_watch_modify(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct epoll_event event = event_arguments(&call, 1, 2);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "epoll_ctl",
                          epoll_ctl(instance_of(env)->epoll_fd, EPOLL_CTL_MOD, fd, &event));
}

/* watchRemove(fd); a descriptor that was closed has left the set by itself */
static napi_value method_watch_remove(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  struct epoll_event unused = {.events = 0};
  int outcome = epoll_ctl(instance_of(env)->epoll_fd, EPOLL_CTL_DEL, fd, &unused);
  if (outcome < 0 && errno != EBADF && errno != ENOENT) return throw_errno(env, "epoll_ctl", errno);
  return undefined_result(env);
}

/* watchKeepAlive(isWanted: 0 or 1): do the watches keep the event loop alive? */
static napi_value method_watch_keep_alive(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  int is_wanted = int_argument(&call, 0);
  if (call.invalid || instance->poll == NULL) return NULL;
  if (is_wanted)
    uv_ref((uv_handle_t *)instance->poll);
  else
    uv_unref((uv_handle_t *)instance->poll);
  return undefined_result(env);
}

static void on_closed(uv_handle_t *handle) {
  struct instance *instance = uv_handle_get_data(handle);
  close(instance->epoll_fd);
  free(handle);
  instance->closed(instance);
}

/* Nothing here can fail: libuv uses the handle until it says so. */
void close_watcher(struct instance *instance, void (*done)(struct instance *instance)) {
  if (instance->poll == NULL) {
    done(instance);
    return;
  }
  instance->closed = done;
  uv_close((uv_handle_t *)instance->poll, on_closed);
}

const struct method watch_methods[] = {
    {"watchStart", method_watch_start},
    {"watchAdd", method_watch_add},
    {"watchModify", method_watch_modify},
    {"watchRemove", method_watch_remove},
    {"watchKeepAlive", method_watch_keep_alive},
    {NULL, NULL},
};
