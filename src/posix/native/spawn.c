/*
 * Children: made beside us in our memory, where they run until they have executed their program, and
 * never waited for. The parent copies all that a child reads into a place of the child's own.
 */
#define _GNU_SOURCE
#include "birth.h"
#include "raw.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
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
  PLAN_DIRECTORY,   /* a descriptor, -1 for none */
  PLAN_OOM_SCORE,   /* NO_OOM_SCORE leaves it */
  PLAN_CLOSES,      /* are descriptors above 2 that are not named closed? */
  PLAN_DEATH,       /* the signal that tells of our death, 0 for none */
  PLAN_HEADER,
};

enum { NO_OOM_SCORE = 32767 };

/* The results besides the birth's number. */
enum { RESULT_PID, RESULT_PIDFD, RESULT_LENGTH };

struct request {
  struct blocks blocks;
  const char *directory;
  const double *plan;
  size_t groups;
  size_t limits;
  size_t moves;
  int32_t *result;
};

static void check_plan(struct call *call, struct request *request, size_t length) {
  const double *plan = request->plan;
  if (plan[PLAN_LIMITS] < 0 || plan[PLAN_DESCRIPTORS] < 0) {
    refuse_call(call, "a plan with a negative count");
    return;
  }
  request->groups = plan[PLAN_GROUPS] < 0 ? 0 : (size_t)plan[PLAN_GROUPS];
  request->limits = (size_t)plan[PLAN_LIMITS];
  request->moves = (size_t)plan[PLAN_DESCRIPTORS];
  if (length < PLAN_HEADER + request->groups + 3 * request->limits + 2 * request->moves) {
    refuse_call(call, "a plan that is too short");
    return;
  }
  const double *limit = plan + PLAN_HEADER + request->groups;
  for (size_t i = 0; i < request->limits; i++, limit += 3)
    if (limit[0] < 0 || limit[0] >= RESOURCES_LENGTH) refuse_call(call, "no such resource");
}

/* files, argv, environment, extra | undefined, plan, directory | undefined, result */
static void read_request(struct call *call, struct request *request) {
  size_t plan_length = 0;
  request->blocks = (struct blocks){bytes_argument(call, 0), bytes_argument(call, 1),
                                    bytes_argument(call, 2), optional_bytes_argument(call, 3)};
  request->plan = doubles_argument(call, 4, PLAN_HEADER, &plan_length);
  request->directory = is_undefined(call, 5) ? NULL : string_argument(call, 5);
  request->result = ints_argument(call, 6, RESULT_LENGTH, NULL);
  check_blocks(call, &request->blocks);
  if (!call->invalid) check_plan(call, request, plan_length);
}

static size_t room_for(const struct request *request) {
  const struct blocks *blocks = &request->blocks;
  size_t directory = request->directory == NULL ? 0 : strlen(request->directory) + 1;
  return count_vectors(blocks) * sizeof(char *) + request->limits * sizeof(struct limit) +
         request->moves * sizeof(struct move) + request->groups * sizeof(gid_t) +
         RIGHTS_ROOM(request->moves + 1) +
         blocks->files.length + blocks->argv.length + blocks->environment.length +
         blocks->extra.length + directory;
}

static struct bytes copy_bytes(unsigned char **at, struct bytes bytes) {
  struct bytes copy = {*at, bytes.length};
  if (bytes.length > 0) memcpy(*at, bytes.data, bytes.length);
  *at += bytes.length;
  return copy;
}

/* Wide fields first, so that each is aligned. */
static void copy_request(struct birth *birth, const struct request *request, void *room) {
  char **vectors = room;
  birth->control = (unsigned char *)(vectors + count_vectors(&request->blocks));
  birth->limits = (struct limit *)(birth->control + RIGHTS_ROOM(request->moves + 1));
  birth->moves = (struct move *)(birth->limits + request->limits);
  birth->groups = (gid_t *)(birth->moves + request->moves);
  unsigned char *at = (unsigned char *)(birth->groups + request->groups);
  struct blocks copies = {
      copy_bytes(&at, request->blocks.files), copy_bytes(&at, request->blocks.argv),
      copy_bytes(&at, request->blocks.environment), copy_bytes(&at, request->blocks.extra)};
  make_vectors(&birth->program, &copies, vectors);
  birth->directory = NULL;
  if (request->directory != NULL)
    birth->directory = memcpy(at, request->directory, strlen(request->directory) + 1);
}

static void read_moves(struct birth *birth, const double *at) {
  birth->first_free_fd = 3;
  for (int i = 0; i < birth->move_count; i++) {
    struct move *move = &birth->moves[i];
    move->target = (int)*at++;
    move->source = (int)*at++;
    if (move->target >= birth->first_free_fd) birth->first_free_fd = move->target + 1;
  }
}

