/* Sockets and their addresses. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* --- addresses --------------------------------------------------------------------------------- */

/* The names of address families at the border. */
enum { FAMILY_NONE = 0, FAMILY_UNIX = 1, FAMILY_INET = 4, FAMILY_INET6 = 6 };

/* The bytes of a path with its terminator, or of an abstract name with its first NUL. */
enum { UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) };

/* The error of a path that cannot be an address; 0 for one that can, and for an abstract name. */
static int unix_path_error(struct bytes path) {
  if (path.length == 0) return ENOENT; /* as of a file; the kernel would take it for a name */
  if (path.data[0] == 0) return path.length > UNIX_PATH_MAX ? ENAMETOOLONG : 0;
  if (path.length >= UNIX_PATH_MAX) return ENAMETOOLONG;
  return memchr(path.data, 0, path.length) == NULL ? 0 : EINVAL; /* it would be cut there */
}

static unsigned unix_address(struct call *call, struct bytes path, struct sockaddr_un *address) {
  int error = unix_path_error(path);
  if (error != 0) {
    call->invalid = true;
    throw_errno(call->env, "sockaddr_un", error);
    return 0;
  }
  size_t terminator = path.data[0] == 0 ? 0 : 1;
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path.data, path.length);
  return (unsigned)(offsetof(struct sockaddr_un, sun_path) + path.length + terminator);
}

/* Four arguments from `index` on: family, bytes, port, scope. The length of the address. */
unsigned address_argument(struct call *call, size_t index, struct sockaddr_storage *address) {
  int family = int_argument(call, index);
  struct bytes bytes = bytes_argument(call, index + 1);
  uint16_t port = htons((uint16_t)uint_argument(call, index + 2));
  uint32_t scope = uint_argument(call, index + 3);
  if (call->invalid) return 0;
  memset(address, 0, sizeof *address);
  if (family == FAMILY_UNIX) return unix_address(call, bytes, (struct sockaddr_un *)address);
  if (family == FAMILY_INET && bytes.length == 4) {
    struct sockaddr_in *inet = (struct sockaddr_in *)address;
    inet->sin_family = AF_INET;
    inet->sin_port = port;
    memcpy(&inet->sin_addr, bytes.data, 4);
    return sizeof *inet;
  }
  if (family == FAMILY_INET6 && bytes.length == 16) {
    struct sockaddr_in6 *inet6 = (struct sockaddr_in6 *)address;
    inet6->sin6_family = AF_INET6;
    inet6->sin6_port = port;
    inet6->sin6_scope_id = scope;
    memcpy(&inet6->sin6_addr, bytes.data, 16);
    return sizeof *inet6;
  }
  refuse_call(call, "an address of another length than its family has");
  return 0;
}

static size_t unix_path_length(const struct sockaddr_un *address, unsigned length) {
  size_t header = offsetof(struct sockaddr_un, sun_path);
  if (length <= header) return 0;
  size_t room = length - header;
  if (room > sizeof address->sun_path) room = sizeof address->sun_path;
  return address->sun_path[0] == 0 ? room : strnlen(address->sun_path, room);
}

void write_address_record(unsigned char *record, int fd, const struct sockaddr_storage *address,
                          unsigned length) {
  int32_t header[5] = {fd, FAMILY_NONE, 0, 0, 0};
  const void *bytes = NULL;
  if (length >= sizeof(sa_family_t) && address->ss_family == AF_INET) {
    const struct sockaddr_in *inet = (const struct sockaddr_in *)address;
    header[1] = FAMILY_INET;
    header[2] = ntohs(inet->sin_port);
    header[4] = 4;
    bytes = &inet->sin_addr;
  } else if (length >= sizeof(sa_family_t) && address->ss_family == AF_INET6) {
    const struct sockaddr_in6 *inet6 = (const struct sockaddr_in6 *)address;
    header[1] = FAMILY_INET6;
    header[2] = ntohs(inet6->sin6_port);
    header[3] = (int32_t)inet6->sin6_scope_id;
    header[4] = 16;
    bytes = &inet6->sin6_addr;
  } else if (length >= sizeof(sa_family_t) && address->ss_family == AF_UNIX) {
    const struct sockaddr_un *local = (const struct sockaddr_un *)address;
    header[1] = FAMILY_UNIX;
    header[4] = (int32_t)unix_path_length(local, length);
    bytes = local->sun_path;
  }
  memcpy(record, header, sizeof header);
  if (header[4] > 0) memcpy(record + ADDRESS_RECORD_HEADER, bytes, (size_t)header[4]);
}

_Static_assert(ADDRESS_RECORD_HEADER + sizeof(((struct sockaddr_un *)0)->sun_path) <=
                   ADDRESS_RECORD_BYTES,
               "a record holds the longest address");

/* --- making sockets ---------------------------------------------------------------------------- */

/* In the order of SOCKET_TYPES in sockets.ts. */
static const int TYPES[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

static int type_argument(struct call *call, size_t index) {
  uint32_t wanted = uint_argument(call, index);
  if (wanted < TYPE_COUNT) return TYPES[wanted];
  refuse_call(call, "no such type of socket");
  return -1;
}

/* socket(family, type) */
static napi_value method_socket(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int wanted = int_argument(&call, 0), type = type_argument(&call, 1);
  if (call.invalid) return NULL;
  int family = wanted == FAMILY_INET ? AF_INET : wanted == FAMILY_INET6 ? AF_INET6 : AF_UNIX;
  int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) return throw_errno(env, "socket", errno);
  if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) {
    int error = errno;
    close(fd);
    return throw_errno(env, "setsockopt", error);
  }
  return int_result(env, fd);
}

