/*
 * What the files about births share: the parent (spawn.c), the child until it has executed its
 * program (child.c), the memory between them (places.c), and the way of the descriptors from one to
 * the other (handover.c). docs/architecture.md, "Spawning a child", has the protocol.
 */
#ifndef UCSPI_BIRTH_H
#define UCSPI_BIRTH_H

#include "program.h"

#include <sys/socket.h>
#include <sys/types.h>

/* The steps of a child, in their order. */
enum step {
  STEP_NONE,
  STEP_UNSHARE,
  STEP_RECVMSG,
  STEP_SETSID,
  STEP_SETPGID,
  STEP_FCHDIR,
  STEP_CHDIR,
  STEP_OOM_SCORE,
  STEP_DUP,
  STEP_PRLIMIT,
  STEP_SETGROUPS,
  STEP_SETGID,
  STEP_SETUID,
  STEP_EXECVE,
};

struct kernel_limit {
  uint64_t soft;
  uint64_t hard;
};

struct limit {
  int resource;
  bool keeps_hard; /* the hard limit stays as it is, and is the most that the soft one may be */
  struct kernel_limit value;
};

struct move {
  int target;
  int source; /* -1 closes the target */
  int right;  /* where the source is in the message, if there is one */
};

/*
 * A message with the sources of a birth: the parent sends them, and the child receives them into the
 * same memory, under numbers of its own.
 */
struct rights {
  struct msghdr message;
  struct iovec payload;
  int *fds; /* the part of the message's control data that holds them */
  int count;
  char byte;
};

/*
 * A list of one futex, as set_robust_list(2) has it: when its owner executes a program or ends, the kernel
 * takes the owner's number out of the word that is `offset` bytes behind `entry`.
 */
struct robust_list {
  void *first;
  long offset;
  void *pending;
  void *entry;
};

/* Everything a child has to know, and where it leaves word of what went wrong. */
struct birth {
  struct program program;
  pid_t *running; /* of a child with a copy of our memory: the word that tells that it is on its way */
  struct robust_list robust;
  int session; /* 0, 1 setsid, 2 background */
  int umask;   /* -1 leaves it, as it does below */
  double uid;
  double gid;
  int group_count; /* -1 leaves the groups */
  int limit_count;
  int move_count;
  gid_t *groups;
  struct limit *limits;
  struct move *moves;
  bool closes_others; /* above 2, but for the targets */
  int death_signal;   /* of the parent's death, 0 for none */
  pid_t parent;
  int first_free_fd;  /* above all targets */
  int directory_fd;  /* -1 for none */
  int directory_right;
  const char *directory;
  /*
   * The child shares our table of descriptors at first, and copies what is below this number; -1 when
   * clone has copied the whole table.
   */
  int table_bound;
  int receiving; /* the end of a pair that the rights are at */
  struct rights rights;
  unsigned char *control; /* room for RIGHTS_ROOM(move_count + 1) */
  bool has_no_handlers; /* clone has taken them away */
  bool has_rights; /* written by the child: it has received them */
  char oom_score[8]; /* text; empty leaves the score */
  volatile int error; /* written by the child, once, before it ends */
  volatile enum step step;
};

/* Two connected sockets, for one birth at a time. */
struct pair {
  int sending; /* -1 when there is no pair */
  int receiving;
};

/*
 * The memory of a birth: the child reads nothing else, and runs on a stack at its far end. The kernel
 * clears `is_running` when the child has executed its program or is gone; where the child has a copy of our
 * memory, the RUNNING bits of it.
 */
enum { RUNNING = 0x3fffffff };


struct place {
  pid_t is_running;
  pid_t pid;
  double serial;
  size_t length;
  bool is_shared; /* the child has a copy of our memory but for this */
  struct place *next;
  struct pair pair; /* until the child has received its rights or is gone */
  struct birth birth;
};

/* child.c */
IN_CHILD int child_main(void *birth);
const char *step_name(enum step step);

/* process.c: 1 when the child has executed a program, 0 when not, -1 when /proc does not tell. */
int has_executed(int pid);

/* places.c: the births of one environment. */
struct births;
struct births *births_of(struct instance *instance); /* NULL when there is no memory */

/* A place with this much room behind its head, to be launched or returned; NULL with errno. */
struct place *take_place(struct births *births, size_t room, bool is_shared);
void *stack_top(struct place *place);

/* A child is on its way in this place: the birth's number. */
double launch_place(struct births *births, struct place *place, pid_t pid);
void return_place(struct births *births, struct place *place);

/* Make the pairs, once. */
void prepare_pairs(struct births *births);
/* A pair for this place, if there is one to be had. */
bool take_pair(struct births *births, struct place *place);

/* The births in flight, of which as many as fit go into `serials`; how many there are. */
size_t list_in_flight(struct births *births, double *serials, size_t room);

/* handover.c */
enum { PAIRS_MAX = 16, RIGHTS_MAX = 253 };
#define RIGHTS_ROOM(count) CMSG_SPACE((count) * sizeof(int))

/*
 * Arrange for the child to share our table of descriptors and to receive its sources, which are ours
 * again to close from now on; or leave it with a copy of the whole table.
 */
void hand_over(struct births *births, struct place *place);

/* As many pairs as fit into the array of PAIRS_MAX and under the limit on open files. */
int make_pairs(struct pair *pairs);
/* Take what nobody has received out of a pair, and close it. */
void drain_pair(const struct pair *pair);
void close_pair(const struct pair *pair);

/* What became of a birth that is over: true when it failed, told once. */
bool take_failure(struct births *births, double serial, int *error, enum step *step);

#endif
