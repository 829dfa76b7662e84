/*
 * What the files about births share: the parent (spawn.c), the child until it has executed its
 * program (child.c), and the memory between them (places.c). docs/architecture.md, "How a child is
 * born", has the protocol.
 */
#ifndef UCSPI_BIRTH_H
#define UCSPI_BIRTH_H

#include "program.h"

#include <sys/types.h>

/* The steps of a child, in their order. */
enum step {
  STEP_NONE,
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
  int source;            /* -1 closes the target */
  bool is_in_the_way;    /* the source is the target of another move */
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
  int first_free_fd;  /* above all targets */
  int directory_fd;  /* -1 for none */
  const char *directory;
  char oom_score[8]; /* text; empty leaves the score */
  volatile int error; /* written by the child, once, before it ends */
  volatile enum step step;
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

/* The births in flight, of which as many as fit go into `serials`; how many there are. */
size_t list_in_flight(struct births *births, double *serials, size_t room);

/* What became of a birth that is over: true when it failed, told once. */
bool take_failure(struct births *births, double serial, int *error, enum step *step);

#endif
