/*
 * Signal masks and dispositions by raw system calls: libc keeps two real-time signals for itself and
 * would leave them alone, and in a vforked child nothing else may be called. The kernel's struct
 * sigaction differs between architectures, but begins with the handler on all of them; all of it zero
 * is SIG_DFL.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "raw.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KERNEL_MASK_BYTES = 8 };

__attribute__((no_sanitize("address", "undefined"))) void set_mask(uint64_t mask,
                                                                   uint64_t *before) {
  raw4(SYS_rt_sigprocmask, SIG_SETMASK, &mask, before, KERNEL_MASK_BYTES);
}

void add_to_mask(int number, uint64_t *before) {
  uint64_t mask = UINT64_C(1) << (number - 1);
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, before, KERNEL_MASK_BYTES);
}

static const kernel_action DEFAULT_ACTION;
static const kernel_action IGNORING_ACTION = {1}; /* SIG_IGN, in little-endian order */

/* What the process was born with before Node changed it, and programs are to be born with. */
static uint64_t ignored_by_programs;
static uint64_t blocked_by_programs;

/* In the child too, so always a part of its caller. */
#define IS_IN_SET(set, number) (((set) >> ((number)-1) & 1) != 0)

__attribute__((no_sanitize("address", "undefined"))) void program_dispositions(void) {
  for (int number = 1; number <= SIGNALS_MAX; number++)
    if (number != SIGKILL && number != SIGSTOP)
      raw4(SYS_rt_sigaction, number,
           IS_IN_SET(ignored_by_programs, number) ? IGNORING_ACTION : DEFAULT_ACTION, NULL,
           KERNEL_MASK_BYTES);
}

__attribute__((no_sanitize("address", "undefined"))) void program_mask(void) {
  set_mask(blocked_by_programs, NULL);
}

/*
 * The signals that this process may ignore: those that it has ignored at the first birth, and that it was
 * told to since. Nothing else in Node ignores a signal once it runs.
 */
static uint64_t ignored_here;
static bool has_sought_ignored;

void seek_ignored(void) {
  if (__atomic_load_n(&has_sought_ignored, __ATOMIC_ACQUIRE)) return;
  uint64_t found = 0;
  for (int number = 1; number <= SIGNALS_MAX; number++) {
    kernel_action action = {0};
    syscall(SYS_rt_sigaction, number, NULL, action, KERNEL_MASK_BYTES);
    if (memcmp(action, IGNORING_ACTION, sizeof(void *)) == 0)
      found |= UINT64_C(1) << (number - 1);
  }
  __atomic_fetch_or(&ignored_here, found, __ATOMIC_RELAXED);
  __atomic_store_n(&has_sought_ignored, true, __ATOMIC_RELEASE);
}

__attribute__((no_sanitize("address", "undefined"))) void program_ignored(void) {
  uint64_t touched = ignored_here | ignored_by_programs;
  for (int number = 1; number <= SIGNALS_MAX; number++)
    if (IS_IN_SET(touched, number) && number != SIGKILL && number != SIGSTOP)
      raw4(SYS_rt_sigaction, number,
           IS_IN_SET(ignored_by_programs, number) ? IGNORING_ACTION : DEFAULT_ACTION, NULL,
           KERNEL_MASK_BYTES);
}

void save_dispositions(kernel_action saved[SIGNALS_MAX]) {
  memset(saved, 0, sizeof(kernel_action) * SIGNALS_MAX);
  for (int number = 1; number <= SIGNALS_MAX; number++)
    syscall(SYS_rt_sigaction, number, NULL, saved[number - 1], KERNEL_MASK_BYTES);
}

void restore_dispositions(kernel_action saved[SIGNALS_MAX]) {
  for (int number = 1; number <= SIGNALS_MAX; number++)
    if (number != SIGKILL && number != SIGSTOP)
      syscall(SYS_rt_sigaction, number, saved[number - 1], NULL, KERNEL_MASK_BYTES);
}

/* Signals of faults, which V8 has handlers for, and SIGCHLD: ignoring it would lose our children. */
static bool is_needed(int number) {
  return number == SIGCHLD || number == SIGSEGV || number == SIGBUS || number == SIGFPE ||
         number == SIGILL || number == SIGTRAP;
}

/* adoptSignals(ignored, blocked): sets as the kernel has them, bit N - 1 for signal N */
static napi_value method_adopt_signals(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  uint64_t ignored = (uint64_t)bigint_argument(&call, 0);
  uint64_t blocked = (uint64_t)bigint_argument(&call, 1);
  if (call.invalid) return NULL;
  __atomic_fetch_or(&ignored_here, ignored, __ATOMIC_RELAXED);
  ignored_by_programs = ignored;
  blocked_by_programs = blocked;
  for (int number = 1; number <= SIGNALS_MAX; number++)
    if (IS_IN_SET(ignored, number) && !is_needed(number))
      syscall(SYS_rt_sigaction, number, IGNORING_ACTION, NULL, KERNEL_MASK_BYTES);
  return undefined_result(env);
}

/* defaultSignal(number) */
static napi_value method_default_signal(napi_env env, napi_callback_info info) {
  struct call call = begin_call(env, info);
  int number = int_argument(&call, 0);
  if (call.invalid) return NULL;
  long outcome = syscall(SYS_rt_sigaction, number, DEFAULT_ACTION, NULL, KERNEL_MASK_BYTES);
  return nothing_or_throw(env, "sigaction", (int)outcome);
}

const struct method signal_methods[] = {
    {"adoptSignals", method_adopt_signals},
    {"defaultSignal", method_default_signal},
    {NULL, NULL},
};