/* socketPair(type, ends: Int32Array) */
static napi_value method_socket_pair(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int type = type_argument(&call, 0);
  int32_t *ends = ints_argument(&call, 1, 2, NULL);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "socketpair", socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends));
}

/* bind(fd, family, bytes, port, scope) */
static napi_value method_bind(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct sockaddr_storage address;
  unsigned length = address_argument(&call, 1, &address);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "bind", bind(fd, (struct sockaddr *)&address, length));
}

static napi_value method_listen(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), backlog = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "listen", listen(fd, backlog));
}

/* connect(fd, family, bytes, port, scope): false while it is under way */
static napi_value method_connect(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct sockaddr_storage address;
  unsigned length = address_argument(&call, 1, &address);
  if (call.invalid) return NULL;
  int outcome = connect(fd, (struct sockaddr *)&address, length);
  /* Interrupted, a connect goes on by itself; calling again would only say EALREADY. */
  if (outcome < 0 && errno != EINPROGRESS && errno != EINTR)
    return throw_errno(env, "connect", errno);
  return bool_result(env, outcome == 0);
}

/* socketError(fd): the errno name, undefined when there is none */
static napi_value method_socket_error(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
    return throw_errno(env, "getsockopt", errno);
  return error == 0 ? undefined_result(env) : errno_name_result(env, error);
}

/* accept(fd, most, records): how many records were written */
static napi_value method_accept(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), most = int_argument(&call, 1);
  struct bytes records = bytes_argument(&call, 2);
  if (call.invalid) return NULL;
  int count = 0, error = 0;
  while (count < most && (size_t)(count + 1) * ADDRESS_RECORD_BYTES <= records.length) {
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int accepted = accept4(fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC);
    if (accepted >= 0) {
      unsigned char *record = records.data + (size_t)count++ * ADDRESS_RECORD_BYTES;
      write_address_record(record, accepted, &address, length);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      error = errno;
      break;
    }
  }
  if (count == 0 && error != 0 && error != EAGAIN && error != EWOULDBLOCK)
    return throw_errno(env, "accept4", error);
  return int_result(env, count);
}

/* --- what a socket is -------------------------------------------------------------------------- */

typedef int name_function(int, struct sockaddr *, socklen_t *);

static napi_value name_socket(napi_env env, napi_callback_info info, const char *syscall,
                              name_function *function) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes record = bytes_argument(&call, 1);
  if (record.length < ADDRESS_RECORD_BYTES) refuse_call(&call, "a record that is too short");
  if (call.invalid) return NULL;
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  if (function(fd, (struct sockaddr *)&address, &length) < 0)
    return throw_errno(env, syscall, errno);
  write_address_record(record.data, fd, &address, length);
  return undefined_result(env);
}

/* getsockname(fd, record) */
static napi_value method_getsockname(napi_env env, napi_callback_info info) {
  return name_socket(env, info, "getsockname", getsockname);
}

/* getpeername(fd, record) */
static napi_value method_getpeername(napi_env env, napi_callback_info info) {
  return name_socket(env, info, "getpeername", getpeername);
}

/* shutdown(fd, how): 0 read, 1 write, 2 both */
static napi_value method_shutdown(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), how = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "shutdown",
                          shutdown(fd, how == 0 ? SHUT_RD : how == 1 ? SHUT_WR : SHUT_RDWR));
}

/* in the order of SOCKET_OPTION in sockets.ts. */
static const struct {
  int level;
  int name;
} OPTIONS[] = {{SOL_SOCKET, SO_REUSEADDR},
               {SOL_SOCKET, SO_REUSEPORT},
               {IPPROTO_TCP, TCP_NODELAY},
               {SOL_SOCKET, SO_KEEPALIVE}};

/* setOption(fd, option, on) */
static napi_value method_set_option(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  uint32_t option = uint_argument(&call, 1);
  int on = bool_argument(&call, 2);
  if (option >= sizeof OPTIONS / sizeof OPTIONS[0]) refuse_call(&call, "no such option");
  if (call.invalid) return NULL;
  return nothing_or_throw(
      env, "setsockopt",
      setsockopt(fd, OPTIONS[option].level, OPTIONS[option].name, &on, sizeof on));
}

static napi_value method_is_listening(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int listening = 0;
  socklen_t length = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0)
    return throw_errno(env, "getsockopt", errno);
  return bool_result(env, listening != 0);
}

/* socketType(fd): the index in TYPES, -1 for another type */
static napi_value method_socket_type(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int type = -1, index = TYPE_COUNT - 1;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
    return throw_errno(env, "getsockopt", errno);
  while (index >= 0 && TYPES[index] != type) index--;
  return int_result(env, index);
}

/* peerCredentials(fd, into: Float64Array of pid, uid, gid) */
static napi_value method_peer_credentials(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  double *into = doubles_argument(&call, 1, 3, NULL);
  if (call.invalid) return NULL;
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
    return throw_errno(env, "getsockopt", errno);
  into[0] = peer.pid;
  into[1] = peer.uid;
  into[2] = peer.gid;
  return undefined_result(env);
}

const struct method socket_methods[] = {
    {"socket", method_socket},
    {"socketPair", method_socket_pair},
    {"bind", method_bind},
    {"listen", method_listen},
    {"connect", method_connect},
    {"socketError", method_socket_error},
    {"accept", method_accept},
    {"getsockname", method_getsockname},
    {"getpeername", method_getpeername},
    {"shutdown", method_shutdown},
    {"setOption", method_set_option},
    {"isListening", method_is_listening},
    {"socketType", method_socket_type},
    {"peerCredentials", method_peer_credentials},
    {NULL, NULL},
};
