/* Descriptors: opening, closing, reading, writing, copying, flags, poll. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The bits of open's second argument, in the order of OPEN_FLAG in descriptors.ts. */
enum { ACCESS_MASK = 3, OPTIONS_SHIFT = 2 };
static const int OPEN_OPTIONS[] = {O_NONBLOCK, O_CREAT,     O_EXCL,     O_TRUNC,
                                   O_APPEND,   O_DIRECTORY, O_NOFOLLOW, O_PATH};
static const int ACCESS_MODES[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};

/* WRITEV_BUFFERS_MAX of descriptors.ts */
enum { VECTORS_MAX = 64 };

/* open(path, flags, mode[, at]) */
static napi_value method_open(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  const char *path = string_argument(&call, 0);
  int wanted = int_argument(&call, 1), mode = int_argument(&call, 2);
  int directory = directory_argument(&call, 3);
  if (call.invalid) return NULL;
  int flags = ACCESS_MODES[wanted & ACCESS_MASK] | O_CLOEXEC | O_NOCTTY;
  for (size_t i = 0; i < sizeof OPEN_OPTIONS / sizeof OPEN_OPTIONS[0]; i++)
    if (wanted & (1 << (i + OPTIONS_SHIFT))) flags |= OPEN_OPTIONS[i];
  int fd;
  RETRY(fd, openat(directory, path, flags, (mode_t)mode));
  return int_or_throw(env, "open", fd);
}

static napi_value method_close(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  if (close(fd) < 0 && errno != EINTR) return throw_errno(env, "close", errno);
  return undefined_result(env); /* after EINTR Linux has closed it */
}

static bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

/* The number of bytes, undefined when it would block. */
static napi_value transferred(napi_env env, const char *syscall, ssize_t outcome) {
  if (outcome >= 0) return double_result(env, (double)outcome);
  return would_block(errno) ? undefined_result(env) : throw_errno(env, syscall, errno);
}

/* read(fd, into) */
static napi_value method_read(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes into = bytes_argument(&call, 1);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, read(fd, into.data, into.length));
  return transferred(env, "read", outcome);
}

/* readAt(fd, into, position) */
static napi_value method_read_at(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes into = bytes_argument(&call, 1);
  double position = double_argument(&call, 2);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, pread(fd, into.data, into.length, (off_t)position));
  return transferred(env, "pread", outcome);
}

/* writeAt(fd, bytes, position) */
static napi_value method_write_at(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes bytes = bytes_argument(&call, 1);
  double position = double_argument(&call, 2);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, pwrite(fd, bytes.data, bytes.length, (off_t)position));
  return transferred(env, "pwrite", outcome);
}

/* seek(fd, offset, whence): where the next read or write happens */
static napi_value method_seek(napi_env env, napi_callback_info info) {
  static const int WHENCE[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  double offset = double_argument(&call, 1);
  uint32_t whence = uint_argument(&call, 2);
  if (whence >= sizeof WHENCE / sizeof WHENCE[0]) refuse_call(&call, "not a place to seek from");
  if (call.invalid) return NULL;
  off_t outcome = lseek(fd, (off_t)offset, WHENCE[whence]);
  return outcome < 0 ? throw_errno(env, "lseek", errno) : double_result(env, (double)outcome);
}

/* write(fd, bytes) */
static napi_value method_write(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes bytes = bytes_argument(&call, 1);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, send(fd, bytes.data, bytes.length, MSG_NOSIGNAL));
  if (outcome < 0 && errno == ENOTSOCK) RETRY(outcome, write(fd, bytes.data, bytes.length));
  return transferred(env, "write", outcome);
}

/* The vectors of an array of Uint8Arrays, of VECTORS_MAX at most; how many. */
static size_t vectors_argument(struct call *call, size_t index, struct iovec *vectors) {
  uint32_t length = 0;
  if (napi_get_array_length(call->env, call->argv[index], &length) != napi_ok)
    refuse_call(call, "not an array");
  if (length > VECTORS_MAX) length = VECTORS_MAX;
  for (uint32_t i = 0; i < length && !call->invalid; i++) {
    struct call element = {.env = call->env, .argc = 1};
    napi_get_element(call->env, call->argv[index], i, &element.argv[0]);
    struct bytes bytes = bytes_argument(&element, 0);
    vectors[i] = (struct iovec){.iov_base = bytes.data, .iov_len = bytes.length};
    call->invalid = element.invalid;
  }
  return length;
}

/* writev(fd, buffers) */
static napi_value method_writev(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct iovec vectors[VECTORS_MAX];
  size_t count = vectors_argument(&call, 1, vectors);
  if (call.invalid) return NULL;
  struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
  ssize_t outcome;
  RETRY(outcome, sendmsg(fd, &message, MSG_NOSIGNAL));
  if (outcome < 0 && errno == ENOTSOCK) RETRY(outcome, writev(fd, vectors, (int)count));
  return transferred(env, "writev", outcome);
}

/* peek(fd, into): sockets only; never waits and takes nothing */
static napi_value method_peek(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes into = bytes_argument(&call, 1);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, recv(fd, into.data, into.length, MSG_PEEK | MSG_DONTWAIT));
  return transferred(env, "recv", outcome);
}

/* pipe(ends: Int32Array) */
static napi_value method_pipe(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int32_t *ends = ints_argument(&call, 0, 2, NULL);
  if (call.invalid) return NULL;
  return nothing_or_throw(env, "pipe2", pipe2(ends, O_CLOEXEC));
}