static void read_plan(struct birth *birth, const struct request *request) {
  const double *plan = request->plan;
  birth->session = (int)plan[PLAN_SESSION];
  birth->umask = (int)plan[PLAN_UMASK];
  birth->uid = plan[PLAN_UID];
  birth->gid = plan[PLAN_GID];
  birth->group_count = (int)plan[PLAN_GROUPS];
  birth->limit_count = (int)plan[PLAN_LIMITS];
  birth->move_count = (int)plan[PLAN_DESCRIPTORS];
  birth->directory_fd = (int)plan[PLAN_DIRECTORY];
  birth->oom_score[0] = 0;
  if (plan[PLAN_OOM_SCORE] != NO_OOM_SCORE)
    snprintf(birth->oom_score, sizeof birth->oom_score, "%d", (int)plan[PLAN_OOM_SCORE]);
  const double *at = plan + PLAN_HEADER;
  for (size_t i = 0; i < request->groups; i++) birth->groups[i] = (gid_t)*at++;
  for (size_t i = 0; i < request->limits; i++, at += 3) {
    birth->limits[i].resource = RESOURCES[(int)at[0]];
    birth->limits[i].keeps_hard = isnan(at[2]);
    birth->limits[i].value.soft = limit_of_double(at[1]);
    birth->limits[i].value.hard = isnan(at[2]) ? 0 : limit_of_double(at[2]);
  }
  birth->closes_others = plan[PLAN_CLOSES] != 0;
  birth->death_signal = (int)plan[PLAN_DEATH];
  birth->parent = getpid();
  read_moves(birth, at);
  birth->error = 0;
  birth->step = STEP_NONE;
}

/* clone3(2), which takes the handlers away as well: 62 calls that the child need not make. */
static int clone3_child(struct instance *instance, struct place *place, void **top, int *pidfd,
                        unsigned long flags) {
  struct clone3_arguments arguments = {
      .flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
      .pidfd = (uintptr_t)pidfd,
      .child_tid = (uintptr_t)&place->is_running,
      .exit_signal = SIGCHLD,
      .stack = (uintptr_t)place,
      .stack_size = (uintptr_t)top - (uintptr_t)place,
  };
  place->birth.has_no_handlers = true;
  int pid = (int)raw_clone3(&arguments);
  if (pid == -ENOSYS || pid == -EINVAL || pid == -EPERM) instance->lacks_clone3 = true;
  return pid;
}

/* A child, with a pidfd or else -1 in its place. */
static int clone_child(struct instance *instance, struct place *place, int *pidfd) {
  void **top = stack_top(place);
  *--top = &place->birth;
  *--top = (void *)child_main;
  unsigned long flags = (place->is_shared ? 0 : CLONE_VM) |
                        (place->birth.table_bound < 0 ? 0 : CLONE_FILES) | CLONE_CHILD_CLEARTID;
  *pidfd = -1;
  if (!instance->lacks_clone3) {
    int pid = clone3_child(instance, place, top, pidfd, flags);
    if (!instance->lacks_clone3) return pid;
  }
  place->birth.has_no_handlers = false;
  flags |= SIGCHLD;
  if (!instance->lacks_clone_pidfd) {
    int pid = (int)raw_clone(flags | CLONE_PIDFD, top, pidfd, &place->is_running);
    if (pid != -EINVAL) return pid;
    instance->lacks_clone_pidfd = true;
  }
  int pid = (int)raw_clone(flags, top, NULL, &place->is_running);
  if (pid > 0) *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  return pid;
}

/* A process that shares our memory must not share a handler's run: nothing is delivered meanwhile. */
static int start_child(struct instance *instance, struct place *place, int *pidfd) {
  uint64_t mask = 0;
  seek_ignored();
  place->is_running = 1;
  set_mask(~UINT64_C(0), &mask);
  int pid = clone_child(instance, place, pidfd);
  set_mask(mask, NULL);
  return pid;
}

/* spawn(files, argv, environment, extra, plan, directory, result): the number of the birth */
static napi_value method_spawn(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  struct instance *instance = instance_of(env);
  struct request request;
  read_request(&call, &request);
  if (call.invalid) return NULL;
  struct births *births = births_of(instance);
  if (births == NULL) return throw_errno(env, "mmap", ENOMEM);
  bool has_oom_score = request.plan[PLAN_OOM_SCORE] != NO_OOM_SCORE;
  struct place *place = take_place(births, room_for(&request), has_oom_score);
  if (place == NULL) return throw_errno(env, "mmap", errno);
  copy_request(&place->birth, &request, place + 1);
  place->birth.running = place->is_shared ? &place->is_running : NULL;
  read_plan(&place->birth, &request);
  hand_over(births, place);
  int pidfd = -1;
  int pid = start_child(instance, place, &pidfd);
  if (pid < 0) {
    return_place(births, place);
    return throw_errno(env, "clone", -pid);
  }
  request.result[RESULT_PID] = pid;
  request.result[RESULT_PIDFD] = pidfd;
  return double_result(env, launch_place(births, place, pid));
}

/* prepareSpawns() */
static napi_value method_prepare_spawns(napi_env env, napi_callback_info info) {
  (void)info;
  struct births *births = births_of(instance_of(env));
  if (births == NULL) return throw_errno(env, "malloc", ENOMEM);
  prepare_pairs(births);
  return undefined_result(env);
}

/* birthsInFlight(into: Float64Array): how many there are */
static napi_value method_births_in_flight(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  size_t room = 0;
  double *serials = doubles_argument(&call, 0, 0, &room);
  if (call.invalid) return NULL;
  struct births *births = instance_of(env)->births;
  return double_result(env, births == NULL ? 0 : list_in_flight(births, serials, room));
}

/* birthFailure(birth): throws what kept the child from executing its program, once */
static napi_value method_birth_failure(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  double serial = double_argument(&call, 0);
  if (call.invalid) return NULL;
  struct births *births = instance_of(env)->births;
  int error = 0;
  enum step step = STEP_NONE;
  if (births != NULL && take_failure(births, serial, &error, &step))
    return throw_errno(env, step_name(step), error);
  return undefined_result(env);
}

const struct method spawn_methods[] = {
    {"prepareSpawns", method_prepare_spawns},
    {"spawn", method_spawn},
    {"birthsInFlight", method_births_in_flight},
    {"birthFailure", method_birth_failure},
    {NULL, NULL},
};
