/*
 * How a child gets its descriptors at a cost that does not grow with those that we hold. clone would
 * copy the whole table, and execve close each of the copies. Instead the child shares our table at
 * first and copies the low part of it, where the inherited descriptors are (close_range(2) with
 * CLOSE_RANGE_UNSHARE). The sources, whatever their numbers, wait for it in a message between two
 * sockets of ours: from then on we may close them, and reuse their numbers. Where any of this cannot
 * be done, clone copies the table as ever.
 */
#define _GNU_SOURCE
#include "birth.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum {
  FILES_PER_PAIR = 64,     /* pairs take a small part of the descriptors we may have */
  SENDING_FD_MIN = 256,    /* the low numbers are those that children copy */
  SCANNED_FDS_MAX = 65536, /* without /proc */
};

/* --- descriptors that programs inherit --------------------------------------------------------- */

enum { UNKNOWN = INT_MAX, NOT_SOUGHT = -2 };

/* Of the process, all its environments share them: the highest found at first, and noted later. */
static int highest_found = NOT_SOUGHT;
static int highest_noted = -1;

void note_inheritable(int fd) {
  int before = __atomic_load_n(&highest_noted, __ATOMIC_RELAXED);
  while (before < fd && !__atomic_compare_exchange_n(&highest_noted, &before, fd, true,
                                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static bool is_inheritable(int fd) {
  int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

static int highest_listed(DIR *listing) {
  int highest = -1;
  bool lists_itself = false;
  for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    char *end = NULL;
    long fd = strtol(entry->d_name, &end, 10);
    if (*end != 0 || end == entry->d_name) continue;
    if (fd == dirfd(listing)) lists_itself = true;
    if (fd > highest && is_inheritable((int)fd)) highest = (int)fd;
  }
  return lists_itself ? highest : UNKNOWN;
}

/* Where /proc does not tell, each number that may be in use is tried, if there are not too many. */
static int highest_scanned(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max > SCANNED_FDS_MAX) return UNKNOWN;
  int fd = (int)limit.rlim_max - 1;
  while (fd >= 0 && !is_inheritable(fd)) fd--;
  return fd;
}

/* Asked without the flag that would have us leave the table we share with other threads. */
static bool has_close_range(void) {
  return syscall(SYS_close_range, ~0U, ~0U, 0) >= 0;
}

static int seek_highest(void) {
  if (!has_close_range()) return UNKNOWN;
  DIR *listing = opendir("/proc/thread-self/fd");
  if (listing == NULL) {
    bool is_short = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
    return is_short ? NOT_SOUGHT : highest_scanned();
  }
  int highest = highest_listed(listing);
  closedir(listing);
  return highest;
}

/* The highest descriptor that a program may inherit; -1 for none. UNKNOWN: clone copies the table. */
static int highest_inheritable(void) {
  int found = __atomic_load_n(&highest_found, __ATOMIC_RELAXED);
  if (found == NOT_SOUGHT) {
    found = seek_highest();
    __atomic_store_n(&highest_found, found, __ATOMIC_RELAXED);
    if (found == NOT_SOUGHT) return UNKNOWN;
  }
  int noted = __atomic_load_n(&highest_noted, __ATOMIC_RELAXED);
  return noted > found ? noted : found;
}

/* --- pairs of sockets -------------------------------------------------------------------------- */

static int make_pair(struct pair *pair) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) return -1;
  int high = fcntl(ends[1], F_DUPFD_CLOEXEC, SENDING_FD_MIN);
  if (high >= 0) close(ends[1]);
  *pair = (struct pair){high >= 0 ? high : ends[1], ends[0]};
  return 0;
}

int make_pairs(struct pair *pairs) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 0;
  rlim_t wanted = limit.rlim_cur / FILES_PER_PAIR;
  int count = 0;
  while (count < PAIRS_MAX && (rlim_t)count < wanted && make_pair(&pairs[count]) == 0) count++;
  return count;
}

void drain_pair(const struct pair *pair) {
  char byte;
  union {
    struct cmsghdr header;
    unsigned char bytes[RIGHTS_ROOM(RIGHTS_MAX)];
  } control;
  struct iovec payload = {&byte, 1};
  struct msghdr message = {.msg_iov = &payload,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
  ssize_t received;
  RETRY(received, recvmsg(pair->receiving, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
  if (received < 0) return;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return;
  size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  const int *fds = (const int *)CMSG_DATA(header);
  for (size_t i = 0; i < count; i++) close(fds[i]);
}

void close_pair(const struct pair *pair) {
  close(pair->sending);
  close(pair->receiving);
}

/* --- sending ----------------------------------------------------------------------------------- */

/* The index of a source among the rights. */
static int add_right(struct rights *rights, int fd) {
  for (int i = 0; i < rights->count; i++)
    if (rights->fds[i] == fd) return i;
  rights->fds[rights->count] = fd;
  return rights->count++;
}

static void collect_rights(struct birth *birth) {
  struct rights *rights = &birth->rights;
  struct cmsghdr *header = (struct cmsghdr *)birth->control;
  rights->fds = (int *)CMSG_DATA(header);
  rights->count = 0;
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    if (move->source >= 0) move->right = add_right(rights, move->source);
  }
  if (birth->directory_fd >= 0) birth->directory_right = add_right(rights, birth->directory_fd);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN((size_t)rights->count * sizeof(int)),
                             .cmsg_level = SOL_SOCKET,
                             .cmsg_type = SCM_RIGHTS};
  rights->payload = (struct iovec){&rights->byte, 1};
  rights->message = (struct msghdr){.msg_iov = &rights->payload,
                                    .msg_iovlen = 1,
                                    .msg_control = birth->control,
                                    .msg_controllen = header->cmsg_len};
}

static bool send_rights(const struct pair *pair, struct rights *rights) {
  ssize_t sent;
  RETRY(sent, sendmsg(pair->sending, &rights->message, MSG_DONTWAIT | MSG_NOSIGNAL));
  rights->message.msg_controllen = RIGHTS_ROOM((size_t)rights->count);
  return sent == 1;
}

void hand_over(struct births *births, struct place *place) {
  struct birth *birth = &place->birth;
  birth->table_bound = -1;
  birth->has_rights = false;
  int highest = place->is_shared ? UNKNOWN : highest_inheritable();
  if (highest == UNKNOWN || birth->move_count >= RIGHTS_MAX) return;
  collect_rights(birth);
  if (birth->rights.count == 0) {
    birth->has_rights = true;
  } else {
    /* What cannot be sent (a closed number, say) the child will find out in its copy of the table. */
    if (!take_pair(births, place) || !send_rights(&place->pair, &birth->rights)) return;
    birth->receiving = place->pair.receiving;
    if (birth->receiving > highest) highest = birth->receiving;
  }
  birth->table_bound = highest + 1;
}