/* dup2(fd, target, closeOnExec) */
static napi_value method_dup2(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), target = int_argument(&call, 1);
  bool close_on_exec = bool_argument(&call, 2);
  if (call.invalid) return NULL;
  int outcome;
  if (fd == target) /* dup3 refuses it */
    outcome = fcntl(fd, F_SETFD, close_on_exec ? FD_CLOEXEC : 0);
  else
    RETRY(outcome, dup3(fd, target, close_on_exec ? O_CLOEXEC : 0));
  if (outcome >= 0 && !close_on_exec) note_inheritable(target);
  return nothing_or_throw(env, "dup3", outcome);
}

/* dup(fd, minimum) */
static napi_value method_dup(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0), minimum = int_argument(&call, 1);
  if (call.invalid) return NULL;
  return int_or_throw(env, "fcntl", fcntl(fd, F_DUPFD_CLOEXEC, minimum));
}

static napi_value method_is_open(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  return bool_result(env, fcntl(fd, F_GETFD) >= 0);
}

static napi_value method_set_close_on_exec(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  bool on = bool_argument(&call, 1);
  if (call.invalid) return NULL;
  int outcome = fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0);
  if (outcome >= 0 && !on) note_inheritable(fd);
  return nothing_or_throw(env, "fcntl", outcome);
}

static napi_value method_is_close_on_exec(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return throw_errno(env, "fcntl", errno);
  return bool_result(env, (flags & FD_CLOEXEC) != 0);
}

/* statusFlags(fd): 0 to 2 for the access mode, and 4 when nonblocking */
static napi_value method_status_flags(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return throw_errno(env, "fcntl", errno);
  int access = flags & O_ACCMODE;
  int mode = access == O_WRONLY ? 1 : access == O_RDWR ? 2 : 0;
  return int_result(env, mode | (flags & O_NONBLOCK ? 4 : 0));
}

/* setNonblocking(fd, on): what it was */
static napi_value method_set_nonblocking(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  bool on = bool_argument(&call, 1);
  if (call.invalid) return NULL;
  int before = fcntl(fd, F_GETFL);
  if (before < 0) return throw_errno(env, "fcntl", errno);
  int after = on ? before | O_NONBLOCK : before & ~O_NONBLOCK;
  if (after != before && fcntl(fd, F_SETFL, after) < 0) return throw_errno(env, "fcntl", errno);
  return bool_result(env, (before & O_NONBLOCK) != 0);
}

static napi_value method_is_socket(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  int type;
  socklen_t length = sizeof type;
  int outcome = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  if (outcome < 0 && errno != ENOTSOCK) return throw_errno(env, "getsockopt", errno);
  return bool_result(env, outcome == 0);
}

/* isSameOpenFile(a, b): undefined where the system does not tell */
static napi_value method_is_same_open_file(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int a = int_argument(&call, 0), b = int_argument(&call, 1);
  if (call.invalid) return NULL;
  enum { KCMP_FILE = 0 };
  long outcome = syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, (long)a, (long)b);
  if (outcome >= 0) return bool_result(env, outcome == 0);
  return errno == EBADF ? throw_errno(env, "kcmp", errno) : undefined_result(env);
}

static int64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* waitReady(fd, readable, writable, timeout): bits 1 readable, 2 writable, 4 hangup; 0 timed out */
static napi_value method_wait_ready(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct pollfd poller = {.fd = int_argument(&call, 0)};
  if (bool_argument(&call, 1)) poller.events |= POLLIN;
  if (bool_argument(&call, 2)) poller.events |= POLLOUT;
  int timeout = int_argument(&call, 3);
  if (call.invalid) return NULL;
  int64_t deadline = monotonic_ms() + timeout;
  int outcome;
  while ((outcome = poll(&poller, 1, timeout)) < 0 && errno == EINTR)
    if (timeout > 0) {
      int64_t left = deadline - monotonic_ms();
      timeout = left > 0 ? (int)left : 0;
    }
  if (outcome < 0) return throw_errno(env, "poll", errno);
  if (poller.revents & POLLNVAL) return throw_errno(env, "poll", EBADF);
  return int_result(env, (poller.revents & POLLIN ? 1 : 0) | (poller.revents & POLLOUT ? 2 : 0) |
                             (poller.revents & (POLLHUP | POLLERR) ? 4 : 0));
}

/* unshareDescriptors(): for the calling thread alone */
static napi_value method_unshare_descriptors(napi_env env, napi_callback_info info) {
  (void)info;
  return nothing_or_throw(env, "unshare", unshare(CLONE_FILES));
}

const struct method descriptor_methods[] = {
    {"open", method_open},
    {"close", method_close},
    {"read", method_read},
    {"readAt", method_read_at},
    {"writeAt", method_write_at},
    {"seek", method_seek},
    {"write", method_write},
    {"writev", method_writev},
    {"peek", method_peek},
    {"pipe", method_pipe},
    {"dup2", method_dup2},
    {"dup", method_dup},
    {"isOpen", method_is_open},
    {"setCloseOnExec", method_set_close_on_exec},
    {"isCloseOnExec", method_is_close_on_exec},
    {"statusFlags", method_status_flags},
    {"setNonblocking", method_set_nonblocking},
    {"isSocket", method_is_socket},
    {"isSameOpenFile", method_is_same_open_file},
    {"waitReady", method_wait_ready},
    {"unshareDescriptors", method_unshare_descriptors},
    {NULL, NULL},
};
