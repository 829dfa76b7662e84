/*
 * Signal masks and dispositions by raw system calls: libc keeps two real-time signals for itself and
 * would leave them alone, and in a vforked child nothing else may be called. The kernel's struct
 * sigaction differs between architectures; none of it is looked at here, and all of it zero is
 * SIG_DFL everywhere.
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

__attribute__((no_sanitize("address", "undefined"))) void default_dispositions(void) {
  for (int number = 1; number <= SIGNALS_MAX; number++)
    if (number != SIGKILL && number != SIGSTOP)
      raw4(SYS_rt_sigaction, number, DEFAULT_ACTION, NULL, KERNEL_MASK_BYTES);
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
