/*
 * Children: made beside us in our memory, where they run until they have executed their program. They
 * make raw system calls only.
 */
#define _GNU_SOURCE
#include "program.h"
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifdef SYS_setgroups32
#define RAW_SETGROUPS SYS_setgroups32
#define RAW_SETGID SYS_setgid32
#define RAW_SETUID SYS_setuid32
#else
#define RAW_SETGROUPS SYS_setgroups
#define RAW_SETGID SYS_setgid
#define RAW_SETUID SYS_setuid
#endif

/* The plan is an array of doubles: these fields, then groups, limits and descriptors. */
enum {
  PLAN_SESSION, /* 0, 1 setsid, 2 background */
  PLAN_UMASK,   /* -1 leaves it, as it does below */
  PLAN_UID,
  PLAN_GID,
  PLAN_GROUPS,      /* how many, -1 to leave them */
  PLAN_LIMITS,      /* how many triples of resource, soft, hard */
  PLAN_DESCRIPTORS, /* how many pairs of target, source */
  PLAN_HEADER,
};

struct kernel_limit {
  uint64_t soft;
  uint64_t hard;
};

struct limit {
  int resource;
  struct kernel_limit value;
};

struct move {
  int target;
  int source;
  bool is_in_the_way; /* the source is the target of another move */
};

/* Everything the child has to know, and where it leaves word of what went wrong. */
struct birth {
  struct program *program;
  int session;
  int umask;
  double uid;
  double gid;
  int group_count;
  int limit_count;
  int move_count;
  gid_t *groups;
  struct limit *limits;
  struct move *moves;
  int first_free_fd;
  const char *directory;
  volatile int error;
  const char *volatile syscall;
};

enum { DETAILS_ON_STACK = 64 };

/* Room for the parts of a plan that vary in number, mostly few. */
struct details {
  struct move moves[DETAILS_ON_STACK];
  struct limit limits[DETAILS_ON_STACK];
  gid_t groups[DETAILS_ON_STACK];
  void *allocated;
};

static bool make_room(struct birth *birth, struct details *details) {
  details->allocated = NULL;
  birth->moves = details->moves;
  birth->limits = details->limits;
  birth->groups = details->groups;
  int most = birth->move_count;
  if (birth->limit_count > most) most = birth->limit_count;
  if (birth->group_count > most) most = birth->group_count;
  if (most <= DETAILS_ON_STACK) return true;

  size_t each = sizeof(struct move) + sizeof(struct limit) + sizeof(gid_t);
  unsigned char *room = details->allocated = malloc((size_t)most * each);
  if (room == NULL) return false;
  birth->limits = (struct limit *)room;
  birth->moves = (struct move *)(room + (size_t)most * sizeof(struct limit));
  birth->groups = (gid_t *)(room + (size_t)most * (sizeof(struct limit) + sizeof(struct move)));
  return true;
}

static void read_moves(struct birth *birth, const double *at) {
  birth->first_free_fd = 3;
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    move->target = (int)*at++;
    move->source = (int)*at++;
    move->is_in_the_way = false;
    if (move->target >= birth->first_free_fd) birth->first_free_fd = move->target + 1;
  }
  for (int i = 0; i < birth->move_count; i++)
    for (int j = 0; j < birth->move_count && !birth->moves[i].is_in_the_way; j++)
      birth->moves[i].is_in_the_way = i != j && birth->moves[i].source == birth->moves[j].target;
}

