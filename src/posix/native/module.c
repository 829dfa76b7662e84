/* Loading and unloading: one instance for each environment, the main thread's and each worker's. */
#define _GNU_SOURCE
#include "addon.h"

#include <stdlib.h>

struct instance *instance_of(napi_env env) {
  void *data = NULL;
  napi_get_instance_data(env, &data);
  return data;
}

/* initialize(makeError): before anything else */
static napi_value method_initialize(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  if (napi_create_reference(env, call.argv[0], 1, &instance->make_error) != napi_ok)
    refuse_call(&call, "not a function");
  return call.invalid ? NULL : undefined_result(env);
}

static const struct method module_methods[] = {{"initialize", method_initialize}, {NULL, NULL}};

/* The resources that are released with an environment, once the event loop has let go. */
struct ending {
  struct instance instance; /* first, so that a pointer to one is a pointer to the other */
  napi_async_cleanup_hook_handle hook;
};

static void release(struct instance *instance) {
  struct ending *ending = (struct ending *)instance;
  napi_async_cleanup_hook_handle hook = ending->hook;
  end_births(instance);
  free(ending);
  napi_remove_async_cleanup_hook(hook);
}

static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data) {
  struct ending *ending = data;
  ending->hook = hook;
  close_watcher(&ending->instance, release);
}

static void add_methods(napi_env env, napi_value exports, const struct method *methods) {
  for (; methods->name != NULL; methods++) {
    napi_value function = NULL;
    napi_create_function(env, methods->name, NAPI_AUTO_LENGTH, methods->function, NULL, &function);
    napi_set_named_property(env, exports, methods->name, function);
  }
}

static napi_value out_of_memory(napi_env env) {
  napi_throw_error(env, "ENOMEM", "no memory for an instance of the addon");
  return NULL;
}

/* What the addon was made from, as scripts/build-addon.mjs says it: its users are of the same build. */
#ifndef ADDON_BUILD
#define ADDON_BUILD ""
#endif

NAPI_MODULE_INIT() {
  struct ending *ending = calloc(1, sizeof *ending);
  if (ending == NULL) return out_of_memory(env);
  ending->instance.env = env;
  ending->instance.epoll_fd = -1;
  if (napi_set_instance_data(env, &ending->instance, NULL, NULL) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_environment_end, ending, &ending->hook) != napi_ok) {
    napi_set_instance_data(env, NULL, NULL, NULL);
    free(ending);
    return out_of_memory(env);
  }
  add_methods(env, exports, module_methods);
  napi_value build = NULL;
  napi_create_string_utf8(env, ADDON_BUILD, NAPI_AUTO_LENGTH, &build);
  napi_set_named_property(env, exports, "build", build);
  add_methods(env, exports, process_methods);
  add_methods(env, exports, signal_methods);
  add_methods(env, exports, spawn_methods);
  add_methods(env, exports, identity_methods);
  add_methods(env, exports, descriptor_methods);
  add_methods(env, exports, output_methods);
  add_methods(env, exports, file_methods);
  add_methods(env, exports, path_methods);
  add_methods(env, exports, lock_methods);
  add_methods(env, exports, socket_methods);
  add_methods(env, exports, message_methods);
  add_methods(env, exports, watch_methods);
  add_methods(env, exports, name_methods);
  add_methods(env, exports, clock_methods);
  return exports;
}
