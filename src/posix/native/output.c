/*
 * Output without waiting. `writeNow` and `splice` never wait, whatever the flags of the open file say,
 * and leave those flags alone, for others share them. Where the kernel has no such call (terminals,
 * most devices) a thread of its own waits in their place.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * glibc 2.34 gave these a new version when it moved them from libpthread to libc. The first ones are the
 * same functions, and are found by the libraries of Node's oldest systems too.
 */
#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver pthread_create,pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_attr_setstacksize,pthread_attr_setstacksize@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver pthread_create,pthread_create@GLIBC_2.17");
__asm__(".symver pthread_attr_setstacksize,pthread_attr_setstacksize@GLIBC_2.17");
#endif

/* In the order of DESCRIPTOR_KINDS of the TypeScript side. */
enum { FILE_KIND, DIRECTORY_KIND, PIPE_KIND, SOCKET_KIND, MEMORY_KIND, DEVICE_KIND, OTHER_KIND };

/* The major number of /dev/null, /dev/zero, /dev/full and their like (devices.txt of Linux). */
enum { MEMORY_MAJOR = 1 };

/* fstat(2) by the kernel's own number, for the reason that files.c tells. */
static int stat_descriptor(int fd, struct stat *status) {
#if defined(SYS_fstat) && __SIZEOF_LONG__ == 8
  return (int)syscall(SYS_fstat, fd, status);
#else
  return fstat(fd, status);
#endif
}

static int kind_of(const struct stat *status) {
  switch (status->st_mode & S_IFMT) {
  case S_IFREG: return FILE_KIND;
  case S_IFDIR: return DIRECTORY_KIND;
  case S_IFIFO: return PIPE_KIND;
  case S_IFSOCK: return SOCKET_KIND;
  case S_IFCHR: return major(status->st_rdev) == MEMORY_MAJOR ? MEMORY_KIND : DEVICE_KIND;
  case S_IFBLK: return DEVICE_KIND;
  default: return OTHER_KIND;
  }
}

/* descriptorKind(fd) */
static napi_value method_descriptor_kind(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  if (call.invalid) return NULL;
  struct stat status;
  int outcome;
  RETRY(outcome, stat_descriptor(fd, &status));
  if (outcome < 0) return throw_errno(env, "fstat", errno);
  return int_result(env, kind_of(&status));
}

static napi_value transferred(napi_env env, const char *syscall_name, ssize_t outcome) {
  if (outcome >= 0) return double_result(env, (double)outcome);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return undefined_result(env);
  return throw_errno(env, syscall_name, errno);
}

/* pwritev2(2) at the current position; musl has no function for it. */
static ssize_t write_nowait(int fd, struct bytes bytes) {
  enum { NOWAIT = 8 };
  struct iovec vector = {.iov_base = bytes.data, .iov_len = bytes.length};
  return syscall(SYS_pwritev2, fd, &vector, 1, -1L, -1L, NOWAIT);
}

/* writeNow(fd, bytes) */
static napi_value method_write_now(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes bytes = bytes_argument(&call, 1);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, send(fd, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT));
  if (outcome < 0 && errno == ENOTSOCK) RETRY(outcome, write_nowait(fd, bytes));
  return transferred(env, "write", outcome);
}

/* splice(from, to, count): from pipe to pipe */
static napi_value method_splice(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int from = int_argument(&call, 0), to = int_argument(&call, 1);
  uint32_t count = uint_argument(&call, 2);
  if (call.invalid) return NULL;
  ssize_t outcome;
  RETRY(outcome, splice(from, NULL, to, NULL, count, SPLICE_F_NONBLOCK));
  return transferred(env, "splice", outcome);
}

enum { RECORD_BYTES_MAX = 32 * 1024, THREAD_STACK_BYTES = 256 * 1024 };

struct copier {
  int from, to;
};

static bool write_fully(int fd, const unsigned char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written;
    RETRY(written, write(fd, bytes, length));
    if (written < 0 && errno == EAGAIN) {
      struct pollfd poller = {.fd = fd, .events = POLLOUT};
      poll(&poller, 1, -1);
    } else if (written < 0) {
      return false;
    } else {
      bytes += written;
      length -= (size_t)written;
    }
  }
  return true;
}

/* It uses nothing of the environment that started it, which may end first. */
static void *copy_until_end(void *argument) {
  struct copier copier = *(struct copier *)argument;
  free(argument);
  unsigned char record[RECORD_BYTES_MAX];
  ssize_t count;
  do {
    RETRY(count, read(copier.from, record, sizeof record));
  } while (count > 0 && write_fully(copier.to, record, (size_t)count));
  close(copier.to);
  close(copier.from); /* last: the other end takes it as the sign that all is written */
  return NULL;
}

/* Signals 1 to 31. The next ones are libc's, which has every thread change its identity by one of them. */
static const uint64_t ORDINARY_SIGNALS = 0x7fffffff;

/* A detached thread that takes no signals. */
static int start_thread(struct copier *copier) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  uint64_t before;
  pthread_t thread;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
  set_mask(ORDINARY_SIGNALS, &before);
  error = pthread_create(&thread, &attributes, copy_until_end, copier);
  set_mask(before, &before);
  pthread_attr_destroy(&attributes);
  return error;
}

/* copyInThread(from, to): takes `from` over; `to` is copied */
static napi_value method_copy_in_thread(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int from = int_argument(&call, 0), to = int_argument(&call, 1);
  if (call.invalid) return NULL;
  int own = fcntl(to, F_DUPFD_CLOEXEC, 3);
  if (own < 0) return throw_errno(env, "fcntl", errno);
  struct copier *copier = malloc(sizeof *copier);
  if (copier != NULL) *copier = (struct copier){from, own};
  int error = copier == NULL ? ENOMEM : start_thread(copier);
  if (error == 0) return undefined_result(env);
  free(copier);
  close(own);
  return throw_errno(env, "pthread_create", error);
}

const struct method output_methods[] = {
    {"descriptorKind", method_descriptor_kind}, {"writeNow", method_write_now},
    {"splice", method_splice},                  {"copyInThread", method_copy_in_thread},
    {NULL, NULL},
};