static void read_plan(struct call *call, struct birth *birth, struct details *details,
                      const double *plan, size_t length) {
  birth->session = (int)plan[PLAN_SESSION];
  birth->umask = (int)plan[PLAN_UMASK];
  birth->uid = plan[PLAN_UID];
  birth->gid = plan[PLAN_GID];
  birth->group_count = (int)plan[PLAN_GROUPS];
  birth->limit_count = (int)plan[PLAN_LIMITS];
  birth->move_count = (int)plan[PLAN_DESCRIPTORS];
  size_t groups = birth->group_count < 0 ? 0 : (size_t)birth->group_count;
  if (birth->limit_count < 0 || birth->move_count < 0 ||
      length < PLAN_HEADER + groups + 3 * (size_t)birth->limit_count +
                   2 * (size_t)birth->move_count) {
    refuse_call(call, "a plan that is too short");
    return;
  }
  if (!make_room(birth, details)) {
    call->invalid = true;
    throw_errno(call->env, "malloc", ENOMEM);
    return;
  }
  const double *at = plan + PLAN_HEADER;
  for (size_t i = 0; i < groups; i++) birth->groups[i] = (gid_t)*at++;
  for (int i = 0; i < birth->limit_count; i++, at += 3) {
    if (at[0] < 0 || at[0] >= RESOURCES_LENGTH) {
      refuse_call(call, "no such resource");
      free(details->allocated);
      return;
    }
    birth->limits[i].resource = RESOURCES[(int)at[0]];
    birth->limits[i].value.soft = limit_of_double(at[1]);
    birth->limits[i].value.hard = limit_of_double(at[2]);
  }
  read_moves(birth, at);
}

/* Each step gives 0 or the negative errno. */
IN_CHILD static long place_descriptors(const struct birth *birth) {
  struct move *end = birth->moves + birth->move_count;
  for (struct move *move = birth->moves; move < end; move++) {
    if (!move->is_in_the_way) continue;
    long copy = raw3(SYS_fcntl, move->source, F_DUPFD_CLOEXEC, birth->first_free_fd);
    if (copy < 0) return copy;
    move->source = (int)copy;
  }
  for (struct move *move = birth->moves; move < end; move++) {
    if (move->source < 0) {
      raw1(SYS_close, move->target); /* it may be closed already */
      continue;
    }
    long placed = move->source == move->target ? raw3(SYS_fcntl, move->target, F_SETFD, 0)
                                               : raw3(SYS_dup3, move->source, move->target, 0);
    if (placed < 0) return placed;
  }
  return 0;
}

IN_CHILD static long set_limits(const struct birth *birth) {
  for (int i = 0; i < birth->limit_count; i++) {
    const struct limit *limit = &birth->limits[i];
    long set = raw4(SYS_prlimit64, 0, limit->resource, &limit->value, NULL);
    if (set < 0) return set;
  }
  return 0;
}

/* True when the call named `syscall` went well; else leaves word of it. */
IN_CHILD static bool went_well(struct birth *birth, const char *syscall, long result) {
  if (result >= 0) return true;
  birth->error = (int)-result;
  birth->syscall = syscall;
  return false;
}

IN_CHILD static bool prepare_child(struct birth *birth) {
  if (birth->session == 1 && !went_well(birth, "setsid", raw1(SYS_setsid, 0))) return false;
  if (birth->session == 2 && !went_well(birth, "setpgid", raw2(SYS_setpgid, 0, 0))) return false;
  /* Before the limits: the descriptors that a chain has put in place outlive a lower limit. */
  if (!went_well(birth, "dup3", place_descriptors(birth))) return false;
  if (!went_well(birth, "prlimit", set_limits(birth))) return false;
  if (birth->group_count >= 0 &&
      !went_well(birth, "setgroups", raw2(RAW_SETGROUPS, birth->group_count, birth->groups)))
    return false;
  if (birth->gid >= 0 && !went_well(birth, "setgid", raw1(RAW_SETGID, (gid_t)birth->gid)))
    return false;
  if (birth->uid >= 0 && !went_well(birth, "setuid", raw1(RAW_SETUID, (uid_t)birth->uid)))
    return false;
  if (birth->directory != NULL && !went_well(birth, "chdir", raw1(SYS_chdir, birth->directory)))
    return false;
  if (birth->umask >= 0) raw1(SYS_umask, birth->umask);
  return true;
}

IN_CHILD static int child_main(void *argument) {
  struct birth *birth = argument;
  program_dispositions(); /* the handlers of Node and libuv must never run here */
  program_mask();
  if (prepare_child(birth)) went_well(birth, "execve", -try_files(birth->program));
  raw1(SYS_exit_group, 127);
  return 127;
}

