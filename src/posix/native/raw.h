/*
 * System calls without libc: a child that shares our memory shares errno with a thread of ours too,
 * so it must not touch it. Each call gives its result, or the negative errno. clone is made here too:
 * musl's refuses the flag that has the kernel tell when a child has left our memory. The child takes a
 * function and its argument from the top of its stack.
 */
#ifndef UCSPI_RAW_H
#define UCSPI_RAW_H

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAW_INLINE static inline __attribute__((always_inline, no_sanitize("address", "undefined")))

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

/* struct clone_args as Linux 5.3 has it, in which all numbers are of 64 bits. */
struct clone3_arguments {
  uint64_t flags;
  uint64_t pidfd;
  uint64_t child_tid;
  uint64_t parent_tid;
  uint64_t exit_signal;
  uint64_t stack; /* its lowest address */
  uint64_t stack_size;
  uint64_t tls;
};

#if defined(__x86_64__)
RAW_INLINE long raw_call(long number, long a, long b, long c, long d) {
  long result;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
}

RAW_INLINE long raw_clone(unsigned long flags, void **top, int *parent, int *child) {
  long result;
  register int *fourth __asm__("r10") = child;
  register long fifth __asm__("r8") = 0;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "pop %%rax\n\t"
                   "pop %%rdi\n\t"
                   "call *%%rax\n\t"
                   "hlt\n"
                   "1:"
                   : "=a"(result)
                   : "a"(SYS_clone), "D"(flags), "S"(top), "d"(parent), "r"(fourth), "r"(fifth)
                   : "rcx", "r11", "memory");
  return result;
}

RAW_INLINE long raw_clone3(const struct clone3_arguments *arguments) {
  long result;
  __asm__ volatile("syscall\n\t"
                   "test %%rax, %%rax\n\t"
                   "jnz 1f\n\t"
                   "xor %%ebp, %%ebp\n\t"
                   "pop %%rax\n\t"
                   "pop %%rdi\n\t"
                   "call *%%rax\n\t"
                   "hlt\n"
                   "1:"
                   : "=a"(result)
                   : "a"(SYS_clone3), "D"(arguments), "S"(sizeof *arguments)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
RAW_INLINE long raw_call(long number, long a, long b, long c, long d) {
  register long eighth __asm__("x8") = number;
  register long first __asm__("x0") = a;
  register long second __asm__("x1") = b;
  register long third __asm__("x2") = c;
  register long fourth __asm__("x3") = d;
  __asm__ volatile("svc 0"
                   : "+r"(first)
                   : "r"(eighth), "r"(second), "r"(third), "r"(fourth)
                   : "memory");
  return first;
}

RAW_INLINE long raw_clone(unsigned long flags, void **top, int *parent, int *child) {
  register long eighth __asm__("x8") = SYS_clone;
  register long first __asm__("x0") = (long)flags;
  register void **second __asm__("x1") = top;
  register int *third __asm__("x2") = parent;
  register long fourth __asm__("x3") = 0;
  register int *fifth __asm__("x4") = child;
  __asm__ volatile("svc 0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "ldp x1, x0, [sp], #16\n\t"
                   "blr x1\n\t"
                   "brk #0\n"
                   "1:"
                   : "+r"(first)
                   : "r"(eighth), "r"(second), "r"(third), "r"(fourth), "r"(fifth)
                   : "memory");
  return first;
}

RAW_INLINE long raw_clone3(const struct clone3_arguments *arguments) {
  register long eighth __asm__("x8") = SYS_clone3;
  register long first __asm__("x0") = (long)arguments;
  register long second __asm__("x1") = sizeof *arguments;
  __asm__ volatile("svc 0\n\t"
                   "cbnz x0, 1f\n\t"
                   "mov x29, xzr\n\t"
                   "ldp x1, x0, [sp], #16\n\t"
                   "blr x1\n\t"
                   "brk #0\n"
                   "1:"
                   : "+r"(first)
                   : "r"(eighth), "r"(second)
                   : "memory");
  return first;
}
#else
#error "raw.h has no system calls for this processor: x86-64 and arm64 are supported"
#endif

#define raw1(number, a) raw_call((number), (long)(a), 0, 0, 0)
#define raw2(number, a, b) raw_call((number), (long)(a), (long)(b), 0, 0)
#define raw3(number, a, b, c) raw_call((number), (long)(a), (long)(b), (long)(c), 0)
#define raw4(number, a, b, c, d) raw_call((number), (long)(a), (long)(b), (long)(c), (long)(d))

#endif
