/* Accounts, groups and services, by way of the name service switch. */
#define _GNU_SOURCE
#include "addon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { ROOM_FIRST = 4096, ROOM_MAX = 4 * 1024 * 1024 };

/* "Not found" has many faces (see the manual page of getpwnam_r). */
static bool means_absent(int error) {
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

static void put(napi_env env, napi_value array, uint32_t index, napi_value value) {
  napi_set_element(env, array, index, value);
}

static napi_value text(napi_env env, const char *value) {
  return bytes_result(env, value, value == NULL ? 0 : strlen(value));
}

/* Room for the strings of one entry. */
struct room {
  char *data;
  size_t size;
};

/*
 * Is a look-up to be tried (again), after it said `error`? ERANGE, which it says before the first try
 * too, asks for more room; where there is none to be had the error is ENOMEM.
 */
static bool wants_try(struct room *room, int *error) {
  if (*error == EINTR) return true;
  if (*error != ERANGE) return false;
  size_t size = room->size == 0 ? ROOM_FIRST : room->size * 4;
  char *larger = size <= ROOM_MAX ? realloc(room->data, size) : NULL;
  if (larger == NULL) {
    *error = ENOMEM;
    return false;
  }
  *room = (struct room){larger, size};
  return true;
}

static napi_value account_result(napi_env env, const struct passwd *entry) {
  napi_value result = NULL;
  napi_create_array_with_length(env, 5, &result);
  put(env, result, 0, text(env, entry->pw_name));
  put(env, result, 1, double_result(env, entry->pw_uid));
  put(env, result, 2, double_result(env, entry->pw_gid));
  put(env, result, 3, text(env, entry->pw_dir));
  put(env, result, 4, text(env, entry->pw_shell));
  return result;
}

/* account(name | undefined, uid): [name, uid, gid, home, shell] or undefined */
static napi_value method_account(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *name = is_undefined(&call, 0) ? NULL : string_argument(&call, 0);
  uid_t uid = uint_argument(&call, 1);
  if (call.invalid) return NULL;
  struct passwd entry, *found = NULL;
  struct room room = {NULL, 0};
  int error = ERANGE;
  while (wants_try(&room, &error))
    error = name != NULL ? getpwnam_r(name, &entry, room.data, room.size, &found)
                         : getpwuid_r(uid, &entry, room.data, room.size, &found);
  napi_value result = undefined_result(env);
  if (found != NULL)
    result = account_result(env, found);
  else if (!means_absent(error))
    result = throw_errno(env, name != NULL ? "getpwnam" : "getpwuid", error);
  free(room.data);
  return result;
}

static napi_value group_result(napi_env env, const struct group *entry) {
  napi_value result = NULL, members = NULL;
  napi_create_array_with_length(env, 3, &result);
  napi_create_array(env, &members);
  for (uint32_t i = 0; entry->gr_mem[i] != NULL; i++)
    put(env, members, i, text(env, entry->gr_mem[i]));
  put(env, result, 0, text(env, entry->gr_name));
  put(env, result, 1, double_result(env, entry->gr_gid));
  put(env, result, 2, members);
  return result;
}

/* group(name | undefined, gid): [name, gid, members] or undefined */
static napi_value method_group(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *name = is_undefined(&call, 0) ? NULL : string_argument(&call, 0);
  gid_t gid = uint_argument(&call, 1);
  if (call.invalid) return NULL;
  struct group entry, *found = NULL;
  struct room room = {NULL, 0};
  int error = ERANGE;
  while (wants_try(&room, &error))
    error = name != NULL ? getgrnam_r(name, &entry, room.data, room.size, &found)
                         : getgrgid_r(gid, &entry, room.data, room.size, &found);
  napi_value result = undefined_result(env);
  if (found != NULL)
    result = group_result(env, found);
  else if (!means_absent(error))
    result = throw_errno(env, name != NULL ? "getgrnam" : "getgrgid", error);
  free(room.data);
  return result;
}

static bool lists(const struct group *entry, const char *account) {
  for (char **member = entry->gr_mem; *member != NULL; member++)
    if (strcmp(*member, account) == 0) return true;
  return false;
}

/* libc keeps one place in the group database for the whole process, so this lock is global too. */
static pthread_mutex_t group_walk = PTHREAD_MUTEX_INITIALIZER;

/* groupsListing(account): the gids */
static napi_value method_groups_listing(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *account = string_argument(&call, 0);
  if (call.invalid) return NULL;
  napi_value result = NULL;
  napi_create_array(env, &result);
  uint32_t count = 0;
  pthread_mutex_lock(&group_walk);
  setgrent();
  struct group *entry;
  do {
    errno = 0; /* what it read of another entry may have left one, ERANGE for a long one */
    entry = getgrent();
    if (entry != NULL && lists(entry, account))
      put(env, result, count++, double_result(env, entry->gr_gid));
  } while (entry != NULL || errno == EINTR);
  int error = errno;
  endgrent();
  pthread_mutex_unlock(&group_walk);
  return means_absent(error) ? result : throw_errno(env, "getgrent", error);
}

/* servicePort(name, protocol): -1 when there is none */
static napi_value method_service_port(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *name = string_argument(&call, 0), *protocol = string_argument(&call, 1);
  if (call.invalid) return NULL;
  struct servent entry, *found = NULL;
  struct room room = {NULL, 0};
  int error = ERANGE;
  while (wants_try(&room, &error))
    error = getservbyname_r(name, protocol, &entry, room.data, room.size, &found);
  napi_value result = NULL;
  if (found != NULL)
    result = int_result(env, ntohs((uint16_t)found->s_port));
  else if (means_absent(error))
    result = int_result(env, -1);
  else
    result = throw_errno(env, "getservbyname", error);
  free(room.data);
  return result;
}

/* strerror(code): undefined for a name that no errno has */
static napi_value method_strerror(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *name = string_argument(&call, 0);
  if (call.invalid) return NULL;
  int error = errno_of_name(name);
  if (error < 0) return undefined_result(env);
  const char *message = strerror(error);
  return bytes_result(env, message, strlen(message));
}

const struct method name_methods[] = {
    {"account", method_account},
    {"group", method_group},
    {"groupsListing", method_groups_listing},
    {"servicePort", method_service_port},
    {"strerror", method_strerror},
    {NULL, NULL},
};