static bool prepare_stack(struct instance *instance) {
  if (instance->child_stack != NULL) return true;
  void *stack = mmap(NULL, CHILD_STACK_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return false;
  instance->child_stack = stack;
  return true;
}

static int clone_child(struct instance *instance, struct birth *birth, int *pidfd) {
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  void *top = instance->child_stack + CHILD_STACK_BYTES;
  int pid = -1;
  if (!instance->lacks_clone_pidfd) {
    pid = clone(child_main, top, flags | CLONE_PIDFD, birth, pidfd);
    if (pid >= 0 || errno != EINVAL) return pid;
    instance->lacks_clone_pidfd = true;
  }
  pid = clone(child_main, top, flags, birth, pidfd);
  if (pid >= 0) *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  return pid;
}

/* What spawn and spawnAhead are asked for. */
struct request {
  struct program program;
  struct details details;
  struct birth birth;
  int32_t *result; /* pid and pidfd go here */
};

/* files, argv, environment, extra | undefined, plan, directory | undefined, result */
static void read_request(struct call *call, struct request *request) {
  size_t plan_length = 0;
  request->birth = (struct birth){.program = &request->program, .error = 0};
  double *plan = doubles_argument(call, 4, PLAN_HEADER, &plan_length);
  if (!is_undefined(call, 5)) request->birth.directory = string_argument(call, 5);
  request->result = ints_argument(call, 6, 2, NULL);
  load_program(call, &request->program, bytes_argument(call, 0), bytes_argument(call, 1),
               bytes_argument(call, 2), optional_bytes_argument(call, 3));
  if (call->invalid) return;
  read_plan(call, &request->birth, &request->details, plan, plan_length);
  if (call->invalid) free(request->program.allocated);
}

static void free_request(struct request *request) {
  free(request->details.allocated);
  free(request->program.allocated);
}

/* Create the child and wait until it has executed its program. */
static napi_value spawn_and_wait(napi_env env, struct instance *instance,
                                 struct request *request) {
  int pid = -1, pidfd = -1, error = ENOMEM;
  if (prepare_stack(instance)) {
    uint64_t mask = 0;
    set_mask(~UINT64_C(0), &mask);
    pid = clone_child(instance, &request->birth, &pidfd);
    error = errno;
    set_mask(mask, NULL);
  }
  free_request(request);
  if (pid < 0) return throw_errno(env, "clone", error);
  if (request->birth.error != 0) {
    int reaped;
    RETRY(reaped, waitpid(pid, NULL, 0));
    if (pidfd >= 0) close(pidfd);
    return throw_errno(env, request->birth.syscall, request->birth.error);
  }
  request->result[0] = pid;
  request->result[1] = pidfd;
  return undefined_result(env);
}

/* spawn(request...) */
static napi_value method_spawn(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct request request;
  read_request(&call, &request);
  return call.invalid ? NULL : spawn_and_wait(env, instance_of(env), &request);
}

/* --- spawning without waiting ------------------------------------------------------------------ */

/*
 * A place for a child on its way to its program, which runs beside us in our memory: everything it
 * reads is here, and so is its stack. The kernel clears `is_running` when the child has executed its
 * program or is gone. A place with a failure in it is kept until somebody asks.
 */
struct departure {
  pid_t is_running;
  pid_t pid;
  struct birth birth;
  struct program program;
  struct move moves[DETAILS_ON_STACK];
  struct limit limits[DETAILS_ON_STACK];
  gid_t groups[DETAILS_ON_STACK];
  size_t room_left;
  unsigned char *room;
};

enum { DEPARTURE_BYTES = 256 * 1024 };

static bool is_free(const struct departure *departure) {
  return __atomic_load_n(&departure->is_running, __ATOMIC_ACQUIRE) == 0 &&
         departure->birth.error == 0;
}

static struct departure *free_departure(struct instance *instance) {
  for (int i = 0; i < DEPARTURES_MAX; i++) {
    struct departure *departure = instance->departures[i];
    if (departure == NULL) {
      void *place = mmap(NULL, DEPARTURE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
      return place == MAP_FAILED ? NULL : (instance->departures[i] = place);
    }
    if (is_free(departure)) return departure;
  }
  return NULL;
}

static void *take_room(struct departure *departure, size_t length) {
  length = (length + 15) & ~(size_t)15;
  if (length > departure->room_left) return NULL;
  void *taken = departure->room;
  departure->room += length;
  departure->room_left -= length;
  return taken;
}

/* A copy of a vector and its strings; NULL when they do not fit. */
static char **copy_vector(struct departure *departure, char **vector) {
  size_t count = 0;
  while (vector[count] != NULL) count++;
  char **copy = take_room(departure, (count + 1) * sizeof *copy);
  if (copy == NULL) return NULL;
  for (size_t i = 0; i < count; i++) {
    size_t length = strlen(vector[i]) + 1;
    copy[i] = take_room(departure, length);
    if (copy[i] == NULL) return NULL;
    memcpy(copy[i], vector[i], length);
  }
  copy[count] = NULL;
  return copy;
}

/* Copy all that the child will read; false when it is too much for the place. */
static bool board(struct departure *departure, const struct request *request) {
  const struct birth *birth = &request->birth;
  if (request->details.allocated != NULL || birth->directory != NULL) return false;
  departure->room = (unsigned char *)(departure + 1);
  departure->room_left = DEPARTURE_BYTES - CHILD_STACK_BYTES - sizeof *departure;
  departure->birth = *birth;
  departure->birth.program = &departure->program;
  departure->birth.moves = memcpy(departure->moves, birth->moves, sizeof departure->moves);
  departure->birth.limits = memcpy(departure->limits, birth->limits, sizeof departure->limits);
  departure->birth.groups = memcpy(departure->groups, birth->groups, sizeof departure->groups);
  departure->program.files = copy_vector(departure, request->program.files);
  departure->program.argv = copy_vector(departure, request->program.argv);
  departure->program.environment = copy_vector(departure, request->program.environment);
  return departure->program.files != NULL && departure->program.argv != NULL &&
         departure->program.environment != NULL;
}

static int depart(struct departure *departure, int *pidfd) {
  void *top = (unsigned char *)departure + DEPARTURE_BYTES;
  uint64_t mask = 0;
  departure->is_running = 1;
  set_mask(~UINT64_C(0), &mask);
  departure->pid =
      clone(child_main, top, CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID | SIGCHLD,
            &departure->birth, pidfd, NULL, &departure->is_running);
  int error = errno;
  set_mask(mask, NULL);
  if (departure->pid < 0) departure->is_running = 0;
  errno = error;
  return departure->pid;
}

/* spawnAhead(request...): falls back to waiting where it has to */
static napi_value method_spawn_ahead(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  struct request request;
  read_request(&call, &request);
  if (call.invalid) return NULL;

  bool may = RAW_IS_SEPARATE && !instance->lacks_clone_pidfd;
  struct departure *departure = may ? free_departure(instance) : NULL;
  if (departure == NULL || !board(departure, &request))
    return spawn_and_wait(env, instance, &request);
  int pidfd = -1;
  int pid = depart(departure, &pidfd);
  if (pid < 0 && errno == EINVAL) return spawn_and_wait(env, instance, &request);
  int error = errno;
  free_request(&request);
  if (pid < 0) return throw_errno(env, "clone", error);
  request.result[0] = pid;
  request.result[1] = pidfd;
  return undefined_result(env);
}

/* spawnFailure(pid): throws what kept a child that has ended from executing its program, if it did */
static napi_value method_spawn_failure(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  int pid = int_argument(&call, 0);
  if (call.invalid) return NULL;
  for (int i = 0; i < DEPARTURES_MAX && instance->departures[i] != NULL; i++) {
    struct departure *departure = instance->departures[i];
    int error = departure->birth.error;
    if (departure->pid != pid || error == 0) continue;
    departure->birth.error = 0;
    return throw_errno(env, departure->birth.syscall, error);
  }
  return undefined_result(env);
}

void end_departures(struct instance *instance) {
  for (int i = 0; i < DEPARTURES_MAX && instance->departures[i] != NULL; i++) {
    struct departure *departure = instance->departures[i];
    while (__atomic_load_n(&departure->is_running, __ATOMIC_ACQUIRE) != 0) sched_yield();
    munmap(departure, DEPARTURE_BYTES);
  }
}

const struct method spawn_methods[] = {
    {"spawn", method_spawn},
    {"spawnAhead", method_spawn_ahead},
    {"spawnFailure", method_spawn_failure},
    {NULL, NULL},
};
