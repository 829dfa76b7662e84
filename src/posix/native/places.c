/*
 * The memory of births. A place comes back by itself once its child has left it, whatever became of
 * the child: the next birth looks, before it asks the system for more memory. A failure that nobody
 * has asked for yet is kept apart meanwhile.
 */
#define _GNU_SOURCE
#include "birth.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
  PLACE_BYTES = 128 * 1024, /* most births fit; others get a place of their own size */
  STACK_BYTES = 32 * 1024,
  ROUNDING = 64 * 1024, /* the largest pages there are */
  FREE_MAX = 64,        /* places kept for later births */
};

struct failed {
  double serial;
  int error;
  enum step step;
  struct failed *next;
};

struct births {
  double last_serial;
  struct place *in_flight; /* newest first */
  struct place *free;
  int free_count;
  struct failed *failed;
  struct pair pairs[PAIRS_MAX]; /* those that no birth has */
  int pair_count;
  bool has_made_pairs;
};

static const struct pair NO_PAIR = {-1, -1};

struct births *births_of(struct instance *instance) {
  if (instance->births == NULL) instance->births = calloc(1, sizeof *instance->births);
  return instance->births;
}

static bool is_in_flight(const struct place *place) {
  if ((__atomic_load_n(&place->is_running, __ATOMIC_ACQUIRE) & RUNNING) == 0) return false;
  return !place->is_shared || (place->birth.error == 0 && has_executed(place->pid) != 1);
}

/* False when there is no memory to keep the failure apart: the place keeps it then. */
static bool keep_failure(struct births *births, const struct place *place) {
  if (place->birth.error == 0) return true;
  struct failed *failed = malloc(sizeof *failed);
  if (failed == NULL) return false;
  *failed =
      (struct failed){place->serial, place->birth.error, place->birth.step, births->failed};
  births->failed = failed;
  return true;
}

static bool has_rights(const struct place *place) {
  return __atomic_load_n(&place->birth.has_rights, __ATOMIC_ACQUIRE);
}

/* A child that has its rights, or is gone, needs its pair no more. */
static void return_pair(struct births *births, struct place *place) {
  if (place->pair.sending < 0) return;
  if (!has_rights(place)) drain_pair(&place->pair);
  births->pairs[births->pair_count++] = place->pair;
  place->pair = NO_PAIR;
}

void prepare_pairs(struct births *births) {
  if (!births->has_made_pairs) births->pair_count = make_pairs(births->pairs);
  births->has_made_pairs = true;
}

void return_place(struct births *births, struct place *place) {
  return_pair(births, place);
  if (place->length != PLACE_BYTES || place->is_shared || births->free_count >= FREE_MAX) {
    munmap(place, place->length);
    return;
  }
  place->next = births->free;
  births->free = place;
  births->free_count++;
}

/* Take back the places whose children have left them. */
static void collect_places(struct births *births) {
  struct place **link = &births->in_flight;
  while (*link != NULL) {
    struct place *place = *link;
    if (is_in_flight(place) || !keep_failure(births, place)) {
      link = &place->next;
      continue;
    }
    *link = place->next;
    return_place(births, place);
  }
}

bool take_pair(struct births *births, struct place *place) {
  prepare_pairs(births);
  if (births->pair_count == 0) {
    collect_places(births);
    for (struct place *other = births->in_flight; other != NULL; other = other->next)
      if (has_rights(other)) return_pair(births, other);
  }
  if (births->pair_count == 0) return false;
  place->pair = births->pairs[--births->pair_count];
  return true;
}

static struct place *map_place(size_t length, bool is_shared) {
  int flags = (is_shared ? MAP_SHARED : MAP_PRIVATE | MAP_STACK) | MAP_ANONYMOUS;
  struct place *place = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (place == MAP_FAILED) return NULL;
  place->length = length;
  place->is_shared = is_shared;
  place->pair = NO_PAIR;
  return place;
}

struct place *take_place(struct births *births, size_t room, bool is_shared) {
  size_t length = sizeof(struct place) + room + STACK_BYTES;
  if (is_shared || length > PLACE_BYTES) {
    collect_places(births);
    return map_place((length + ROUNDING - 1) / ROUNDING * ROUNDING, is_shared);
  }
  if (births->free == NULL) collect_places(births);
  struct place *place = births->free;
  if (place == NULL) return map_place(PLACE_BYTES, false);
  births->free = place->next;
  births->free_count--;
  return place;
}

void *stack_top(struct place *place) {
  return (unsigned char *)place + place->length;
}

double launch_place(struct births *births, struct place *place, pid_t pid) {
  place->pid = pid;
  place->serial = ++births->last_serial;
  place->next = births->in_flight;
  births->in_flight = place;
  return place->serial;
}

size_t list_in_flight(struct births *births, double *serials, size_t room) {
  collect_places(births);
  size_t count = 0;
  for (struct place *place = births->in_flight; place != NULL; place = place->next) {
    if (!is_in_flight(place)) continue; /* a failure that could not be kept apart */
    if (count < room) serials[count] = place->serial;
    count++;
  }
  return count;
}

bool take_failure(struct births *births, double serial, int *error, enum step *step) {
  for (struct place *place = births->in_flight; place != NULL; place = place->next)
    if (place->serial == serial && place->is_shared) place->is_running = 0;
  collect_places(births);
  for (struct failed **link = &births->failed; *link != NULL; link = &(*link)->next) {
    struct failed *failed = *link;
    if (failed->serial != serial) continue;
    *error = failed->error;
    *step = failed->step;
    *link = failed->next;
    free(failed);
    return true;
  }
  return false;
}

/*
 * At the end of an environment (a worker) the process goes on, and so do its children. A place whose
 * child is still there stays mapped: nobody can say when it will be gone, and waiting for it could be
 * for ever. It is a few pages, for the life of the process.
 */
void end_births(struct instance *instance) {
  struct births *births = instance->births;
  if (births == NULL) return;
  collect_places(births);
  for (struct place *place = births->in_flight; place != NULL; place = place->next)
    if (has_rights(place)) return_pair(births, place);
  for (int i = 0; i < births->pair_count; i++) close_pair(&births->pairs[i]);
  for (struct place *place = births->free, *next; place != NULL; place = next) {
    next = place->next;
    munmap(place, place->length);
  }
  for (struct failed *failed = births->failed, *next; failed != NULL; failed = next) {
    next = failed->next;
    free(failed);
  }
  free(births);
}
