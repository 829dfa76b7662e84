/*
 * The load for fd holders, one line with a rate or a time in seconds:
 *
 *     fd-holder-load pairs SOCKET COUNT        store and retrieve with deletion, over one connection
 *     fd-holder-load visits SOCKET COUNT       the same with a connection for each of the two
 *     fd-holder-load crowd SOCKET COUNT CLIENTS  pairs over CLIENTS connections that stay open, in turn
 *     fd-holder-load fill SOCKET COUNT         store COUNT descriptors
 *     fd-holder-load transfer FROM TO COUNT    get a dump from one and set it in the other, COUNT times
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 253, BODY_MAX = 70000 };

union control {
  struct cmsghdr header;
  unsigned char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

struct message {
  unsigned char bytes[6 + BODY_MAX];
  size_t length; /* of the body */
  int fds[FDS_MAX];
  unsigned count;
};

static struct message out, in;

static void die(const char *what) {
  fprintf(stderr, "fd-holder-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int dial(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  return fd;
}

static void put32(unsigned char *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static uint32_t get32(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void send_out(int fd) {
  union control control;
  struct iovec vector = {.iov_base = out.bytes, .iov_len = 6 + out.length};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  put32(out.bytes, (uint32_t)out.length);
  out.bytes[4] = 0;
  out.bytes[5] = (unsigned char)out.count;
  if (out.count > 0) {
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(out.count * sizeof(int));
    memset(&control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(out.count * sizeof(int));
    memcpy(CMSG_DATA(header), out.fds, out.count * sizeof(int));
  }
  ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
  if (sent != (ssize_t)(6 + out.length)) die("sendmsg");
}

/* One whole message: its header first, and then its body, with whatever descriptors come. */
static void receive_in(int fd) {
  size_t have = 0, wanted = 6;
  in.count = 0;
  while (have < wanted) {
    union control control;
    struct iovec vector = {.iov_base = in.bytes + have, .iov_len = wanted - have};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got == 0) errno = EPIPE;
    if (got <= 0) die("recvmsg");
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
      size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      memcpy(in.fds + in.count, CMSG_DATA(header), count * sizeof(int));
      in.count += (unsigned)count;
    }
    have += (size_t)got;
    if (have == 6 && wanted == 6) wanted = 6 + get32(in.bytes);
  }
  in.length = wanted - 6;
}

static void expect_status(unsigned char status) {
  errno = in.bytes[6];
  if (in.length < 1 || in.bytes[6] != status) die("answer");
}

static void ask_store(int fd, unsigned number) {
  static const unsigned char limit[12] = {0x60, 0, 0, 0, 0x6b, 0, 0x88, 0x1d, 0, 0, 0, 0};
  unsigned char *body = out.bytes + 6;
  body[0] = 'S';
  memcpy(body + 1, limit, 12);
  body[13] = (unsigned char)sprintf((char *)body + 14, "id-%u", number);
  out.length = 15u + body[13];
  out.count = 1;
  out.fds[0] = 0;
  send_out(fd);
  receive_in(fd);
  expect_status(0);
}

static void ask_retrieve(int fd, unsigned number) {
  unsigned char *body = out.bytes + 6;
  body[0] = 'R';
  body[1] = 1;
  body[2] = (unsigned char)sprintf((char *)body + 3, "id-%u", number);
  out.length = 4u + body[2];
  out.count = 0;
  send_out(fd);
  receive_in(fd);
  expect_status(0);
  if (in.count != 1) die("descriptors");
  close(in.fds[0]);
}

static unsigned transfer(const char *from, const char *to) {
  static struct message trips[64];
  int source = dial(from), target = dial(to);
  out.bytes[6] = '?';
  out.length = 1;
  out.count = 0;
  send_out(source);
  receive_in(source);
  expect_status(0);
  unsigned count = get32(in.bytes + 7), total = get32(in.bytes + 11);
  for (unsigned i = 0; i < count; i++) {
    receive_in(source);
    trips[i] = in;
  }
  out.bytes[6] = '!';
  put32(out.bytes + 7, total);
  out.length = 5;
  send_out(target);
  receive_in(target);
  expect_status(0);
  for (unsigned i = 0; i < count; i++) {
    out.bytes[6] = '.';
    memcpy(out.bytes + 7, trips[i].bytes + 6, trips[i].length);
    out.length = trips[i].length + 1;
    out.count = trips[i].count;
    memcpy(out.fds, trips[i].fds, out.count * sizeof(int));
    send_out(target);
    for (unsigned j = 0; j < out.count; j++) close(out.fds[j]);
    receive_in(target);
    expect_status(i + 1 < count ? EAGAIN : 0);
  }
  close(source);
  close(target);
  return total;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  if (argc < 4) return 100;
  const char *what = argv[1];
  unsigned count = (unsigned)atoi(argv[3]);
  double began = now();
  if (strcmp(what, "pairs") == 0 || strcmp(what, "fill") == 0) {
    int fd = dial(argv[2]);
    for (unsigned i = 0; i < count; i++) {
      ask_store(fd, what[0] == 'f' ? 1000000 + i : i);
      if (what[0] == 'p') ask_retrieve(fd, i);
    }
  } else if (strcmp(what, "visits") == 0) {
    for (unsigned i = 0; i < count; i++) {
      int fd = dial(argv[2]);
      ask_store(fd, i);
      close(fd);
      fd = dial(argv[2]);
      ask_retrieve(fd, i);
      close(fd);
    }
  } else if (strcmp(what, "crowd") == 0 && argc > 4) {
    unsigned clients = (unsigned)atoi(argv[4]);
    int *fds = calloc(clients, sizeof *fds);
    if (fds == NULL) die("calloc");
    for (unsigned i = 0; i < clients; i++) fds[i] = dial(argv[2]);
    for (unsigned i = 0; i < clients; i++) {
      ask_store(fds[i], i);
      ask_retrieve(fds[i], i);
    }
    began = now();
    for (unsigned i = 0; i < count; i++) {
      ask_store(fds[i % clients], i);
      ask_retrieve(fds[i % clients], i);
    }
  } else if (strcmp(what, "transfer") == 0 && argc > 4) {
    count = (unsigned)atoi(argv[4]);
    for (unsigned i = 0; i < count; i++) transfer(argv[2], argv[3]);
  } else {
    return 100;
  }
  printf("%.1f\n", count / (now() - began));
  return 0;
}
