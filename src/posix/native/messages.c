/* Messages over Unix sockets: descriptors (SCM_RIGHTS) and datagrams with addresses. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RIGHTS_MAX = 253 }; /* SCM_MAX_FD of the kernel */

union control {
  struct cmsghdr header;
  unsigned char room[CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
};

/* sendMessage(fd, bytes, fds: Int32Array, count[, family, bytes, port, scope]) */
static napi_value method_send_message(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes bytes = bytes_argument(&call, 1);
  size_t room = 0;
  int32_t *fds = ints_argument(&call, 2, 0, &room);
  size_t count = uint_argument(&call, 3);
  if (count > room) refuse_call(&call, "more descriptors than were given");
  if (call.invalid) return NULL;
  if (count > RIGHTS_MAX) return throw_errno(env, "sendmsg", EINVAL);

  struct iovec vector = {.iov_base = bytes.data, .iov_len = bytes.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  struct sockaddr_storage address;
  union control control;
  if (!is_undefined(&call, 4)) {
    message.msg_namelen = address_argument(&call, 4, &address);
    message.msg_name = &address;
    if (call.invalid) return NULL;
  }
  if (count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
  }
  ssize_t outcome;
  RETRY(outcome, sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
  if (outcome >= 0) return double_result(env, (double)outcome);
  if (errno == EAGAIN || errno == EWOULDBLOCK) return undefined_result(env);
  return throw_errno(env, "sendmsg", errno);
}

/* Copy the descriptors of a message; how many there were. */
static int32_t collect_rights(struct msghdr *message, int32_t *fds) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t length = header->cmsg_len - CMSG_LEN(0);
    memcpy(fds + count, CMSG_DATA(header), length);
    count += length / sizeof(int);
  }
  return (int32_t)count;
}

/* The fields of what receiveMessage tells, before the descriptors. */
enum {
  RECEIVED_COUNT,
  RECEIVED_LOST_RIGHTS,
  RECEIVED_HAS_ADDRESS,
  RECEIVED_WAS_CUT,
  RECEIVED_HEADER
};

/* receiveMessage(fd, into, told: Int32Array, record): bytes, undefined when it would block */
static napi_value method_receive_message(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int fd = int_argument(&call, 0);
  struct bytes into = bytes_argument(&call, 1);
  int32_t *told = ints_argument(&call, 2, RECEIVED_HEADER + RIGHTS_MAX, NULL);
  struct bytes record = bytes_argument(&call, 3);
  if (record.length < ADDRESS_RECORD_BYTES) refuse_call(&call, "a record that is too short");
  if (call.invalid) return NULL;

  struct iovec vector = {.iov_base = into.data, .iov_len = into.length};
  struct sockaddr_storage address;
  union control control;
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_name = &address,
                           .msg_namelen = sizeof address, .msg_control = &control,
                           .msg_controllen = sizeof control};
  ssize_t outcome;
  RETRY(outcome, recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
  if (outcome < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return undefined_result(env);
  if (outcome < 0) return throw_errno(env, "recvmsg", errno);
  told[RECEIVED_COUNT] = collect_rights(&message, told + RECEIVED_HEADER);
  told[RECEIVED_LOST_RIGHTS] = (message.msg_flags & MSG_CTRUNC) != 0;
  told[RECEIVED_WAS_CUT] = (message.msg_flags & MSG_TRUNC) != 0;
  told[RECEIVED_HAS_ADDRESS] = message.msg_namelen > 0;
  if (message.msg_namelen > 0) write_address_record(record.data, fd, &address, message.msg_namelen);
  return double_result(env, (double)outcome);
}

const struct method message_methods[] = {
    {"sendMessage", method_send_message},
    {"receiveMessage", method_receive_message},
    {NULL, NULL},
};
