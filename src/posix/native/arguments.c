/* Between JavaScript values and C values, and from errno to SystemError. */
#include "addon.h"

#include <errno.h>
#include <string.h>

struct call begin_call(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .argc = ARGUMENTS_MAX};
  napi_get_cb_info(env, info, &call.argc, call.argv, NULL, NULL);
  return call;
}

void refuse_call(struct call *call, const char *why) {
  if (call->invalid) return;
  call->invalid = true;
  napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", why);
}

/* Look at a status of Node-API: anything but success makes the call invalid. */
static bool checked(struct call *call, napi_status status, const char *why) {
  if (status == napi_ok) return true;
  refuse_call(call, why);
  return false;
}

int32_t int_argument(struct call *call, size_t index) {
  int32_t value = -1;
  checked(call, napi_get_value_int32(call->env, call->argv[index], &value), "not a number");
  return value;
}

uint32_t uint_argument(struct call *call, size_t index) {
  uint32_t value = 0;
  checked(call, napi_get_value_uint32(call->env, call->argv[index], &value), "not a number");
  return value;
}

double double_argument(struct call *call, size_t index) {
  double value = 0;
  checked(call, napi_get_value_double(call->env, call->argv[index], &value), "not a number");
  return value;
}

bool bool_argument(struct call *call, size_t index) {
  bool value = false;
  checked(call, napi_get_value_bool(call->env, call->argv[index], &value), "not a boolean");
  return value;
}

int64_t bigint_argument(struct call *call, size_t index) {
  int64_t value = 0;
  bool lossless = true;
  napi_status status =
      napi_get_value_bigint_int64(call->env, call->argv[index], &value, &lossless);
  if (checked(call, status, "not a bigint") && !lossless) refuse_call(call, "bigint out of range");
  return value;
}

bool is_undefined(struct call *call, size_t index) {
  napi_valuetype type = napi_undefined;
  napi_typeof(call->env, call->argv[index], &type);
  return type == napi_undefined;
}

static void *array_argument(struct call *call, size_t index, napi_typedarray_type wanted,
                            size_t length_min, size_t *length) {
  napi_typedarray_type type = napi_int8_array;
  void *data = NULL;
  napi_status status = napi_get_typedarray_info(call->env, call->argv[index], &type, length, &data,
                                                NULL, NULL);
  if (!checked(call, status, "not a typed array")) return NULL;
  if (type != wanted) refuse_call(call, "a typed array of another type");
  if (*length < length_min) refuse_call(call, "a typed array that is too short");
  return data;
}

struct bytes bytes_argument(struct call *call, size_t index) {
  struct bytes bytes = {NULL, 0};
  bytes.data = array_argument(call, index, napi_uint8_array, 0, &bytes.length);
  return bytes;
}

const char *string_argument(struct call *call, size_t index) {
  struct bytes bytes = bytes_argument(call, index);
  if (call->invalid) return "";
  if (bytes.length == 0 || bytes.data[bytes.length - 1] != 0) {
    refuse_call(call, "a string without its terminator");
    return "";
  }
  return (const char *)bytes.data;
}

struct bytes optional_bytes_argument(struct call *call, size_t index) {
  if (is_undefined(call, index)) return (struct bytes){NULL, 0};
  return bytes_argument(call, index);
}

int32_t *ints_argument(struct call *call, size_t index, size_t length_min, size_t *length) {
  size_t ignored;
  return array_argument(call, index, napi_int32_array, length_min, length ? length : &ignored);
}

double *doubles_argument(struct call *call, size_t index, size_t length_min, size_t *length) {
  size_t ignored;
  return array_argument(call, index, napi_float64_array, length_min, length ? length : &ignored);
}

napi_value undefined_result(napi_env env) {
  napi_value result = NULL;
  napi_get_undefined(env, &result);
  return result;
}

napi_value int_result(napi_env env, int32_t value) {
  napi_value result = NULL;
  napi_create_int32(env, value, &result);
  return result;
}

napi_value double_result(napi_env env, double value) {
  napi_value result = NULL;
  napi_create_double(env, value, &result);
  return result;
}

napi_value bool_result(napi_env env, bool value) {
  napi_value result = NULL;
  napi_get_boolean(env, value, &result);
  return result;
}

napi_value bytes_result(napi_env env, const void *data, size_t length) {
  napi_value result = NULL;
  napi_create_buffer_copy(env, length, data, NULL, &result);
  return result;
}

static napi_value latin1(napi_env env, const char *text) {
  napi_value result = NULL;
  napi_create_string_latin1(env, text, NAPI_AUTO_LENGTH, &result);
  return result;
}

napi_value errno_name_result(napi_env env, int error) { return latin1(env, errno_name(error)); }

napi_value throw_errno(napi_env env, const char *syscall, int error) {
  napi_value make_error, error_object;
  napi_value parts[4] = {latin1(env, errno_name(error)), int_result(env, error),
                         latin1(env, syscall), latin1(env, strerror(error))};
  if (napi_get_reference_value(env, instance_of(env)->make_error, &make_error) == napi_ok &&
      napi_call_function(env, undefined_result(env), make_error, 4, parts, &error_object) ==
          napi_ok)
    napi_throw(env, error_object);
  return NULL;
}

napi_value nothing_or_throw(napi_env env, const char *syscall, int outcome) {
  return outcome < 0 ? throw_errno(env, syscall, errno) : undefined_result(env);
}

napi_value int_or_throw(napi_env env, const char *syscall, int outcome) {
  return outcome < 0 ? throw_errno(env, syscall, errno) : int_result(env, outcome);
}
