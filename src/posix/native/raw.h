/*
 * System calls without libc: a child that shares our memory shares errno with a thread of ours too,
 * so it must not touch it. Each call gives its result, or the negative errno.
 */
#ifndef UCSPI_RAW_H
#define UCSPI_RAW_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAW_INLINE static inline __attribute__((always_inline, no_sanitize("address", "undefined")))

#if defined(__x86_64__)
#define RAW_IS_SEPARATE 1
RAW_INLINE long raw_call(long number, long a, long b, long c, long d) {
  long result;
  register long fourth __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
#define RAW_IS_SEPARATE 1
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
#else
/* Another processor: libc's way, and children are waited for until they have executed. */
#define RAW_IS_SEPARATE 0
RAW_INLINE long raw_call(long number, long a, long b, long c, long d) {
  long result = syscall(number, a, b, c, d);
  return result == -1 ? -errno : result;
}
#endif

#define raw1(number, a) raw_call((number), (long)(a), 0, 0, 0)
#define raw2(number, a, b) raw_call((number), (long)(a), (long)(b), 0, 0)
#define raw3(number, a, b, c) raw_call((number), (long)(a), (long)(b), (long)(c), 0)
#define raw4(number, a, b, c, d) raw_call((number), (long)(a), (long)(b), (long)(c), (long)(d))

#endif
